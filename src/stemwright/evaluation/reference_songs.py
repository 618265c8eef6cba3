"""Songs with true stems: ``<song>/<class>.flac`` (or another format), with all files of a song of equal length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import UnreadableInputError
from stemwright.evaluation.comparisons import ESTIMATES, UNLABELLED
from stemwright.sound_files import is_sound_file
from stemwright.stems import STEMS

BLOCK = 1 << 16
"""Block length in samples: 1.5 s at 44.1 kHz."""

Samples = NDArray[np.float32]

Files = Path | tuple[Path, ...]
"""One file, or several that are summed."""


@dataclass(frozen=True)
class ReferenceSong:
    """The true stems of one song.

    Attributes:
        name: the folder's name.
        stems: file of each true stem, by its name, in the order of the vocabulary.
        sample_rate: Hz, of all files.
        channels: channels of all files.
        mix: file of the mix; None if it is the sum of the stems.
        coarse: the stems of each label that is coarser than the vocabulary, such as ``other``.
        uneven: whether shorter files are padded with silence.
        joint_frames: whether cSDR ignores a second in which any of the song's stems is silent, as in museval.
    """

    name: str
    stems: Mapping[str, Files]
    sample_rate: int
    channels: int
    mix: Path | None = None
    coarse: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    uneven: bool = False
    joint_frames: bool = False

    @property
    def is_one_stem(self) -> bool:
        """Whether there is nothing to separate; such songs are excluded from medians."""
        return len(self.stems) == 1

    @property
    def is_fully_labelled(self) -> bool:
        """Whether stems without a file are known to be absent."""
        return UNLABELLED not in self.stems

    @property
    def playing(self) -> tuple[str, ...] | None:
        """The stems that play, of the twelve; None if a label is coarser than these, or names none of them."""
        return tuple(self.stems) if set(self.stems) <= set(STEMS) else None

    def blocks(self) -> Iterator[Samples]:
        """The true stems, block by block: ``(stems, channels, samples)`` float32."""
        return aligned_blocks(tuple(self.stems.values()), uneven=len(self.stems) if self.uneven else 0)

    def sources(self) -> Iterator[Samples]:
        """Blocks that add up to the mix: the true stems and, if the mix is a file, its remainder."""
        if self.mix is None:
            yield from self.blocks()
            return
        for block in aligned_blocks((*self.stems.values(), self.mix), uneven=len(self.stems) if self.uneven else 0):
            block[-1] -= block[:-1].sum(axis=0)
            yield block


def find_songs(folder: Path) -> tuple[ReferenceSong, ...]:
    """Reads a folder of songs, or the folder of one song.

    Raises:
        UnreadableInputError: the folder has another layout.
    """
    folders = song_folders(folder, "<song>/vocals.flac, <song>/drums.flac, ..., or the files of one song")
    return tuple(_read_song(path) for path in folders)


def find_estimates(folder: Path, song: ReferenceSong, *, is_only_song: bool) -> dict[str, Path]:
    """The estimates of one song, by stem: ``folder/<song>/<stem>.<ext>``, and ``folder/<stem>.<ext>`` for a single song.

    Raises:
        UnreadableInputError: there are none, or one has an unknown name.
    """
    estimates_dir = estimates_folder(folder, song, is_only_song=is_only_song)
    files = _files_by_stem(estimates_dir, ESTIMATES) if estimates_dir.is_dir() else {}
    if not files:
        raise no_estimates(folder, song)
    return files


def estimates_folder(folder: Path, song: ReferenceSong, *, is_only_song: bool) -> Path:
    """Folder of a song's estimates: ``folder/<song>``, or ``folder`` itself for a single song."""
    estimates_dir = folder / song.name
    return folder if is_only_song and not estimates_dir.is_dir() else estimates_dir


def no_estimates(folder: Path, song: ReferenceSong) -> UnreadableInputError:
    """The error for a song without estimates."""
    return UnreadableInputError(
        f"There are no estimates of '{song.name}'. Put them in '{folder / song.name}', one file a stem."
    )


def sound_files(folder: Path) -> list[Path]:
    """The audio files in a folder, sorted by name."""
    return [path for path in list_folder(folder) if is_sound_file(path)]


