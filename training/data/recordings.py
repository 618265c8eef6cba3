"""Real recordings that Debian packages, as songs to train on: mostly the music of games, which nobody sings to.

    scripts/recordings training/recordings                                # downloads, cuts and deletes each package
    scripts/recordings training/permissive --permissive                   # only what its author's name is enough for
    python -m training.data.recordings --root / --out training/recordings      # cuts those that are installed
    python -m training.train --corpus training/corpus --corpus training/recordings ...

Composed songs teach what instruments are, but sound like nothing that was recorded: a network that knows no other music
takes recorded instruments for voices. What plays in a recording need not be known for that: composed voices sing to it, and
all that is not theirs is due to the other stems together (``training.network.loss``). ``recordings.toml`` has the
packages, their licences and which stems may be heard. A piece is ``<out>/<package>-<file>-<number>/<label>.flac``; several
are taken evenly from each file.
"""

from __future__ import annotations

import argparse
import fnmatch
import io
import re
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from stemwright.stems import STEMS
from training.data.songs import SILENCE_PEAK, members, stereo, write_song

PIECE_S, LEAST_S = 30, 10
"""Length of a piece, and of the shortest."""

PERMISSIVE = ("BSD-2-Clause", "CC-BY-3.0", "CC0-1.0", "MIT", "public-domain")
"""Licences that ask for no more than the author's name."""

TABLE = Path(__file__).with_name("recordings.toml")

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Source:
    """Files of one package.

    Attributes:
        package, licence: as Debian names them.
        path: the files, as a pattern below the root; or a zip archive, in which ``inside`` is the pattern.
        label: of all that is heard in them, a stem or ``not-<stems>``.
        leave_out: names that contain one of these are not taken.
        only: the names, without folders and suffix, that are taken; all where there are none.
        beside: the other track of the same length that lies beside each file, and its label.
    """

    package: str
    licence: str
    path: str
    label: str
    inside: str = ""
    leave_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    beside: tuple[str, str] | None = None

    def tracks(self, root: Path) -> Iterator[Track]:
        """What of it is there."""
        for path in sorted(root.glob(self.path)):
            for inside in self._inside(path) if self.inside else ("",):
                name = _varying(inside, self.inside) if inside else _varying(str(path.relative_to(root)), self.path)
                wanted = not self.only or Path(inside or path).stem in self.only
                if wanted and not any(word in name for word in self.leave_out):
                    yield Track(self, path, inside, re.sub(r"[\W_]+", "-", f"{self.package}-{name}").strip("-").lower())

    def _inside(self, path: Path) -> list[str]:
        with zipfile.ZipFile(path) as archive:
            return sorted(fnmatch.filter(archive.namelist(), self.inside))


@dataclass(frozen=True)
class Track:
    """One file, and the name of the songs that are made of it."""

    source: Source
    path: Path
    inside: str
    name: str

    def parts(self) -> dict[str, soundfile.SoundFile]:
        """By its label, what is played in it, and beside it."""
        if self.inside:
            with zipfile.ZipFile(self.path) as archive:
                return {self.source.label: soundfile.SoundFile(io.BytesIO(archive.read(self.inside)))}
        parts = {self.source.label: soundfile.SoundFile(self.path)}
        if self.source.beside:
            name, label = self.source.beside
            parts[label] = soundfile.SoundFile(self.path.with_name(name))
        return parts


def _varying(path: str, pattern: str) -> str:
    """What of a path, without its suffix, the pattern leaves open."""
    fixed = len(list(takewhile(lambda part: "*" not in part, pattern.split("/"))))
    return "/".join(Path(path).with_suffix("").parts[fixed:])


def sources(*, permissive: bool = False) -> tuple[Source, ...]:
    """The table of recordings, or what of it is under ``PERMISSIVE`` licences.

    Raises:
        ValueError: a label names no stem.
    """
    found = []
    for entry in tomllib.loads(TABLE.read_text())["source"]:
        beside = entry.pop("beside", None)
        leave_out, only = (tuple(entry.pop(name, ())) for name in ("leave_out", "only"))
        source = Source(
            **entry, leave_out=leave_out, only=only, beside=(beside["file"], beside["label"]) if beside else None
        )
        for label in (source.label, *(source.beside or ())[1:]):
            if not members(label):
                raise ValueError(f"{TABLE}: {label} of {source.package} is no stem, and not all but some stems.")
        if not permissive or source.licence in PERMISSIVE:
            found.append(source)
    return tuple(found)


def find(root: Path, *, permissive: bool = False) -> list[Track]:
    """All tracks that are there, each by the first source that names it."""
    tracks: dict[tuple[Path, str], Track] = {}
    for source in sources(permissive=permissive):
        for track in source.tracks(root):
            tracks.setdefault((track.path, track.inside), track)
    return list(tracks.values())


def cut(track: Track, out: Path, most: int) -> int:
    """Writes up to ``most`` pieces of a track, spread over it, each whole or not at all; gives how many there are.

    Of one that is a single stem all are written: there are few.
    """
    parts = track.parts()
    whole = next(iter(parts.values()))
    seconds = whole.frames / whole.samplerate
    count = int(seconds // PIECE_S) or int(seconds >= LEAST_S)
    if track.source.label not in STEMS:
        count = min(most, count)
    for number in range(count):
        folder = out / f"{track.name}-{number:02d}"
        if folder.exists():
            continue
        start_s = (number + 0.5) * seconds / count - min(PIECE_S, seconds) / 2
        heard = {label: audio for label, file in parts.items() if (audio := _read(file, start_s)) is not None}
        if not heard:
            continue
        write_song(folder, heard)
    return count


def _read(file: soundfile.SoundFile, start_s: float) -> Audio | None:
    """A piece ``(2, samples)`` of a file; None where it is silent."""
    file.seek(round(start_s * file.samplerate))
    audio = file.read(PIECE_S * file.samplerate, dtype="float32", always_2d=True)
    if not len(audio) or float(np.abs(audio).max()) < SILENCE_PEAK:
        return None
    return stereo(audio.T, file.samplerate)  # (samples, channels) -> (channels, samples)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the packages are, what is taken of them, and where its pieces go."""
    parser.add_argument("--root", type=Path, default=Path("/"), help="where the packages are installed or unpacked")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "recordings")
    parser.add_argument("--permissive", action="store_true", help=f"only what is under {', '.join(PERMISSIVE)}")
    parser.add_argument("--packages", action="store_true", help="print the names of the packages, and no more")


def nowhere(root: Path, packages: Iterable[str]) -> str:
    """Says that nothing is there, and what to do."""
    return f"None of the packages is in {root}. Install some of them: apt-get install {' '.join(packages)}\n"


def main() -> None:
    """Reads the command line and cuts what is there."""
    parser = argparse.ArgumentParser(description="Cuts real recordings that Debian packages into a training corpus.")
    add_arguments(parser)
    parser.add_argument("--most", type=int, default=4, help="pieces of 30 s of one file")
    options = parser.parse_args()
    packages = sorted({source.package for source in sources(permissive=options.permissive)})
    if options.packages:
        print(*packages, sep="\n")
        return
    tracks = find(options.root, permissive=options.permissive)
    if not tracks:
        parser.exit(1, nowhere(options.root, packages))
    with ProcessPoolExecutor() as workers:
        counts = workers.map(cut, tracks, [options.out] * len(tracks), [options.most] * len(tracks))
        for track, count in zip(tracks, counts, strict=True):
            print(f"{track.name}: {count} pieces", flush=True)


if __name__ == "__main__":
    main()
