"""One process of a batch: takes one song after the other, until none is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from stemwright.batch.places import Source, Target
from stemwright.batch.song_facts import song_facts
from stemwright.batch.songs import LEASE_S, BatchSongs, SongLease
from stemwright.batch.work_folder import WorkFolder
from stemwright.errors import (
    CancelledError,
    DatabaseUnavailableError,
    ModelUnavailableError,
    StemwrightError,
    StorageError,
)
from stemwright.separation.progress import IsCancelled
from stemwright.separation.result import Result

POLL_S = 1.0
"""How often a process asks for songs of others that have died, once none waits."""

DATABASE_PATIENCE_S = 180.0
"""How long the database may be unreachable before the batch stops."""

Answer = TypeVar("Answer")
OnFailure = Callable[[str, StemwrightError], None]


class SeparateSong(Protocol):
    """Separates the file of a song into files in ``out/name/``, going on from what an interrupted run left there."""

    def __call__(self, song: Path, out: Path, name: str, is_cancelled: IsCancelled) -> Result:
        """Raises StemwrightErrors as ``Separator.separate_file``."""


class BatchWorker:
    """Works on the songs of a batch.

    Args:
        name: of this process, unique among all hosts.
        songs: the batch.
        source, target: where songs come from, and stems go.
        work: its working files.
        separate: separates one song.
        on_failure: is told of a song that failed.
        stopping: set from another thread; the worker then stops at the next chunk and hands its song back.
    """

    def __init__(
        self,
        name: str,
        songs: BatchSongs,
        source: Source,
        target: Target,
        work: WorkFolder,
        separate: SeparateSong,
        on_failure: OnFailure,
        stopping: threading.Event,
    ) -> None:
        self._name = name
        self._songs = songs
        self._source = source
        self._target = target
        self._work = work
        self._separate = separate
        self._on_failure = on_failure
        self._stopping = stopping
        self._has_separated = False

    def run(self) -> None:
        """Works until no song waits and none is running anywhere.

        Raises:
            StemwrightError: something that holds for all songs: a full disk, no database, no model.
            CancelledError: it was stopped.
        """
        while True:
            if self._stopping.is_set():
                raise CancelledError("Interrupted; the same command goes on from here.")
            lease = self._patiently(lambda: self._songs.claim(self._name, self._work.interrupted))
            if lease is not None:
                self._take(lease)
            elif self._patiently(self._songs.is_finished):
                self._work.clear()
                return
            else:
                self._stopping.wait(POLL_S)

    def _take(self, lease: SongLease) -> None:
        try:
            self._separate_and_publish(lease)
        except CancelledError:  # stopped, or the song is another's by now; the working files stay
            self._patiently(lambda: self._songs.release(lease))
        except DatabaseUnavailableError:
            raise  # the lease runs out
        except ModelUnavailableError as error:
            if not self._has_separated:  # without a model no song can be separated
                self._hand_back_at_once(lease)
                raise
            self._fail(lease, error)
        except StorageError:
            self._hand_back_at_once(lease)
            raise
        except StemwrightError as error:
            self._fail(lease, error)
        except Exception as error:
            sentence = f"An error that was not foreseen ({type(error).__name__}: {error}): please report it."
            self._fail(lease, StemwrightError(sentence))

    def _separate_and_publish(self, lease: SongLease) -> None:
        name = Path(lease.path).name
        folder = self._work.begin(lease.path)
        with self._holding(lease) as is_lost:
            song = self._source.fetch(lease.path, folder)
            result = self._separate(song, folder, name, lambda: self._stopping.is_set() or is_lost())
            facts = song_facts(lease.path, song, result)
            staged = self._target.stage(result.output_dir, lease.path)
            try:
                is_ours = self._patiently(lambda: self._songs.finish(lease, facts, staged.publish))
            finally:
                staged.discard()
        if is_ours:
            self._has_separated = True
        self._work.clear()

    def _fail(self, lease: SongLease, error: StemwrightError) -> None:
        if self._patiently(lambda: self._songs.fail(lease, error)):
            self._on_failure(lease.path, error)
        self._work.clear()

    def _hand_back_at_once(self, lease: SongLease) -> None:
        """Before the batch stops for another reason, which must not be hidden by this."""
        try:
            self._songs.release(lease)
        except StorageError:
            return

    @contextmanager
    def _holding(self, lease: SongLease) -> Iterator[Callable[[], bool]]:
        """Extends the lease from a thread; gives a function that tells whether it was lost."""
        ended, lost = threading.Event(), threading.Event()

        def extend() -> None:
            while not ended.wait(LEASE_S / 4):
                try:
                    if not self._songs.extend(lease):
                        lost.set()
                        return
                except StorageError:
                    continue  # nobody else gets it either, while the database is away

        thread = threading.Thread(target=extend, name="lease", daemon=True)
        thread.start()
        try:
            yield lost.is_set
        finally:
            ended.set()
            thread.join()

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Asks the database again while it cannot be reached."""
        deadline = time.monotonic() + DATABASE_PATIENCE_S
        while True:
            try:
                return ask()
            except DatabaseUnavailableError:
                if time.monotonic() > deadline or self._stopping.wait(POLL_S):
                    raise
