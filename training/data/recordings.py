"""Real recordings from Debian packages as training songs: mostly the music of games, without singing.

    scripts/recordings training/recordings                                # downloads, cuts and deletes each package
    scripts/recordings training/permissive --permissive                   # only licences that ask for a credit at most
    python -m training.data.recordings --root / --out training/recordings      # cuts those that are installed
    python -m training.train --corpus training/corpus --corpus training/recordings ...

Composed songs teach the network what instruments are, but do not sound like recordings: a network trained on them
alone takes recorded instruments for vocals. To correct that, the stems of a recording need not be known: composed
vocals are mixed with it, and all the rest belongs to the other stems together (``training.network.loss``).
``recordings.toml`` lists the packages, their licences and the stems that they may contain. A piece is
``<out>/<package>-<file>-<number>/<label>.flac``; several are taken from each file, evenly spread.
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
from training.data.songs import SILENCE_PEAK, possible_stems, to_stereo, write_song

PIECE_S, MIN_PIECE_S = 30, 10
"""Length of a piece, and of the shortest."""

PERMISSIVE = ("BSD-2-Clause", "CC-BY-3.0", "CC0-1.0", "MIT", "public-domain")
"""Licences that ask for a credit at most."""

TABLE = Path(__file__).with_name("recordings.toml")

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class RecordingSource:
    """Files of one package.

    Attributes:
        package, licence: as Debian names them.
        path: the files, as a pattern below the root; or a zip archive, in which ``inside`` is the pattern.
        label: of the audio, a stem or ``not-<stems>``.
        leave_out: names that contain one of these are left out.
        only: the names, without folders and suffix, that are taken; all if empty.
        companion: name and label of another track of the same length beside each file.
    """

    package: str
    licence: str
    path: str
    label: str
    inside: str = ""
    leave_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    companion: tuple[str, str] | None = None

    def tracks(self, root: Path) -> Iterator[Track]:
        """The tracks whose files exist."""
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
    """One file, and the name of the songs that are cut from it."""

    source: RecordingSource
    path: Path
    inside: str
    name: str

    def parts(self) -> dict[str, soundfile.SoundFile]:
        """Its audio by label, with that of its companion."""
        if self.inside:
            with zipfile.ZipFile(self.path) as archive:
                return {self.source.label: soundfile.SoundFile(io.BytesIO(archive.read(self.inside)))}
        parts = {self.source.label: soundfile.SoundFile(self.path)}
        if self.source.companion:
            name, label = self.source.companion
            parts[label] = soundfile.SoundFile(self.path.with_name(name))
        return parts


def _varying(path: str, pattern: str) -> str:
    """The part of a path, without its suffix, that the pattern does not fix."""
    fixed = len(list(takewhile(lambda part: "*" not in part, pattern.split("/"))))
    return "/".join(Path(path).with_suffix("").parts[fixed:])


def sources(*, permissive: bool = False) -> tuple[RecordingSource, ...]:
    """All sources, or only those under ``PERMISSIVE`` licences.

    Raises:
        ValueError: a label names no stem.
    """
    found = []
    for entry in tomllib.loads(TABLE.read_text())["source"]:
        companion = entry.pop("companion", None)
        leave_out, only = (tuple(entry.pop(name, ())) for name in ("leave_out", "only"))
        source = RecordingSource(
            **entry,
            leave_out=leave_out,
            only=only,
            companion=(companion["file"], companion["label"]) if companion else None,
        )
        for label in (source.label, *(source.companion or ())[1:]):
            if not possible_stems(label):
                raise ValueError(f"{TABLE}: {label} of {source.package} is neither a stem nor 'not-' with stems.")
        if not permissive or source.licence in PERMISSIVE:
            found.append(source)
    return tuple(found)


def find(root: Path, *, permissive: bool = False) -> list[Track]:
    """All tracks whose files exist, each from the first source that names it."""
    tracks: dict[tuple[Path, str], Track] = {}
    for source in sources(permissive=permissive):
        for track in source.tracks(root):
            tracks.setdefault((track.path, track.inside), track)
    return list(tracks.values())


def cut(track: Track, out: Path, most: int) -> int:
    """Writes up to ``most`` pieces of a track, spread over it, each whole or not at all; returns their number.

    Of a track of a single stem all pieces are written, since there are few.
    """
    parts = track.parts()
    whole = next(iter(parts.values()))
    seconds = whole.frames / whole.samplerate
    count = int(seconds // PIECE_S) or int(seconds >= MIN_PIECE_S)
    if track.source.label not in STEMS:
        count = min(most, count)
    for number in range(count):
        folder = out / f"{track.name}-{number:02d}"
        if folder.exists():
            continue
        start_s = (number + 0.5) * seconds / count - min(PIECE_S, seconds) / 2
        audible = {label: audio for label, file in parts.items() if (audio := _read(file, start_s)) is not None}
        if not audible:
            continue
        write_song(folder, audible)
    return count


def _read(file: soundfile.SoundFile, start_s: float) -> Audio | None:
    """A piece ``(2, samples)`` of a file; None if it is silent."""
    file.seek(round(start_s * file.samplerate))
    audio = file.read(PIECE_S * file.samplerate, dtype="float32", always_2d=True)
    if not len(audio) or float(np.abs(audio).max()) < SILENCE_PEAK:
        return None
    return to_stereo(audio.T, file.samplerate)  # (samples, channels) -> (channels, samples)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options: where the packages are, which of them are used, and where the pieces go."""
    parser.add_argument("--root", type=Path, default=Path("/"), help="where the packages are installed or unpacked")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "recordings")
    parser.add_argument("--permissive", action="store_true", help=f"only licences {', '.join(PERMISSIVE)}")
    parser.add_argument("--packages", action="store_true", help="only print the names of the packages")


def not_found_message(root: Path, packages: Iterable[str]) -> str:
    """The message if no package is installed."""
    return f"None of the packages is in {root}. Install some of them: apt-get install {' '.join(packages)}\n"


def main() -> None:
    """Reads the command line and cuts the tracks."""
    parser = argparse.ArgumentParser(description="Cuts real recordings that Debian packages into a training corpus.")
    add_arguments(parser)
    parser.add_argument("--max-pieces", type=int, default=4, help="pieces of 30 s of one file")
    parser.add_argument("--most", type=int, dest="max_pieces", help=argparse.SUPPRESS)  # its name until 0.1.0
    options = parser.parse_args()
    packages = sorted({source.package for source in sources(permissive=options.permissive)})
    if options.packages:
        print(*packages, sep="\n")
        return
    tracks = find(options.root, permissive=options.permissive)
    if not tracks:
        parser.exit(1, not_found_message(options.root, packages))
    with ProcessPoolExecutor() as workers:
        counts = workers.map(cut, tracks, [options.out] * len(tracks), [options.max_pieces] * len(tracks))
        for track, count in zip(tracks, counts, strict=True):
            print(f"{track.name}: {count} pieces", flush=True)


if __name__ == "__main__":
    main()
