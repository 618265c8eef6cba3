"""The songs that were named: files, folders, standard input; and the folder that each one's stems get."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stemwright import arguments
from stemwright.errors import StemwrightError, UnreadableInputError, UsageError, storage_error

STDIN = "-"


@dataclass(frozen=True)
class SongInput:
    """One song to separate.

    Attributes:
        named: the song as messages and results call it.
        name: folder of its stems, unlike that of every other song of this run.
    """

    named: str
    name: str


@dataclass(frozen=True)
class NoSong:
    """What was named, and why there is no song in it."""

    named: str
    error: StemwrightError


def find_songs(named: Sequence[str], out: Path) -> list[SongInput | NoSong]:
    """All songs, in the order of the command line; those in folders sorted by path.

    A second song of the same name becomes ``name (2)``, a third ``name (3)``. Stems that lie under ``out`` already are no
    songs.

    Raises:
        UsageError: standard input is named twice, or is a terminal.
    """
    from stemwright.separation.naming import song_folder_name

    if list(named).count(STDIN) > 1:
        raise UsageError("Standard input (-) holds one song; name it once.")
    if STDIN in named and sys.stdin.isatty():
        raise UsageError(
            "Nothing is piped into standard input (-); name a file, or pipe one: stemwright separate - < song."
        )
    found: list[SongInput | NoSong] = []
    taken: set[str] = set()
    for argument in named:
        try:
            songs = [argument] if argument == STDIN else _songs_below(arguments.path(argument, "song"), out)
        except (UnreadableInputError, UsageError) as error:
            found.append(NoSong(argument, error))
            continue
        for song in songs:
            title = "stdin" if song == STDIN else song_folder_name(Path(song).stem)
            found.append(SongInput(song, _unlike(taken, title)))
    return found


@contextmanager
def opened(song: SongInput) -> Iterator[Path]:
    """The file of a song. Standard input lies in a temporary file of the cache folder as long as it is needed.

    Raises:
        UnreadableInputError: standard input is empty.
        StorageError: the cache folder cannot take it.
    """
    if song.named != STDIN:
        yield Path(song.named)
        return
    from stemwright.cache import writable_cache_folder

    with tempfile.TemporaryDirectory(prefix="stdin-", dir=writable_cache_folder()) as folder:
        path = Path(folder) / "stdin"
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        except OSError as error:
            raise storage_error(error, path) from error
        if not path.stat().st_size:
            raise UnreadableInputError("Standard input is empty; pipe a sound file into it.")
        yield path


def _songs_below(path: Path, out: Path) -> list[str]:
    """The path itself, or the sound files of a folder and its folders, without hidden ones."""
    from stemwright.sound_files import SUFFIXES, is_sound_file

    if not path.is_dir():
        return [str(path)]
    written = out.resolve()
    files: list[Path] = []
    for folder, below, names in os.walk(path, onerror=_cannot_list):
        here = Path(folder)
        below[:] = [name for name in below if not name.startswith(".") and (here / name).resolve() != written]
        files.extend(here / name for name in names if is_sound_file(here / name))
    if not files:
        raise UnreadableInputError(
            f"The folder '{path}' holds no sound file; name one that does ({' '.join(sorted(SUFFIXES))})."
        )
    return [str(file) for file in sorted(files)]


def _cannot_list(error: OSError) -> None:
    raise UnreadableInputError(
        f"The folder '{error.filename}' cannot be listed ({error.strerror}); allow reading it."
    ) from error


def _unlike(taken: set[str], title: str) -> str:
    """The title, with a number where it is taken; file systems that ignore case or normalise must not mix two songs."""
    name, number = title, 1
    while _alike(name) in taken:
        number += 1
        name = f"{title} ({number})"
    taken.add(_alike(name))
    return name


def _alike(name: str) -> str:
    """What is the same of names that some file systems take for one: in case, or in how accents are written."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
