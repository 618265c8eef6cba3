"""``auto``: takes the best of the installed plans for each song, and never downloads."""

from __future__ import annotations

from stemwright.errors import ModelUnavailableError
from stemwright.models import licences, weight_store
from stemwright.models.registry import Model
from stemwright.separation.auto_choice import AutoChoice
from stemwright.separation.cleaning import denoiser
from stemwright.separation.engine_cache import EngineCache
from stemwright.separation.ladder import Rung
from stemwright.separation.model_resolver import PlanResolver
from stemwright.separation.run_key import begun_otherwise
from stemwright.separation.song_plan import SongPlan
from stemwright.stems import Selection, select


class AutoPlan:
    """Chooses a plan for each song (``auto_choice``) and keeps its engines.

    Args:
        engines: loads and keeps the engines of all plans, on one device.
        licence: ``any``, ``permissive``, or None for ``STEMWRIGHT_LICENSE``.
        max_minutes: longest time for a song; None for a few times its length.
        denoise: noise is removed before the plan, by a model that may be downloaded. Its time does not count.

    Raises:
        UsageError: the licence setting is invalid.
        ModelUnavailableError: the network in the wheel, if nothing else is installed, cannot be loaded; or noise cannot be
            removed here.
    """

    def __init__(
        self, engines: EngineCache, *, licence: str | None, max_minutes: float | None, denoise: bool = False
    ) -> None:
        self._engines = engines
        self._licence = licence
        policy = licences.policy(licence)
        self._denoiser = denoiser(policy) if denoise else None
        self._choice = AutoChoice(engines.device, engines.threads, licence, max_minutes)
        self._resolvers: dict[str, PlanResolver] = {}
        candidates = self._choice.candidates(select("twelve"), None)
        if len(candidates) == 1:
            self._resolver(candidates[0])  # loaded now, as that of a named plan

    def plan_name(self, selection: Selection, song_s: float | None) -> str:
        """Name of the plan for these parts, and a song of this length in seconds if it is known."""
        return self._choice.candidates(selection, song_s)[0].name

    def song_plan(self, selection: Selection, song_s: float | None, begun: tuple[str, ...] | None = None) -> SongPlan:
        """The plan of a song.

        A run that continues an earlier one keeps the plan of that one while its weights are there.

        Raises:
            ModelUnavailableError: the network in the wheel cannot be loaded, or the device is not available.
        """
        notes: list[str] = []
        candidates = self._choice.candidates(selection, song_s)
        if begun is not None:
            same = tuple(rung for rung in self._choice.rungs(selection) if self._identities(rung) == begun)
            candidates = (*same, *candidates)
            if not same:
                notes.append(begun_otherwise(begun))
        for rung in candidates[:-1]:
            try:
                analysis_pass = self._resolver(rung).analysis_pass(selection)
            except ModelUnavailableError as error:  # its runtime is broken, or has no such device
                notes.append(f"The plan '{rung.name}' is installed but cannot run here: {error}")
                continue
            return SongPlan(rung.name, analysis_pass, self._choice.better(rung, selection, song_s), tuple(notes))
        last = candidates[-1]
        analysis_pass = self._resolver(last).analysis_pass(selection)
        return SongPlan(last.name, analysis_pass, self._choice.better(last, selection, song_s), tuple(notes))

    def missing(self, selection: Selection) -> tuple[Model, ...]:
        """What removes noise; of the plans only what is installed is used."""
        needed = () if self._denoiser is None else (self._denoiser,)
        return tuple(model for model in needed if not weight_store.is_available(model))

    def _resolver(self, rung: Rung) -> PlanResolver:
        if rung.name not in self._resolvers:
            self._resolvers[rung.name] = PlanResolver(
                rung.plan, self._engines, self._licence, download=False, denoise=self._denoiser is not None
            )
        return self._resolvers[rung.name]

    def _identities(self, rung: Rung) -> tuple[str, ...]:
        first = () if self._denoiser is None else (self._denoiser.identity,)
        return (*first, *(model.identity for model in rung.installed or ()))
