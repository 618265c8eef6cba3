"""The plan of one song, and what chooses it: a plan that was named, or ``auto``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from stemwright.models.registry import Model
from stemwright.separation.analysis_pass import AnalysisPass
from stemwright.separation.model_resolver import ModelResolver
from stemwright.separation.offer import Offer
from stemwright.stems import Selection


@dataclass(frozen=True)
class SongPlan:
    """The plan of one song.

    Attributes:
        plan: its name.
        analysis_pass: its pass for the parts.
        better: a better plan that is one step away, or None.
        notes: remarks for the user on plans that are installed but cannot run.
    """

    plan: str
    analysis_pass: AnalysisPass
    better: Offer | None = None
    notes: tuple[str, ...] = ()


class Planner(Protocol):
    """Chooses the plan of a song."""

    def plan_name(self, selection: Selection, song_s: float | None) -> str:
        """Name of the plan for these parts, and a song of this length in seconds if it is known."""

    def song_plan(self, selection: Selection, song_s: float | None, begun: tuple[str, ...] | None = None) -> SongPlan:
        """The plan of a song.

        Args:
            selection: the parts.
            song_s: length of the song in seconds; None if it is unknown.
            begun: names and digests of the models of an interrupted run that this one may continue.

        Raises:
            ModelUnavailableError: a model, its runtime or the device is not available.
        """

    def missing(self, selection: Selection) -> tuple[Model, ...]:
        """The models that the first song of these parts would download."""


@dataclass(frozen=True)
class NamedPlan:
    """A plan, or an engine, that the caller has named: there is nothing to choose.

    Attributes:
        name: its name.
        models: makes its passes.
    """

    name: str
    models: ModelResolver

    def plan_name(self, selection: Selection, song_s: float | None) -> str:
        """Its name."""
        return self.name

    def song_plan(self, selection: Selection, song_s: float | None, begun: tuple[str, ...] | None = None) -> SongPlan:
        """The plan itself."""
        return SongPlan(self.name, self.models.analysis_pass(selection))

    def missing(self, selection: Selection) -> tuple[Model, ...]:
        """The models of the plan that are not installed."""
        return self.models.missing(selection)
