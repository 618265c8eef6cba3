"""Recorded instruments that are on this machine: which recordings each has, and which parts it may play.

`library.toml` lists them; `scripts/samples` fetches them. An instrument without files is skipped.
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
"""Names of dynamics from soft to loud; the empty one is a note of which nothing is said."""


@dataclass(frozen=True)
class Recording:
    """One recorded note.

    Attributes:
        path: its file.
        pitch: MIDI note, with what is between the keys; of a drum None.
        piece: which drum it is; of a note the empty string.
        dynamic: from 0, the softest of its instrument, to 1.
        short: played staccato or muted.
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
        name: unique.
        folder: the folder below the samples that holds its files.
        repository, commit: where they come from; empty for a package of npm.
        family: which parts it may play.
        files: regular expression on paths in the source.
        held_out: only used to measure recognition, never to train.
        octaves: to add to the octaves of file names.
        semitones: by how much the files sound higher than their names say: some were made at another rate.
        first: MIDI note of number 0, where files are numbered.
        keys: MIDI note by the group ``key``.
        pieces: which kind of drum each piece is.
        digest: of its files, in hexadecimal.
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
class Cast:
    """Which recorded instruments play in a song.

    Attributes:
        held_out: only the held-out instruments play. Such songs are for measuring.
        share: the share of suitable parts that a recorded instrument plays.
    """

    held_out: bool = False
    share: float = 0.5


TRAINING = Cast()
"""What plays in songs to train on."""


@functools.cache
def instruments(held_out: bool = False) -> tuple[Instrument, ...]:
    """All instruments that train, or those that never do."""
    with LIBRARY.open("rb") as file:
        sources = tomllib.load(file)["source"]
    found = [
        Instrument(
            folder=source.get("folder") or source["repository"].split("/")[-1],
            repository=source.get("repository", ""),
            commit=source.get("commit", ""),
            **described,
        )
        for source in sources
        for described in source["instrument"]
    ]
    return tuple(instrument for instrument in found if instrument.held_out == held_out)


@functools.cache
def recordings(instrument: Instrument, samples: Path = SAMPLES) -> tuple[Recording, ...]:
    """Those of an instrument's recordings that are there, in order of their paths."""
    folder = samples / instrument.folder
    pattern = re.compile(instrument.files)
    matches = [match for name in _files(folder) if (match := pattern.search(name))]
    dynamics = sorted({_rank(match) for match in matches})
    found = []
    for match in matches:
        said = match.groupdict()
        dynamic = dynamics.index(_rank(match)) / max(1, len(dynamics) - 1) if len(dynamics) > 1 else 0.5
        short = bool(said.get("short"))
        piece = said.get("piece") or ""
        found.append(Recording(folder / match.string, pitch_of(match, instrument), piece, dynamic, short))
    return tuple(found)


@functools.cache
def _files(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))


def pitch_of(match: re.Match[str], instrument: Instrument) -> float | None:
    """The MIDI note that a file's name says; None for a drum."""
    said = match.groupdict()
    if said.get("midi"):
        key = int(said["midi"])
    elif said.get("number"):
        key = int(said["number"]) + instrument.first
    elif said.get("key"):
        key = instrument.keys[said["key"]]
    elif said.get("note"):
        key = midi_of(said["note"])
    else:
        return None
    return key + 12 * instrument.octaves + instrument.semitones


def midi_of(name: str) -> int:
    """The MIDI note of a name such as ``C#4``, ``gb3``, ``ais4`` or ``As4``; C4 is 60, and no octave is octave 0.

    Raises:
        ValueError: it is not the name of a note.
    """
    match = _NOTE.fullmatch(name)
    if match is None:
        raise ValueError(f"'{name}' is not the name of a note.")
    step = _STEPS[match["letter"].upper()] + bool(match["sharp"]) - bool(match["flat"])
    return step + 12 * (int(match["octave"] or 0) + 1)


def _rank(match: re.Match[str]) -> tuple[int, int]:
    """Where a dynamic lies among others: numbers by their size, names by their order."""
    said = (match.groupdict().get("dynamic") or "").lower()
    return (int(said), 0) if said.isdigit() else (0, _DYNAMICS.index(said))
