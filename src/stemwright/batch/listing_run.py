"""The listing of a source, song by song into the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from stemwright.batch.listing import chunks
from stemwright.batch.places import Source
from stemwright.batch.songs import BatchSongs
from stemwright.errors import UnreadableInputError
from stemwright.sound_files import SUFFIXES

CHUNK_SONGS = 1000

News = Literal["new", "changed", "waiting", "running", "done", "failed"]


def add_songs(songs: BatchSongs, source: Source, on_chunk: Callable[[int], None]) -> int:
    """Adds all songs of the source that the batch does not have, or not as they are now; returns how many there are.

    Args:
        songs: the batch.
        source: its songs.
        on_chunk: called with the number so far.

    Raises:
        UnreadableInputError: the source cannot be listed, or has no song.
        StorageError: the store or the database cannot be used.
    """
    total = 0
    for chunk in chunks(source.songs(), CHUNK_SONGS):
        songs.add(chunk)
        total += len(chunk)
        on_chunk(total)
    if not total:
        raise _empty(source)
    return total


def count_songs(songs: BatchSongs | None, source: Source) -> Counter[News]:
    """What a run would find, without writing anything.

    Raises:
        UnreadableInputError: the source cannot be listed, or has no song.
        StorageError: the store or the database cannot be used.
    """
    found: Counter[News] = Counter()
    for chunk in chunks(source.songs(), CHUNK_SONGS):
        known = songs.known(chunk) if songs is not None else {}
        for song in chunk:
            version, state = known.get(song.path, ("", "failed"))
            found["new" if song.path not in known else state if version == song.version else "changed"] += 1
    if not found:
        raise _empty(source)
    return found


def _empty(source: Source) -> UnreadableInputError:
    return UnreadableInputError(
        f"{source.name} contains no audio file; give a SRC that does ({' '.join(sorted(SUFFIXES))})."
    )
