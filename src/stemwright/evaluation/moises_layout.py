"""MoisesDB v0.1: ``<uuid>/data.json`` and ``<uuid>/<stemName>/<track id>.wav`` (Pereira et al., ISMIR 2023).

Every stem of a song has one file per track. The type of a track is more specific than its stem, so types are mapped;
the stem is only used if the type is not in the table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stemwright.errors import UnreadableInputError
from stemwright.evaluation.reference_songs import ReferenceSong, list_folder, sound_format
from stemwright.stems import STEMS

VERSION = "moisesdb_v0.1"
METADATA_FILE = "data.json"

STEM_OF_MOISES_STEM: dict[str, str] = {
    "vocals": "vocals",
    "bass": "bass",
    "drums": "drums",
    "guitar": "guitar",
    "other_plucked": "guitar",
    "percussion": "percussion",
    "piano": "keyboard",
    "other_keys": "keyboard",
    "bowed_strings": "strings",
    "wind": "woodwinds",
    "other": "fx",
}
"""MoisesDB's eleven stems."""

STEM_OF_TRACK_TYPE: dict[tuple[str, str], str] = {
    ("vocals", "human choir"): "backing_vocals",
    ("vocals", "background vocals"): "backing_vocals",
    ("bass", "tuba"): "brass",
    ("bass", "bassoon"): "woodwinds",
    ("other_keys", "synth pad"): "synth",
    ("other_keys", "synth lead"): "synth",
    ("wind", "brass"): "brass",
}
"""Prefixes of track types that belong to another stem than the one of their MoisesDB stem."""


def find_songs(folder: Path) -> tuple[ReferenceSong, ...]:
    """Reads the data set (or the folder above it), or the folder of one song.

    Raises:
        UnreadableInputError: the folder has another layout, a file is missing, or a stem is unknown.
    """
    if not folder.is_dir():
        raise UnreadableInputError(f"'{folder}' is not a folder. Name the one that holds {VERSION}.")
    if (folder / METADATA_FILE).is_file():
        return (_read_song(folder),)
    root = folder / VERSION if (folder / VERSION).is_dir() else folder
    songs = [path for path in list_folder(root) if (path / METADATA_FILE).is_file()]
    if not songs:
        raise UnreadableInputError(
            f"'{folder}' contains no song of MoisesDB: <uuid>/{METADATA_FILE} and <uuid>/<stem>/<track>.wav. "
            f"Name the folder {VERSION}, or the one that holds it."
        )
    return tuple(_read_song(path) for path in songs)


def stem_of_track(stem_name: str, track_type: str) -> str | None:
    """The stem of the vocabulary for a track; None if both names are unknown."""
    stem = stem_name.strip().lower().replace(" ", "_")
    kind = track_type.strip().lower().replace("_", " ")
    for (name, beginning), mapped in STEM_OF_TRACK_TYPE.items():
        # "bassoon (bass of woodwind)" begins with "bassoon"
        if name == stem and (kind == beginning or kind.startswith((f"{beginning} ", f"{beginning}("))):
            return mapped
    return STEM_OF_MOISES_STEM.get(stem)


def _read_song(folder: Path) -> ReferenceSong:
    metadata = folder / METADATA_FILE
    files: dict[str, list[Path]] = {}
    try:
        for stem in json.loads(metadata.read_text(encoding="utf-8"))["stems"]:
            for track in stem["tracks"]:
                name = stem_of_track(stem["stemName"], track["trackType"])
                if name is None:
                    raise UnreadableInputError(
                        f"'{metadata}' has a stem '{stem['stemName']}', which MoisesDB v0.1 does not have. "
                        "Correct the file, or move the song away."
                    )
                files.setdefault(name, []).append(_track_file(folder, stem["stemName"], track))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInputError(
            f"'{metadata}' is not a song of MoisesDB ({type(error).__name__}: {error}). Download the song again."
        ) from error
    if not files:
        raise UnreadableInputError(f"'{metadata}' names no tracks. Download the song again.")
    stems = {name: files[name][0] if len(files[name]) == 1 else tuple(files[name]) for name in STEMS if name in files}
    first = next(iter(files.values()))[0]
    # lengths of tracks may differ by a few samples; the data set's own reader pads with silence
    return ReferenceSong(folder.resolve().name, stems, *sound_format(first), uneven=True)


def _track_file(folder: Path, stem_name: str, track: dict[str, Any]) -> Path:
    path = folder / stem_name / f"{track['id']}.{track.get('extension') or 'wav'}"
    if not path.is_file():
        raise UnreadableInputError(
            f"'{path}' is missing, which '{folder / METADATA_FILE}' names. Download the song again."
        )
    return path
