"""The ladder of plans, from the network in the wheel to the best published ones, as it stands on this machine.

Everything is found from files and from measurements that are kept in the cache folder: nothing is loaded, measured or
downloaded here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stemwright.cpu_memory_limits import memory_bytes
from stemwright.errors import ModelUnavailableError
from stemwright.models import devices, speed, weight_store
from stemwright.models.licences import Policy
from stemwright.models.registry import Model, PublishedScore
from stemwright.separation.model_choice import choose_models, installed_choice
from stemwright.separation.plan import Plan, plan_of
from stemwright.stems import Selection

LADDER = ("fast", "good", "best")
"""The plans among which ``auto`` chooses, each better and slower than the one before."""

MAX_TIME_RATIO = 4.0
"""Seconds of work for a second of song that a plan may take by default."""


@dataclass(frozen=True)
class Rung:
    """A plan of the ladder for the parts of a selection.

    Attributes:
        plan: the plan.
        models: the models that it has once it is downloaded; empty if none is allowed.
        installed: the models that it has with what is installed; None if that is not enough.
        time_ratio: seconds of work for a second of song with ``models``; infinite if unknown, or if there are none.
        installed_time_ratio: the same with ``installed``.
    """

    plan: Plan
    models: tuple[Model, ...]
    installed: tuple[Model, ...] | None
    time_ratio: float
    installed_time_ratio: float

    @property
    def name(self) -> str:
        """Name of the plan."""
        return self.plan.name

    @property
    def published(self) -> tuple[Model, ...]:
        """Its models that are not in the wheel."""
        return tuple(model for model in self.models if not model.in_wheel)

    @property
    def missing(self) -> tuple[Model, ...]:
        """Its models that would have to be downloaded."""
        return tuple(model for model in self.models if not weight_store.is_available(model))

    @property
    def download_bytes(self) -> int:
        """Bytes of files that would have to be downloaded."""
        files = {file.name: file for model in self.missing for file in model.files}
        return sum(file.size_bytes for file in files.values() if not weight_store.is_available(file))

    @property
    def licences(self) -> tuple[str, ...]:
        """Licences of its weights, each once; those of the published models if it has any."""
        return tuple(dict.fromkeys(model.licence for model in self.published or self.models))

    @property
    def scores(self) -> tuple[PublishedScore, ...]:
        """Published scores of the stems that it separates: for each stem those of the first model that gives it.

        All are of one protocol, the one that covers the most stems.
        """
        by_protocol: dict[tuple[str, str], dict[str, PublishedScore]] = {}
        for model in self.published:
            for score in model.scores:
                by_protocol.setdefault((score.protocol, score.source), {}).setdefault(score.stem, score)
        return tuple(max(by_protocol.values(), key=len, default={}).values())

    @property
    def memory_bytes(self) -> int:
        """Memory that its largest model takes on a CPU, with its weights; 0 if unknown."""
        return max(map(devices.memory_bytes_of, self.models), default=0)

    @property
    def needs_torch(self) -> bool:
        """Whether PyTorch has to be installed first."""
        return not all(map(devices.has_runtime, self.models))

    @property
    def can_run(self) -> bool:
        """Whether this machine could run it once it is downloaded."""
        return bool(self.models) and not self.needs_torch and self.memory_bytes <= memory_bytes()


@dataclass(frozen=True)
class TimeLimit:
    """How long a separation may take: ``max_minutes``, or a few times the song's length.

    Attributes:
        max_minutes: None for ``MAX_TIME_RATIO`` times the song's length.
        song_s: length of the song in seconds; None if it is unknown, and 3 minutes are assumed.
    """

    max_minutes: float | None = None
    song_s: float | None = None

    @property
    def time_ratio(self) -> float:
        """Seconds of work for a second of song."""
        if self.max_minutes is None:
            return MAX_TIME_RATIO
        return 60 * self.max_minutes / max(1.0, speed.SONG_S if self.song_s is None else self.song_s)


def ladder(
    selection: Selection, policy: Policy, device: str, threads: int, *, only_installed: bool = False
) -> tuple[Rung, ...]:
    """The rungs in the order of ``LADDER``, for the parts of a selection.

    Args:
        selection: the parts.
        policy: which licences are allowed.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads.
        only_installed: what a plan has once it is downloaded is not asked for; ``models`` are those that are installed.
    """

    known = speed.known_speed()

    def ratio(models: tuple[Model, ...]) -> float:
        return sum(known.time_ratio(model, device, threads) for model in models) if models else math.inf

    rungs: list[Rung] = []
    models: tuple[Model, ...]
    for name in LADDER:
        plan = plan_of(name)
        installed = installed_choice(plan, selection, policy)
        if only_installed:
            models = () if installed is None else installed.models
            rungs.append(Rung(plan, models, models or None, ratio(models), ratio(models)))
            continue
        try:
            complete = choose_models(plan, selection, policy, download=True)
        except ModelUnavailableError:
            models = ()
        else:
            models = complete.models if complete.is_published or name == LADDER[0] else ()
        here = None if installed is None else installed.models
        rungs.append(Rung(plan, models, here, ratio(models), ratio(here or ())))
    return tuple(rungs)


def best_installed(rungs: tuple[Rung, ...], limit: TimeLimit) -> tuple[Rung, ...]:
    """The installed rungs that are worth their time, the best one first. The first rung always is."""
    most = memory_bytes()
    first, *others = rungs
    worth = [
        rung
        for rung in reversed(others)
        if rung.installed is not None and rung.installed_time_ratio <= limit.time_ratio and rung.memory_bytes <= most
    ]
    return (*worth, first)


def next_step(rungs: tuple[Rung, ...], chosen: Rung, limit: TimeLimit) -> Rung | None:
    """The best rung above the chosen one that a download alone would bring, and that is worth its time; or None."""
    above = rungs[rungs.index(chosen) + 1 :]
    return next(
        (rung for rung in reversed(above) if rung.missing and rung.can_run and rung.time_ratio <= limit.time_ratio),
        None,
    )
