"""Maps file names of data sets and other separators to stems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from stemwright.errors import UnreadableInputError
from stemwright.evaluation.reference_songs import Files, ReferenceSong, estimates_folder, no_estimates, sound_files
from stemwright.stems import SINGING, STEMS

MIXTURE = "mixture"
"""File name of the mix."""

OTHER = "other"
"""Label of all stems that the other labels of a data set do not cover."""

INSTRUMENTAL_STEMS = tuple(stem for stem in STEMS if stem not in SINGING)
"""All stems except vocals."""

COARSE: dict[str, tuple[str, ...]] = {
    "wind": ("brass", "woodwinds"),
    "orchestra": ("strings", "brass", "woodwinds"),
    "instrumental": INSTRUMENTAL_STEMS,
}
"""Labels that cover several stems. So does ``other``, whose stems depend on the other labels."""

STEM_LABELS: dict[str, str] = {
    "vocals": "vocals vocal voice voices singing vox",
    "backing_vocals": "backing_vocals backing_vocal back_vocals back_vocal background_vocals backing bv",
    "drums": "drums drum drum_kit drumkit drumset",
    "bass": "bass",
    "guitar": "guitar guitars",
    "keyboard": "keyboard keyboards keys",
    "strings": "strings string",
    "brass": "brass",
    "woodwinds": "woodwinds woodwind",
    "percussion": "percussion perc",
    "synth": "synth synths synthesizer synthesizers",
    "fx": "fx effects sfx",
    "wind": "wind winds",
    "orchestra": "orchestra orch",
    "instrumental": "instrumental inst accompaniment no_vocals karaoke",
    OTHER: "other others rest residual",
    MIXTURE: "mixture mix",
}
"""Common names of each stem and of coarser labels."""

INSTRUMENT_LABELS: dict[str, str] = {
    "vocals": "lead_vocals lead_vocal lead_male_singer lead_female_singer rap",
    "backing_vocals": "choir human_choir harmony_vocals harmonies",
    "drums": "kick snare hihat hi_hat hh toms tom cymbals ride crash overheads drum_machine",
    "bass": "bass_guitar electric_bass double_bass upright_bass contrabass synth_bass bass_synth bass_synthesizer",
    "guitar": "acoustic_guitar electric_guitar clean_electric_guitar distorted_electric_guitar clean_guitar "
    "distorted_guitar lead_guitar rhythm_guitar lap_steel_guitar slide_guitar banjo mandolin ukulele plucked",
    "keyboard": "piano grand_piano electric_piano digital_piano rhodes wurlitzer organ electric_organ clavinet "
    "harpsichord accordion",
    "strings": "bowed_strings string_section violin violins viola violas cello cellos fiddle harp",
    "brass": "trumpet trumpets trombone trombones french_horn horn horns tuba",
    "woodwinds": "flute flutes piccolo clarinet clarinets oboe english_horn bassoon saxophone saxophones sax reeds "
    "recorder harmonica bagpipe",
    "percussion": "congas bongos timpani tambourine shaker shakers cowbell claps woodblock triangle bells glockenspiel "
    "vibraphone marimba xylophone mallets",
    "synth": "synth_lead lead_synth synth_pad pad pads",
    "fx": "sound_effects scratches",
}
"""Names of single instruments and parts, several of which may belong to one stem."""

_STEM_OF_LABEL = {name: stem for stem, names in STEM_LABELS.items() for name in names.split()}
_STEM_OF_INSTRUMENT = {name: stem for stem, names in INSTRUMENT_LABELS.items() for name in names.split()}


def stem_of(label: str) -> str | None:
    """The stem, coarse label, ``other`` or ``mixture`` for a label; None if it is unknown."""
    return _STEM_OF_LABEL.get(_normalized(label)) or _STEM_OF_INSTRUMENT.get(_normalized(label))


def files_by_stem(files: Sequence[Path]) -> dict[str, Files]:
    """Files by stem or coarse label, in the order of the vocabulary; files of one stem are summed.

    Raises:
        UnreadableInputError: a name is unknown, or two files contain the same sound, such as ``guitar`` and
                ``acoustic_guitar``.
    """
    found: dict[str, list[Path]] = {}
    for path in files:
        stem = stem_of(path.stem)
        if stem is None:
            raise UnreadableInputError(
                f"'{path}' has an unknown label. Name the file after one of {', '.join(STEM_LABELS)}, or move it away."
            )
        found.setdefault(stem, []).append(path)
    for stem, paths in found.items():
        stem_files = [path for path in paths if _normalized(path.stem) in _STEM_OF_LABEL]
        if stem_files and len(paths) > 1:
            other = next(path for path in paths if path != stem_files[0])
            raise UnreadableInputError(
                f"'{stem_files[0]}' is all of {stem}, and '{other}' is the same or a part of it. Move one of them away."
            )
    return {
        stem: paths[0] if len(paths) == 1 else tuple(paths) for stem in STEM_LABELS if (paths := found.get(stem, []))
    }


def stems_of_coarse_labels(labels: Mapping[str, Files]) -> dict[str, tuple[str, ...]]:
    """The stems that each coarse label of a song covers.

    ``vocals`` without ``backing_vocals`` is all singing. ``other`` is all that the song's other labels do not cover.

    Args:
        labels: result of ``files_by_stem``.
    """
    found = {name: COARSE[name] for name in labels if name in COARSE}
    if "vocals" in labels and "backing_vocals" not in labels:
        found["vocals"] = SINGING
    if OTHER in labels:
        named = {stem for name in labels if name != OTHER for stem in found.get(name, (name,))}
        found[OTHER] = tuple(stem for stem in STEMS if stem not in named)
    return found


def labelled_estimates(folder: Path, song: ReferenceSong, *, is_only_song: bool) -> dict[str, Files]:
    """The estimates of one song, ``folder/<song>/<label>.<ext>``: ``other`` is the ``residual`` of the others.

    A file named ``mixture`` is ignored, and so is ``instrumental`` if the other estimates cover all of it.

    Raises:
        UnreadableInputError: there are none, or one has a label that is unknown or too coarse.
    """
    estimates_dir = estimates_folder(folder, song, is_only_song=is_only_song)
    files = files_by_stem(sound_files(estimates_dir)) if estimates_dir.is_dir() else {}
    files.pop(MIXTURE, None)
    if OTHER in files or all(name in files for name in INSTRUMENTAL_STEMS):
        files.pop("instrumental", None)
    for name in ("wind", "orchestra"):
        if name in files:
            raise UnreadableInputError(
                f"'{files[name]}' is not a single stem. Move it away: estimates are single stems."
            )
    if not files:
        raise no_estimates(folder, song)
    return {"residual" if name == OTHER else name: paths for name, paths in files.items()}


def _normalized(label: str) -> str:
    """``Lead-Vocal`` and ``lead vocal`` -> ``lead_vocal``."""
    return re.sub(r"[\W_]+", "_", label.lower()).strip("_")
