"""Installed recordings of instruments: which notes each has, and which parts it may play.

`library.toml` lists them; `scripts/samples` downloads them. An instrument without files is skipped.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "samples"
LIBRARY = Path(__file__).with_name("library.toml")

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11, "H": 11}
_NOTE = re.compile(r"(?P<letter>[A-Ha-h])(?P<sharp>#|s|S|is)?(?P<flat>b)?(?P<octave>-?\d)?")
_DYNAMICS = (
    *("pp", "pianissimo", "p", "piano", "soft", "l", "mp", "mezzo-piano", "finger", "m"),
    *("", "mf", "mezzo-forte", "pick", "h", "f", "forte", "ff", "fortissimo"),
)
"""Names of dynamics from soft to loud; the empty one is for notes without a dynamic."""


@dataclass(frozen=True)
class Recording:
    """One recorded note.

    Attributes:
        path: its file.
        pitch: MIDI pitch, with fractions; None for a drum.
        piece: kind of drum; empty for a pitched note.
        dynamic: from 0, the softest of the instrument, to 1.
        short: whether it is staccato or muted.
    """

    path: Path
    pitch: float | None
    piece: str
    dynamic: float
    short: bool


@dataclass(frozen=True, eq=False)
class Instrument:
    """An instrument of the library.

    Attributes:
        name: unique name.
        folder: the folder below the samples that holds its files.
        repository, commit: source; empty for an npm package.
        family: decides which parts it may play.
        files: regular expression on paths in the source.
        held_out: whether it is for evaluation only, never for training.
        octaves: added to the octaves in file names.
        semitones: how much higher the files sound than their names say, because of a different sample rate.
        first: MIDI pitch of number 0, if files are numbered.
        keys: MIDI pitch by the group ``key``.
        pieces: kind of drum by piece.
        digest: digest of the files, in hexadecimal.
    """

    name: str
    folder: str
    family: str
    files: str
    held_out: bool = False
    octaves: int = 0
    semitones: float = 0.0
    first: int = 0
    keys: Mapping[str, int] = field(default_factory=dict)
    pieces: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    repository: str = ""
    commit: str = ""


@dataclass(frozen=True)
class InstrumentChoice:
    """Which recorded instruments a song may use.

    Attributes:
        held_out: use held-out instruments only, for evaluation.
        share: share of suitable parts that use a recorded instrument.
    """

    held_out: bool = False
    share: float = 0.5


TRAINING = InstrumentChoice()
"""For training songs."""


@functools.cache
def _library() -> tuple[Instrument, ...]:
    with LIBRARY.open("rb") as file:
        sources = tomllib.load(file)["source"]
    return tuple(
        Instrument(
            folder=source.get("folder") or source["repository"].split("/")[-1],
            repository=source.get("repository", ""),
            commit=source.get("commit", ""),
            **described,
        )
        for source in sources
        for described in source["instrument"]
    )


def instruments(held_out: bool = False) -> tuple[Instrument, ...]:
    """All instruments for training, or with ``held_out`` those for evaluation; the same objects at each call."""
    return tuple(instrument for instrument in _library() if instrument.held_out == held_out)


@functools.cache
def recordings(instrument: Instrument, samples: Path = SAMPLES) -> tuple[Recording, ...]:
    """The installed recordings of an instrument, sorted by path."""
    folder = samples / instrument.folder
    pattern = re.compile(instrument.files)
    matches = [match for name in _files(folder) if (match := pattern.search(name))]
    dynamics = sorted({_rank(match) for match in matches})
    found = []
    for match in matches:
        groups = match.groupdict()
        dynamic = dynamics.index(_rank(match)) / max(1, len(dynamics) - 1) if len(dynamics) > 1 else 0.5
        short = bool(groups.get("short"))
        piece = groups.get("piece") or ""
        found.append(Recording(folder / match.string, pitch_of(match, instrument), piece, dynamic, short))
    return tuple(found)


@functools.cache
def _files(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))


def pitch_of(match: re.Match[str], instrument: Instrument) -> float | None:
    """The MIDI pitch in a file name; None for a drum."""
    groups = match.groupdict()
    if groups.get("midi"):
        key = int(groups["midi"])
    elif groups.get("number"):
        key = int(groups["number"]) + instrument.first
    elif groups.get("key"):
        key = instrument.keys[groups["key"]]
    elif groups.get("note"):
        key = midi_of(groups["note"])
    else:
        return None
    return key + 12 * instrument.octaves + instrument.semitones


def midi_of(name: str) -> int:
    """MIDI pitch of a name such as ``C#4``, ``gb3``, ``ais4`` or ``As4``; C4 is 60, the default octave is 0.

    Raises:
        ValueError: it is not a note name.
    """
    match = _NOTE.fullmatch(name)
    if match is None:
        raise ValueError(f"'{name}' is not the name of a note.")
    step = _STEPS[match["letter"].upper()] + bool(match["sharp"]) - bool(match["flat"])
    return step + 12 * (int(match["octave"] or 0) + 1)


def _rank(match: re.Match[str]) -> tuple[int, int]:
    """Sort key of a dynamic: numbers by value, names by their order."""
    dynamic = (match.groupdict().get("dynamic") or "").lower()
    return (int(dynamic), 0) if dynamic.isdigit() else (0, _DYNAMICS.index(dynamic))
