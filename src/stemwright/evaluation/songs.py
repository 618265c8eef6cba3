"""Songs with true stems on disk: ``<song>/<class>.flac`` (or another format), all files of a song the same length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import UnreadableInputError
from stemwright.evaluation.comparisons import ESTIMATES, UNLABELLED
from stemwright.sound_files import is_sound_file
from stemwright.stems import STEMS

BLOCK = 1 << 16
"""Samples of one block: 1.5 s at 44.1 kHz."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Song:
    """The true stems of one song.

    Attributes:
        name: the folder's name.
        stems: file of each true stem, by its name, in the order of the vocabulary.
        sample_rate: Hz, the same for all files.
        channels: the same for all files.
    """

    name: str
    stems: Mapping[str, Path]
    sample_rate: int
    channels: int

    @property
    def is_one_stem(self) -> bool:
        """Whether there is nothing to separate; such songs do not count in medians."""
        return len(self.stems) == 1

    @property
    def is_fully_labelled(self) -> bool:
        """Whether a stem without a file is known to be absent."""
        return UNLABELLED not in self.stems

    def blocks(self) -> Iterator[Samples]:
        """The true stems, block by block: ``(stems, channels, samples)`` float32."""
        return aligned_blocks(tuple(self.stems.values()))


def find_songs(folder: Path) -> tuple[Song, ...]:
    """Reads a folder of songs, or the folder of one song.

    Raises:
        UnreadableInputError: the folder is not laid out as it should be.
    """
    if not folder.is_dir():
        raise UnreadableInputError(
            f"'{folder}' is not a folder. Name one that holds <song>/<stem>.flac, or the folder of one song."
        )
    try:
        if any(is_sound_file(path) for path in folder.iterdir()):
            return (_read_song(folder),)
        folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
        songs = [path for path in folders if any(is_sound_file(file) for file in path.iterdir())]
    except PermissionError as error:
        raise UnreadableInputError(f"'{error.filename}' cannot be listed. Allow reading it.") from error
    if not songs:
        raise UnreadableInputError(
            f"'{folder}' holds no song. Put the true stems of each song in a folder of its own: "
            "<song>/vocals.flac, <song>/drums.flac, ..."
        )
    return tuple(_read_song(path) for path in songs)


def find_estimates(folder: Path, song: Song, *, alone: bool) -> dict[str, Path]:
    """The estimates of one song, by stem: ``folder/<song>/<stem>.<ext>``, and ``folder/<stem>.<ext>`` for a song alone.

    Raises:
        UnreadableInputError: there are none, or one has an unknown name.
    """
    within = folder / song.name
    if alone and not within.is_dir():
        within = folder
    files = _files_by_stem(within, ESTIMATES) if within.is_dir() else {}
    if not files:
        raise UnreadableInputError(
            f"There are no estimates of '{song.name}'. Put them in '{folder / song.name}', one file a stem."
        )
    return files


def aligned_blocks(paths: Sequence[Path]) -> Iterator[Samples]:
    """Reads files side by side: blocks ``(files, channels, samples)`` float32, of ``BLOCK`` samples but for the last.

    Raises:
        UnreadableInputError: a file cannot be read, or differs from the first in rate, channels or length.
    """
    from stemwright.audio.decode import Decoder

    with ExitStack() as stack:
        decoders = [stack.enter_context(Decoder(path)) for path in paths]
        for path, decoder in zip(paths, decoders, strict=True):
            _check_same("sample rate", decoders[0].format.sample_rate, decoder.format.sample_rate, paths[0], path)
            _check_same("number of channels", decoders[0].format.channels, decoder.format.channels, paths[0], path)
        streams = [_blocks_of(BLOCK, iter(decoder)) for decoder in decoders]
        done = 0
        while True:
            blocks = [next(stream, None) for stream in streams]
            lengths = [done + (0 if block is None else block.shape[-1]) for block in blocks]
            for path, length in zip(paths, lengths, strict=True):
                if length != lengths[0]:
                    shorter, longer = (path, paths[0]) if length < lengths[0] else (paths[0], path)
                    raise UnreadableInputError(
                        f"'{shorter}' ends after {min(length, lengths[0])} samples, before '{longer}'. "
                        "All files of a song must have the same length."
                    )
            whole = [block for block in blocks if block is not None]
            if not whole:
                return
            done = lengths[0]
            yield np.stack(whole)


def _blocks_of(length: int, blocks: Iterator[Samples]) -> Iterator[Samples]:
    """The same stream ``(channels, samples)`` in blocks of one length; only the last may be shorter."""
    held: list[Samples] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.shape[-1]
        while count >= length:
            joined = np.concatenate(held, axis=-1)
            yield joined[:, :length]
            held, count = [joined[:, length:]], count - length
    if count:
        yield np.concatenate(held, axis=-1)


def _read_song(folder: Path) -> Song:
    from stemwright.audio.decode import Decoder

    files = _files_by_stem(folder, (*STEMS, UNLABELLED))
    first = next(iter(files.values()))
    with Decoder(first) as decoder:
        return Song(folder.resolve().name, files, decoder.format.sample_rate, decoder.format.channels)


def _files_by_stem(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not is_sound_file(path):
            continue
        if path.stem not in names:
            raise UnreadableInputError(
                f"'{path}' is not named after a stem. Name the file {', '.join(names)}, or move it away."
            )
        if path.stem in files:
            raise UnreadableInputError(f"'{files[path.stem]}' and '{path}' are the same stem. Remove one of them.")
        files[path.stem] = path
    return {name: files[name] for name in names if name in files}


def _check_same(what: str, first: int, other: int, first_path: Path, path: Path) -> None:
    if first != other:
        raise UnreadableInputError(
            f"The {what} of '{path}' is {other}, that of '{first_path}' {first}. All files of a song must agree."
        )
