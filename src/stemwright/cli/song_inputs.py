"""The songs of a command line: files, folders, standard input; and the output folder of each."""

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
        source: path of the song, or ``-``; used in messages and results.
        name: folder of its stems, unique in this run.
    """

    source: str
    name: str


@dataclass(frozen=True)
class MissingSong:
    """An argument without a usable song, and the reason."""

    source: str
    error: StemwrightError


def find_songs(song_arguments: Sequence[str], out: Path) -> list[SongInput | MissingSong]:
    """All songs, in the order of the command line; those in folders sorted by path.

    A second song of the same name becomes ``name (2)``, a third ``name (3)``. Files under ``out`` are skipped.

    Raises:
        UsageError: standard input is given twice, or is a terminal.
    """
    from stemwright.separation.naming import song_folder_name

    if list(song_arguments).count(STDIN) > 1:
        raise UsageError("Standard input (-) holds one song; give it once.")
    if STDIN in song_arguments and sys.stdin.isatty():
        raise UsageError(
            "Standard input (-) is a terminal; give a file, or redirect one: stemwright separate - < song."
        )
    found: list[SongInput | MissingSong] = []
    used: set[str] = set()
    for argument in song_arguments:
        try:
            songs = [argument] if argument == STDIN else _songs_in(arguments.path(argument, "song"), out)
        except (UnreadableInputError, UsageError) as error:
            found.append(MissingSong(argument, error))
            continue
        for song in songs:
            title = "stdin" if song == STDIN else song_folder_name(Path(song).stem)
            found.append(SongInput(song, _unique_name(used, title)))
    return found


@contextmanager
def open_song(song: SongInput) -> Iterator[Path]:
    """The file of a song. Standard input is copied to a temporary file in the cache folder.

    Raises:
        UnreadableInputError: standard input is empty.
        StorageError: the cache folder cannot be written.
    """
    if song.source != STDIN:
        yield Path(song.source)
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
            raise UnreadableInputError("Standard input is empty; pipe an audio file into it.")
        yield path


def _songs_in(path: Path, out: Path) -> list[str]:
    """The path itself, or the audio files of a folder and its subfolders, without hidden ones."""
    from stemwright.sound_files import SUFFIXES, is_sound_file

    if not path.is_dir():
        return [str(path)]
    output_folder = out.resolve()
    files: list[Path] = []
    for folder, below, names in os.walk(path, onerror=_cannot_list):
        here = Path(folder)
        below[:] = [name for name in below if not name.startswith(".") and (here / name).resolve() != output_folder]
        files.extend(here / name for name in names if is_sound_file(here / name))
    if not files:
        raise UnreadableInputError(
            f"The folder '{path}' contains no audio file; give one that does ({' '.join(sorted(SUFFIXES))})."
        )
    return [str(file) for file in sorted(files)]


def _cannot_list(error: OSError) -> None:
    raise UnreadableInputError(
        f"The folder '{error.filename}' cannot be listed ({error.strerror}); change its permissions."
    ) from error


def _unique_name(used: set[str], title: str) -> str:
    """The title, with a number if it is used already; also on file systems that ignore case or normalise Unicode."""
    name, number = title, 1
    while _comparison_key(name) in used:
        number += 1
        name = f"{title} ({number})"
    used.add(_comparison_key(name))
    return name


def _comparison_key(name: str) -> str:
    """Equal for names that some file systems treat as one: they differ in case or in Unicode normalisation."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
