"""Lists of an account's tasks: filtered, in an order, and in pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.letter_case import lowered
from stemwright.service.errors import NotFound
from stemwright.service.task import Task, TaskState, task_from_row

Order = Literal["newest", "oldest", "title", "longest"]


@dataclass(frozen=True)
class TaskQuery:
    """Which tasks of an account, and in which order.

    Attributes:
        after: id of the last task of the page before; None for the first page.
        limit: most tasks of the page.
        state: only tasks in this state.
        title: only tasks of songs whose title has this text; case does not count.
        order: ``title`` from A to Z, ``longest`` song first.
    """

    after: str | None = None
    limit: int = 20
    state: TaskState | None = None
    title: str | None = None
    order: Order = "newest"


FIRST_PAGE = TaskQuery()


def list_tasks(session: Session, account_id: str, wanted: TaskQuery) -> list[Task]:
    """Returns a page of tasks, in a transaction.

    Raises:
        NotFound: there is no task ``after`` any more.
    """
    key, is_descending = _sort_key(wanted.order)
    query = _of_account(select(tables.Task), account_id)
    if wanted.state:
        query = query.where(tables.Task.state == wanted.state)
    if wanted.title:
        query = query.where(lowered(tables.Track.title.expression).contains(wanted.title.lower(), autoescape=True))
    if wanted.after:
        last = session.execute(_of_account(select(key), account_id).where(tables.Task.id == wanted.after)).one_or_none()
        if last is None:
            raise NotFound("The task after which the page starts no longer exists; start again from the first page.")
        follows = key < last[0] if is_descending else key > last[0]
        follows_id = tables.Task.id < wanted.after if is_descending else tables.Task.id > wanted.after
        query = query.where(or_(follows, and_(key == last[0], follows_id)))
    columns = (key, tables.Task.id)
    query = query.order_by(*((column.desc() if is_descending else column.asc()) for column in columns))
    return [task_from_row(session, row) for row in session.scalars(query.limit(wanted.limit))]


def _of_account(query: Select[Any], account_id: str) -> Select[Any]:
    track = and_(tables.Track.id == tables.Task.track_id, tables.Track.account_id == tables.Task.account_id)
    return query.select_from(tables.Task).outerjoin(tables.Track, track).where(tables.Task.account_id == account_id)


def _sort_key(order: Order) -> tuple[ColumnElement[Any], bool]:
    """What tasks are sorted by, and whether the largest comes first."""
    match order:
        case "newest":
            return tables.Task.created_at.expression, True
        case "oldest":
            return tables.Task.created_at.expression, False
        case "title":
            return lowered(func.coalesce(tables.Track.title, "")), False
        case "longest":
            return func.coalesce(tables.Task.seconds, tables.Track.seconds, 0.0), True
