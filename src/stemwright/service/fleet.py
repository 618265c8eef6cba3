"""The workers of all machines: what they can run, and which plan ``auto`` therefore is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text

from stemwright.database.engine import Database
from stemwright.jobs.queue import task_memory_bytes
from stemwright.models import licences, registry
from stemwright.separation.auto_choice import AUTO, resolved
from stemwright.separation.model_choice import installed_choice, is_installed
from stemwright.separation.plan import plan_of
from stemwright.separation.plan import plans as all_plans
from stemwright.settings import Settings
from stemwright.stems import select

KEPT_S = 2.0
"""How long an answer of the database is used again, in seconds."""

LADDER = ("best", "good", "fast")
"""What ``auto`` takes from workers elsewhere, the best one first."""

SELECT = text(
    """
    SELECT workers.name, workers.device, workers.plans, workers.memory_mb, workers.release, workers.started_at,
        extract(epoch FROM clock_timestamp() - last_heartbeat)::float8 AS silent_s, jobs.args ->> 'task' AS task_id
    FROM workers JOIN procrastinate_workers USING (id)
        LEFT JOIN procrastinate_jobs AS jobs ON jobs.worker_id = workers.id AND jobs.status = 'doing'
    ORDER BY workers.name
    """
)


@dataclass(frozen=True)
class FleetWorker:
    """A worker.

    Attributes:
        plans: plans and models that it takes.
        memory_mb: memory that a task of its may take, in MB.
        started_at: seconds since 1970, by its own clock; silent_s: seconds since its last heartbeat.
        task_id: the task that it has in hand.
    """

    name: str
    device: str
    plans: tuple[str, ...]
    memory_mb: int
    release: str
    started_at: float
    silent_s: float
    task_id: str | None


class Fleet:
    """The workers of a database. Thread-safe.

    On SQLite, and while nothing is known of any worker, this machine counts as one with all that is installed here.
    """

    def __init__(self, database: Database, settings: Settings, steady: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._settings = settings
        self._steady = steady
        self._read_at = -KEPT_S
        self._plans: frozenset[str] = frozenset()

    def workers(self) -> list[FleetWorker]:
        """Returns all workers that have not been given up; SQLite has none of this kind."""
        if self._database.is_sqlite:
            return []
        with self._database.read() as session:
            rows = session.execute(SELECT).all()
        return [
            FleetWorker(
                row.name,
                row.device,
                tuple((row.plans or "").split(",")) if row.plans else (),
                row.memory_mb,
                row.release,
                row.started_at,
                max(0.0, row.silent_s),
                row.task_id,
            )
            for row in rows
        ]

    def plans(self) -> frozenset[str]:
        """Returns the plans that some worker takes, or that ``STEMWRIGHT_WORKER_PLANS`` promises; empty: not known."""
        if self._database.is_sqlite:
            return frozenset()
        now = self._steady()
        if now - self._read_at >= KEPT_S:
            found = {plan for worker in self.workers() for plan in worker.plans}
            self._plans = frozenset(found | set(self._settings.worker_plans)) if found else frozenset()
            self._read_at = now
        return self._plans

    def resolve(self, plan: str, stems: str) -> str:
        """Returns the name of a plan; for ``auto``, that of the best one that a worker has for these stems."""
        known = self.plans() if plan == AUTO else frozenset()
        return next((name for name in LADDER if name in known), None) or resolved(plan, stems)

    def may_run(self, plan: str) -> bool:
        """Whether a worker takes a plan, as far as is known."""
        known = self.plans()
        return not known or plan in known

    def has(self, plan: str, stems: str) -> bool:
        """Whether a plan can be ordered for these stems."""
        known = self.plans()
        return plan in known if known else is_installed(plan_of(plan), stems)


def installed_plans(device: str) -> dict[str, int]:
    """Returns the plans and models that this machine can run without a download.

    Args:
        device: where they would run: ``auto``, ``cpu``, ``cuda:0`` and so on.

    Returns:
        The memory in bytes that each takes; 0 on a GPU, or if it is unknown.
    """
    names = [plan.name for plan in all_plans()]
    names += [model.name for model in registry.models() if not model.removes]
    choices = {name: installed_choice(plan_of(name), select("twelve"), licences.policy()) for name in names}
    return {name: choice.memory_bytes(device) for name, choice in choices.items() if choice is not None}


def fitting_plans(settings: Settings) -> tuple[str, ...]:
    """Returns the installed plans and models whose memory a worker's task may take."""
    most = task_memory_bytes(settings)
    return tuple(name for name, needed_bytes in installed_plans(settings.device).items() if needed_bytes <= most)