def list_folder(folder: Path) -> list[Path]:
    """The entries of a folder, sorted by name.

    Raises:
        UnreadableInputError: it cannot be listed.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UnreadableInputError(
            f"'{folder}' cannot be listed ({error.strerror}). Change its permissions."
        ) from error


def song_folders(folder: Path, expected: str) -> tuple[Path, ...]:
    """The folders that contain audio files: ``folder`` itself, or else its subfolders, sorted by name.

    Args:
        folder: the user's folder.
        expected: short description of the layout, for the error.

    Raises:
        UnreadableInputError: there are none, or the folder cannot be listed.
    """
    if not folder.is_dir():
        raise UnreadableInputError(f"'{folder}' is not a folder. Name one that holds {expected}.")
    if sound_files(folder):
        return (folder,)
    below = [path for path in list_folder(folder) if path.is_dir() and not path.name.startswith(".")]
    songs = tuple(path for path in below if sound_files(path))
    if not songs:
        raise UnreadableInputError(f"'{folder}' contains no song. Put each song in a folder of its own: {expected}.")
    return songs


def aligned_blocks(signals: Sequence[Files], *, uneven: int = 0) -> Iterator[Samples]:
    """Reads signals in parallel: float32 blocks ``(signals, channels, samples)`` of ``BLOCK`` samples, the last
    shorter.

    Args:
        signals: the files of each signal, which are summed.
        uneven: number of leading signals whose shorter files are padded with silence.

    Raises:
        UnreadableInputError: a file cannot be read, or differs from the first in rate, channels or length.
    """
    from stemwright.audio.decode import Decoder

    groups = [(files,) if isinstance(files, Path) else files for files in signals]
    paths = [path for group in groups for path in group]
    n_uneven = sum(len(group) for group in groups[:uneven])
    starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    with ExitStack() as stack:
        decoders = [stack.enter_context(Decoder(path)) for path in paths]
        for path, decoder in zip(paths, decoders, strict=True):
            _check_same("sample rate", decoders[0].format.sample_rate, decoder.format.sample_rate, paths[0], path)
            _check_same("number of channels", decoders[0].format.channels, decoder.format.channels, paths[0], path)
        streams = [blocks_of(BLOCK, iter(decoder)) for decoder in decoders]
        done = 0
        while True:
            blocks = [next(stream, None) for stream in streams]
            lengths = [0 if block is None else block.shape[-1] for block in blocks]
            longest = max(lengths)
            for path, length in zip(paths[n_uneven:], lengths[n_uneven:], strict=True):
                if length < longest:
                    raise UnreadableInputError(
                        f"'{path}' ends after {done + length} samples, before '{paths[lengths.index(longest)]}'. "
                        "All files of a song must have the same length."
                    )
            if not longest:
                return
            done += longest
            channels = decoders[0].format.channels
            filled = np.stack([_filled(block, channels, longest) for block in blocks])
            yield filled if len(filled) == len(groups) else np.add.reduceat(filled, starts, axis=0)


def _filled(block: Samples | None, channels: int, length: int) -> Samples:
    """The block padded with silence, ``(channels, length)``."""
    if block is None:
        return np.zeros((channels, length), np.float32)
    missing = length - block.shape[-1]
    return np.pad(block, ((0, 0), (0, missing))) if missing else block


def blocks_of(length: int, blocks: Iterator[Samples]) -> Iterator[Samples]:
    """The same stream ``(..., samples)`` in blocks of equal length; only the last may be shorter."""
    pending: list[Samples] = []
    count = 0
    for block in blocks:
        pending.append(block)
        count += block.shape[-1]
        while count >= length:
            joined = np.concatenate(pending, axis=-1)
            yield joined[..., :length]
            pending, count = [joined[..., length:]], count - length
    if count:
        yield np.concatenate(pending, axis=-1)


def _read_song(folder: Path) -> ReferenceSong:
    files = _files_by_stem(folder, (*STEMS, UNLABELLED))
    return ReferenceSong(folder.resolve().name, files, *sound_format(next(iter(files.values()))))


def sound_format(path: Path) -> tuple[int, int]:
    """Sample rate in Hz and number of channels of a file.

    Raises:
        UnreadableInputError: it cannot be read.
    """
    from stemwright.audio.decode import Decoder

    with Decoder(path) as decoder:
        return decoder.format.sample_rate, decoder.format.channels


def _files_by_stem(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sound_files(folder):
        if path.stem not in names:
            hint = " Data sets with such files have a --layout." if path.stem in ("mixture", "other") else ""
            raise UnreadableInputError(
                f"'{path}' is not named after a stem. Name the file {', '.join(names)}, or move it away.{hint}"
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
