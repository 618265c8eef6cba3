"""A rendering: the stems of a separation at another speed or in another key. Its files are derived files of the stems."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.service.blobs import start_grace_period
from stemwright.speed_and_key import SpeedAndKey
from stemwright.storage.blob import StoredBlob

if TYPE_CHECKING:
    from stemwright.service.task import Task  # which needs the quota, which counts renderings

RenderingState = Literal["running", "succeeded", "failed"]

MIX = "mix"
"""Name of the song among the files; no stem has it."""

_PREFIX = "rendering "


@dataclass(frozen=True)
class Rendering:
    """How far a rendering is.

    Attributes:
        wanted: its speed and key.
        progress: from 0 to 1.
        sample_rate: Hz; samples: of each stem.
        size_bytes: of its files, 0 until they are there.
        error: why it failed.
    """

    wanted: SpeedAndKey
    state: RenderingState
    progress: float
    sample_rate: int
    samples: int
    size_bytes: int
    created_at: float
    error: str | None = None


@dataclass(frozen=True)
class RenderedFile:
    """A file of a rendering, and when it was last used."""

    blob: StoredBlob
    format: str
    used_at: float


def kind_of(rendering_id: str, name: str, fmt: str) -> str:
    """The kind of the derived file that is a part of a rendering: a stem, or ``MIX``."""
    return f"{_PREFIX}{rendering_id} {name}.{fmt}"


def is_file_of(rendering_ids: Collection[str] | Select[str]) -> ColumnElement[bool]:
    """SQL condition: a derived file is one of these renderings'. Add one on its source, which has an index."""
    kind = tables.DerivedFile.kind
    return kind.startswith(_PREFIX) & func.substr(kind, len(_PREFIX) + 1, 32).in_(rendering_ids)


def is_file_at(task_ids: Collection[str], rendering_ids: Collection[str]) -> ColumnElement[bool]:
    """SQL condition: a derived file is one of these renderings', which are of these tasks."""
    sources = select(tables.Stem.blob).where(tables.Stem.task_id.in_(task_ids))
    return tables.DerivedFile.source.in_(sources) & is_file_of(rendering_ids)


def files_of(session: Session, task_id: str, rendering_id: str) -> dict[str, RenderedFile]:
    """The files of a rendering of a task, by their names."""
    rows = session.scalars(select(tables.DerivedFile).where(is_file_at([task_id], [rendering_id])))
    found = {}
    for row in rows:
        name, _, fmt = row.kind.rpartition(" ")[2].rpartition(".")
        found[name] = RenderedFile(StoredBlob(row.blob, row.size_bytes), fmt, row.used_at)
    return found


def is_complete(files: Mapping[str, RenderedFile], task: Task) -> bool:
    """Whether each stem has its file: those that nobody uses are deleted after a while."""
    return all(stem.name in files for stem in task.stems)


def delete_renderings(session: Session, task_ids: Collection[str], rendering_ids: Collection[str], now: float) -> None:
    """Deletes renderings of these tasks, with their files, in a transaction. Whoever makes one finds that it is gone."""
    if not rendering_ids:
        return
    table = tables.DerivedFile
    theirs = is_file_at(task_ids, rendering_ids)
    start_grace_period(session, session.scalars(select(table.blob).where(theirs)).all(), now)
    session.execute(delete(table).where(theirs), execution_options={"synchronize_session": False})
    session.execute(delete(tables.Rendering).where(tables.Rendering.id.in_(rendering_ids)))


def delete_renderings_of(session: Session, task_ids: Collection[str], now: float) -> None:
    """Deletes all renderings of these tasks, in a transaction that deletes the tasks."""
    ids = session.scalars(select(tables.Rendering.id).where(tables.Rendering.task_id.in_(task_ids))).all()
    delete_renderings(session, task_ids, ids, now)
