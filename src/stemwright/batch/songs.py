"""The songs of a batch as rows of the database: which wait, who works on which, what became of them.

A lease has a token, as a lease of ``jobs`` has: a process that lost its lease can neither publish a song nor end it. The
times of leases are the database's, because the clocks of hosts differ.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import Double, Table, and_, func, literal, null, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import ColumnElement

from stemwright.batch.listing import ListedSong
from stemwright.batch.options import BatchOptions
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.database.statements import conflict_insert, insert_if_missing
from stemwright.database.tables import Batch, BatchSong
from stemwright.errors import StemwrightError

State = Literal["waiting", "running", "done", "failed"]

LEASE_S = 60.0
"""How long a song stays with a process that is not heard of any more."""

MAX_ATTEMPTS = 3
"""A song fails once so many processes have died while they worked on it."""

PAGE_ROWS = 1000

LOST = (
    f"{MAX_ATTEMPTS} processes died while they worked on this song: look for it in the system's log (was memory short?), "
    "then run again with --retry-failed."
)
_FREE = {"leased_by": None, "leased_until": None, "token": None}


@dataclass(frozen=True)
class SongLease:
    """The right to work on a song, until the lease is replaced."""

    path: str
    version: str
    token: str


class BatchSongs:
    """The songs of one batch. Thread-safe; each process opens its own.

    Args:
        database: is migrated.
        batch_id: of the batch.
        clock: seconds since 1970, for SQLite; PostgreSQL has its own.
    """

    def __init__(self, database: Database, batch_id: str, clock: Callable[[], float] = time.time) -> None:
        self.batch_id = batch_id
        self._database = database
        self._clock = clock

    @classmethod
    def begin(cls, database: Database, target: str, options: BatchOptions) -> BatchSongs:
        """Opens the batch of a target, or begins it.

        Raises:
            UsageError: it was begun with other options.
        """
        with database.write() as session:
            insert_if_missing(session, Batch, id=uuid.uuid4().hex, target=target, options=options.to_dict())
        found = cls.find(database, target, options)
        assert found is not None
        return found

    @classmethod
    def find(cls, database: Database, target: str, options: BatchOptions) -> BatchSongs | None:
        """Opens the batch of a target; None if there is none.

        Raises:
            UsageError: it was begun with other options.
        """
        with database.read() as session:
            batch = session.scalar(select(Batch).where(Batch.target == target))
            if batch is None:
                return None
            options.check_same(batch.options, target)
            return cls(database, batch.id)

    @retry_conflicts
    def add(self, songs: Collection[ListedSong]) -> None:
        """Adds songs. One that is known and has changed waits again; a running one is left alone until the next run."""
        table = cast(Table, BatchSong.__table__)
        rows = [
            {
                "batch_id": self.batch_id,
                "path": song.path,
                "version": song.version,
                "state": "failed" if song.error else "waiting",
                "attempts": 0,
                "error": song.error,
                "exit_code": song.exit_code,
            }
            for song in sorted(songs, key=lambda song: song.path)  # hosts that add the same lock in the same order
        ]
        with self._database.write() as session:
            statement = conflict_insert(session, BatchSong)
            new = statement.excluded
            changed = or_(table.c.version != new.version, new.state == "failed")
            statement = statement.on_conflict_do_update(
                index_elements=["batch_id", "path"],
                set_={
                    **{name: new[name] for name in ("version", "state", "attempts", "error", "exit_code")},
                    "facts": null(),
                },
                where=and_(changed, table.c.state != "running"),
            )
            session.execute(statement, rows)

    @retry_conflicts
    def retry_failed(self) -> None:
        """Lets the songs that failed wait again."""
        with self._database.write() as session:
            session.execute(
                update(BatchSong)
                .where(self._in_state("failed"))
                .values(state="waiting", attempts=0, error=None, exit_code=0)
                .execution_options(synchronize_session=False)
            )

    @retry_conflicts
    def claim(self, worker: str, preferred: str | None = None) -> SongLease | None:
        """Leases a song to a worker; None if none waits.

        Args:
            worker: its name.
            preferred: a song that is taken before others if it waits.
        """
        expired = and_(self._in_state("running"), BatchSong.leased_until <= self._now())
        waiting = self._in_state("waiting")
        with self._database.write() as session:
            session.execute(
                update(BatchSong)
                .where(expired, BatchSong.attempts >= MAX_ATTEMPTS)
                .values(state="failed", error=LOST, exit_code=StemwrightError.exit_code, **_FREE)
                .execution_options(synchronize_session=False)
            )
            for candidates in (and_(waiting, BatchSong.path == preferred), expired, waiting):
                chosen = select(BatchSong.path).where(candidates).order_by(BatchSong.path).limit(1)
                token = uuid.uuid4().hex
                taken = session.execute(
                    update(BatchSong)
                    .where(
                        BatchSong.batch_id == self.batch_id,
                        BatchSong.path == chosen.with_for_update(skip_locked=True).scalar_subquery(),
                    )
                    .values(
                        state="running",
                        attempts=BatchSong.attempts + 1,
                        leased_by=worker,
                        leased_until=self._now() + LEASE_S,
                        token=token,
                    )
                    .returning(BatchSong.path, BatchSong.version)
                    .execution_options(synchronize_session=False)
                ).one_or_none()
                if taken is not None:
                    return SongLease(taken.path, taken.version, token)
        return None

    def extend(self, lease: SongLease) -> bool:
        """Extends a lease; False if it is no longer valid: the holder must stop."""
        return self._end(lease, leased_until=self._now() + LEASE_S)

    def release(self, lease: SongLease) -> bool:
        """Hands a song back without counting the attempt."""
        return self._end(lease, state="waiting", attempts=BatchSong.attempts - 1, **_FREE)

    def fail(self, lease: SongLease, error: StemwrightError) -> bool:
        """Ends a song with an error; False if the lease is no longer valid."""
        return self._end(lease, state="failed", error=str(error), exit_code=error.exit_code, **_FREE)

    def finish(self, lease: SongLease, facts: dict[str, Any], publish: Callable[[], None]) -> bool:
        """Gives the stems of a song their names and ends it, while nobody else can take it.

        Args:
            lease: of the song.
            facts: its line in the manifest.
            publish: gives the stems their names, quickly.

        Returns:
            False if the lease is no longer valid: then ``publish`` was not called.
        """
        with self._database.write() as session:
            if session.scalar(select(BatchSong.path).where(*self._is(lease)).with_for_update()) is None:
                return False
            publish()
            session.execute(update(BatchSong).where(*self._is(lease)).values(state="done", facts=facts, **_FREE))
        return True

    @retry_conflicts
    def release_worker(self, worker: str, *, counts: bool = True) -> bool:
        """Ends the lease of a dead worker; its song waits again, or fails after too many deaths.

        Args:
            worker: its name.
            counts: whether the attempt counts; False if the user ended it.

        Returns:
            Whether it had a song.
        """
        with self._database.write() as session:
            held = session.scalars(
                select(BatchSong).where(self._in_state("running"), BatchSong.leased_by == worker).with_for_update()
            ).all()
            for song in held:
                song.leased_by = song.leased_until = song.token = None
                song.state = "waiting"
                if not counts:
                    song.attempts -= 1
                elif song.attempts >= MAX_ATTEMPTS:
                    song.state, song.error, song.exit_code = "failed", LOST, StemwrightError.exit_code
            return bool(held)

    def counts(self) -> dict[str, int]:
        """The number of songs in each state."""
        with self._database.read() as session:
            statement = (
                select(BatchSong.state, func.count())
                .where(BatchSong.batch_id == self.batch_id)
                .group_by(BatchSong.state)
            )
            found = {row[0]: row[1] for row in session.execute(statement)}
        return {state: found.get(state, 0) for state in ("waiting", "running", "done", "failed")}

    def is_finished(self) -> bool:
        """Whether no song waits and none is running."""
        with self._database.read() as session:
            return all(
                session.scalar(select(BatchSong.path).where(self._in_state(state)).limit(1)) is None
                for state in ("waiting", "running")
            )

    def exit_code(self) -> int:
        """The exit code of the first song that failed; 0 if none has."""
        with self._database.read() as session:
            statement = select(BatchSong.exit_code).where(self._in_state("failed")).order_by(BatchSong.path).limit(1)
            return session.scalar(statement) or 0

    def known(self, songs: Collection[ListedSong]) -> dict[str, tuple[str, State]]:
        """The version and state of those of these songs that the batch has, by path."""
        paths = [song.path for song in songs]
        with self._database.read() as session:
            statement = select(BatchSong.path, BatchSong.version, BatchSong.state)
            rows = session.execute(statement.where(BatchSong.batch_id == self.batch_id, BatchSong.path.in_(paths)))
            return {row.path: (row.version, cast(State, row.state)) for row in rows}

    def done(self) -> Iterator[dict[str, Any]]:
        """The facts of the songs that are done, sorted by path."""
        for _, facts in self._pages("done", BatchSong.facts):
            yield facts

    def failures(self) -> Iterator[tuple[str, str]]:
        """Path and error of the songs that failed, sorted by path."""
        yield from self._pages("failed", BatchSong.error)

    def _pages(self, state: State, column: InstrumentedAttribute[Any]) -> Iterator[tuple[str, Any]]:
        last = ""
        while True:
            statement = select(BatchSong.path, column).where(self._in_state(state), BatchSong.path > last)
            with self._database.read() as session:
                page = session.execute(statement.order_by(BatchSong.path).limit(PAGE_ROWS)).all()
            yield from ((path, value) for path, value in page)
            if len(page) < PAGE_ROWS:
                return
            last = page[-1][0]

    @retry_conflicts
    def _end(self, lease: SongLease, **values: Any) -> bool:
        with self._database.write() as session:
            held = session.execute(
                update(BatchSong)
                .where(*self._is(lease))
                .values(**values)
                .returning(BatchSong.path)
                .execution_options(synchronize_session=False)
            )
            return held.one_or_none() is not None

    def _is(self, lease: SongLease) -> tuple[ColumnElement[bool], ...]:
        return BatchSong.batch_id == self.batch_id, BatchSong.path == lease.path, BatchSong.token == lease.token

    def _in_state(self, state: State) -> ColumnElement[bool]:
        return and_(BatchSong.batch_id == self.batch_id, BatchSong.state == state)

    def _now(self) -> ColumnElement[float]:
        if self._database.is_sqlite:
            return literal(self._clock(), Double)
        return func.extract("epoch", func.clock_timestamp()).cast(Double)
