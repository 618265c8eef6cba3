"""Songs that musicians publish as separate tracks under licences that ask for no more than a credit.

    python -m training.data.open_multitracks training/open-multitracks
    python -m training.train --corpus training/corpus --corpus training/open-multitracks ...

``open_multitracks.toml`` names the repositories, their commits and licences, and which tracks make up each stem. A piece
is ``<out>/<song>-<number>/<label>.flac``, 30 s at 44.1 kHz like a composed song. Tracks of a song begin together; those
whose class is not clear are left out, so the pieces do not add up to the published mix. What is there stays.
``STEMWRIGHT_SAMPLES_MIRROR`` names another server than GitHub (``training.github_archive``).
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import StemwrightError
from stemwright.separation.source import FileSource
from stemwright.stems import STEMS
from training.data.features import SAMPLE_RATE_HZ
from training.data.multitracks import MIN_PIECE_S, PIECE_S
from training.data.songs import SILENCE_PEAK, label_excluding, to_stereo, write_song
from training.github_archive import SourceError, blob_id, digest, fetch_archive, files_of, host

TABLE = Path(__file__).with_name("open_multitracks.toml")
PERMISSIVE = ("public-domain", "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "MIT")

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class OpenSong:
    """One song.

    Attributes:
        name: unique in the table.
        folder: of its tracks, in the repository.
        tracks: label to the names of the tracks that make it up. A label is a stem, or several joined by ``|``: the
            tracks hold any of these.
    """

    name: str
    folder: str
    tracks: Mapping[str, tuple[str, ...]]

    def paths(self) -> dict[str, tuple[str, ...]]:
        """The files of each label of a corpus (``training.data.songs.possible_stems``)."""
        return {
            label_of(stems): tuple(f"{self.folder}/{name}" for name in names) for stems, names in self.tracks.items()
        }


@dataclass(frozen=True)
class OpenRepository:
    """A repository at a commit, with the digest of the files that are used. A solo, one track by itself, is a song."""

    repository: str
    commit: str
    licence: str
    author: str
    digest: str
    songs: tuple[OpenSong, ...]


def label_of(stems: str) -> str:
    """The label of audio that holds one stem, or any of several: ``drums``, or ``bass|synth``."""
    held = stems.split("|")
    return stems if len(held) == 1 else label_excluding(set(STEMS) - set(held))


def repositories() -> tuple[OpenRepository, ...]:
    """The table.

    Raises:
        ValueError: a licence is not permissive, a stem is unknown, or a track is named twice.
    """
    found = []
    for entry in tomllib.loads(TABLE.read_text())["repository"]:
        songs = tuple(
            OpenSong(song["name"], song["folder"], {stems: tuple(names) for stems, names in song["tracks"].items()})
            for song in entry.get("songs", ())
        ) + tuple(_solo(entry["name"], stem, path) for stem, paths in entry.get("solos", {}).items() for path in paths)
        if entry["licence"] not in PERMISSIVE:
            raise ValueError(
                f"{TABLE}: {entry['name']} is under {entry['licence']}, which asks for more than a credit."
            )
        for song in songs:
            names = [name for of in song.tracks.values() for name in of]
            if len(set(names)) < len(names) or not {one for of in song.tracks for one in of.split("|")} <= set(STEMS):
                raise ValueError(f"{TABLE}: {song.name} has a label that is not of stems, or a track twice.")
        found.append(
            OpenRepository(entry["name"], entry["commit"], entry["licence"], entry["author"], entry["digest"], songs)
        )
    return tuple(found)


def _solo(repository: str, stem: str, path: str) -> OpenSong:
    """A song of one track."""
    folder, _, track = path.rpartition("/")
    name = re.sub(r"[\W_]+", "-", f"{repository.partition('/')[2]}-{Path(track).stem}").lower()
    return OpenSong(name, folder, {stem: (track,)})


def fetch(
    source: OpenRepository, out: Path, server: str, sleep: Callable[[float], None] = time.sleep
) -> dict[str, int] | None:
    """Downloads a repository and cuts its songs; returns the number of pieces of each, or None if they are there.

    Raises:
        SourceError: the archive is not available, its files differ from the table, or a track cannot be read.
    """
    name = source.repository.replace("/", "+")
    done = out / f".{name}-{source.commit[:12]}.done"
    if done.exists():
        return None
    out.mkdir(parents=True, exist_ok=True)
    archive = out / f".{name}.tar.gz.part"
    fetch_archive(source.repository, source.commit, archive, server, sleep)
    with tempfile.TemporaryDirectory(prefix="open-multitracks-") as folder:
        try:
            _unpack(source, archive, Path(folder))
        finally:
            archive.unlink()  # do not resume from a bad archive
        counts = {song.name: cut(song, Path(folder), out) for song in source.songs}
    done.touch()
    return counts


def _unpack(source: OpenRepository, archive: Path, folder: Path) -> None:
    wanted = {path for song in source.songs for paths in song.paths().values() for path in paths}
    blobs = {}
    for path, content in files_of(archive):
        if path in wanted:
            blobs[path] = blob_id(content)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    if digest(blobs) != source.digest:
        raise SourceError(
            f"the archive of {source.repository} at {source.commit} holds other tracks than open_multitracks.toml says "
            f"({len(blobs)} of {len(wanted)} found)"
        )


def cut(song: OpenSong, root: Path, out: Path) -> int:
    """Writes a song as pieces, each whole or not at all; returns their number.

    Raises:
        SourceError: a track cannot be read.
    """
    parts = {label: _sum(root / path for path in paths) for label, paths in song.paths().items()}
    samples = max(audio.shape[1] for audio in parts.values())
    length, written = PIECE_S * SAMPLE_RATE_HZ, 0
    for number, start in enumerate(range(0, samples - MIN_PIECE_S * SAMPLE_RATE_HZ, length)):
        stop = min(samples, start + length)
        pieces = {label: _cut(audio, start, stop) for label, audio in parts.items()}
        audible = {label: piece for label, piece in pieces.items() if np.abs(piece).max(initial=0) >= SILENCE_PEAK}
        folder = out / f"{song.name}-{number:02d}"
        if audible and not folder.exists():
            write_song(folder, audible)
        written += bool(audible)
    return written


def _cut(audio: Audio, start: int, stop: int) -> Audio:
    """``(2, stop - start)``, zeros beyond the end of the audio."""
    piece = audio[:, start:stop]
    return np.pad(piece, ((0, 0), (0, stop - start - piece.shape[1])))


def _sum(paths: Iterable[Path]) -> Audio:
    """The sum of tracks, ``(2, samples)`` at 44.1 kHz; shorter ones end earlier."""
    total = np.zeros((2, 0), np.float32)
    for path in paths:
        try:
            track = FileSource(path)
            audio = to_stereo(np.concatenate([*track.blocks()], axis=1), track.sample_rate)
        except StemwrightError as error:
            raise SourceError(f"a track cannot be read ({error})") from error
        longest = max(total.shape[1], audio.shape[1])
        total = _cut(total, 0, longest) + _cut(audio, 0, longest)
    return total


def main() -> None:
    """Reads the command line, downloads and cuts. It never fails; it prints what it leaves out, and why."""
    parser = argparse.ArgumentParser(description="Fetches songs that are published as separate tracks.")
    parser.add_argument("out", type=Path, help="folder of the pieces")
    options = parser.parse_args()
    for source in repositories():
        try:
            counts = fetch(source, options.out, host())
        except SourceError as error:
            print(f"left out: {source.repository}, since {error}", file=sys.stderr)
            continue
        for name, count in (counts or {}).items():
            print(f"{name}: {count} pieces", flush=True)


if __name__ == "__main__":
    main()
