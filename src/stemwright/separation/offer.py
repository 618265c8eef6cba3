"""A better plan that is one step away: what to type, what it costs, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stemwright.formatting import megabytes, rounded_minutes
from stemwright.models import speed
from stemwright.models.registry import PublishedScore
from stemwright.separation.ladder import Rung


@dataclass(frozen=True)
class Offer:
    """A better plan than the one that was used.

    Attributes:
        plan: its name.
        command: what to type.
        download_bytes: what the command downloads.
        licences: licences of the weights.
        song_minutes: minutes that a 3-minute song takes on this machine.
        is_bound: the speed of this machine was not measured yet, so it takes less than that, most likely.
        scores: published scores.
    """

    plan: str
    command: str
    download_bytes: int
    licences: tuple[str, ...]
    song_minutes: float
    is_bound: bool
    scores: tuple[PublishedScore, ...]

    def __str__(self) -> str:
        """One line for users."""
        facts = [
            f"{megabytes(self.download_bytes)} to download",
            f"licence of the weights {', '.join(self.licences)}",
            f"a 3-minute song takes {'at most ' * self.is_bound}{rounded_minutes(self.song_minutes)} here",
        ]
        if self.scores:
            scores = ", ".join(f"{score.stem} {score.db:.2f} dB" for score in self.scores)
            facts.append(f"published scores {scores} ({self.scores[0].protocol})")
        return f"better stems: `{self.command}` ({'; '.join(facts)})"

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Offer:
        """The reverse of ``dataclasses.asdict``."""
        scores = tuple(PublishedScore(**score) for score in facts["scores"])
        return cls(**{**facts, "licences": tuple(facts["licences"]), "scores": scores})


def offer_of(rung: Rung, command: str) -> Offer:
    """The offer of a rung that the command installs."""
    return Offer(
        plan=rung.name,
        command=command,
        download_bytes=rung.download_bytes,
        licences=rung.licences,
        song_minutes=round(rung.time_ratio * speed.SONG_S / 60, 1),
        is_bound=not speed.is_measured(),
        scores=rung.scores,
    )
