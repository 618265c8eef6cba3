"""The choice behind ``auto``: the best plan of the ladder that is installed, may be used, and is worth its time.

It follows from the state of the machine alone (installed files and packages, the licence setting, times that were measured
before), so the same state gives the same plan. Nothing is loaded, measured or downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass

from stemwright.cpu_memory_limits import cores
from stemwright.models import licences
from stemwright.models.registry import Model
from stemwright.separation.ladder import Rung, TimeLimit, best_installed, ladder, next_step
from stemwright.separation.model_choice import choose_models
from stemwright.separation.offer import Offer, offer_of
from stemwright.stems import Selection, select

AUTO = "auto"
"""The name by which this is asked for in place of a plan's."""

TITLE = "The best of the installed plans that is worth its time on this machine"


@dataclass(frozen=True)
class AutoChoice:
    """Chooses among the rungs of the ladder.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads.
        licence: ``any``, ``permissive``, or None for ``STEMWRIGHT_LICENSE``.
        max_minutes: longest time for a song; None for a few times its length.
    """

    device: str
    threads: int
    licence: str | None = None
    max_minutes: float | None = None

    def limit(self, song_s: float | None) -> TimeLimit:
        """How long a song of this length may take."""
        return TimeLimit(self.max_minutes, song_s)

    def rungs(self, selection: Selection) -> tuple[Rung, ...]:
        """The ladder for the parts of a selection.

        Raises:
            UsageError: the licence setting is invalid.
        """
        return ladder(selection, licences.policy(self.licence), self.device, self.threads)

    def candidates(self, selection: Selection, song_s: float | None) -> tuple[Rung, ...]:
        """The rungs that may be used, the best one first."""
        policy = licences.policy(self.licence)
        rungs = ladder(selection, policy, self.device, self.threads, only_installed=True)
        return best_installed(rungs, self.limit(song_s))

    def better(self, chosen: Rung, selection: Selection, song_s: float | None) -> Offer | None:
        """A better plan than the chosen one that is one step away, or None."""
        rungs = self.rungs(selection)
        here = next(same for same in rungs if same.name == chosen.name)
        rung = next_step(rungs, here, self.limit(song_s))
        if rung is None:
            return None
        words = ["stemwright", "setup", "--plan", rung.name]
        if _missing(rung, select("twelve"), licences.policy(self.licence)) != rung.missing:
            words += ["--stems", selection.mode]
        if self.licence is not None and licences.policy(self.licence) == "permissive":
            words += ["--license", "permissive"]
        return offer_of(rung, " ".join(words))


def _missing(rung: Rung, selection: Selection, policy: licences.Policy) -> tuple[Model, ...]:
    """What the plan of a rung would download for other parts."""
    return choose_models(rung.plan, selection, policy, download=True).missing


def resolved(plan: str, stems: str, device: str = "auto", threads: int | None = None) -> str:
    """The name of a plan; for ``auto``, that of the plan that these stems get on this machine.

    Raises:
        UsageError: a stem name is unknown, or ``STEMWRIGHT_LICENSE`` is invalid.
    """
    if plan != AUTO:
        return plan
    return AutoChoice(device, threads or cores()).candidates(select(stems), None)[0].name


def better_plan(stems: str) -> Offer | None:
    """A better plan than the one that ``auto`` takes for these stems on this machine, or None."""
    choice, selection = AutoChoice("auto", cores()), select(stems)
    return choice.better(choice.candidates(selection, None)[0], selection, None)
