"""Progress of a separation, and the way to cancel it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["separating", "writing"]


@dataclass(frozen=True)
class Progress:
    """The progress of a separation.

    Attributes:
        stage: ``separating`` (the engines run) comes first, ``writing`` (the stems are rendered and encoded) second.
        done_s: seconds of the song that this stage has processed.
        total_s: seconds of the song; None while a stream without a stated length is read for the first time.
        fraction: fraction of all work that is done, 0 to 1; None while ``total_s`` is None.
    """

    stage: Stage
    done_s: float
    total_s: float | None
    fraction: float | None


OnAdvance = Callable[[float, float], None]
"""Called with the seconds of the song that a pass has processed, over all its steps, and the fraction of the pass."""

OnProgress = Callable[[Progress], None]
"""Called often, from the thread that separates. It must return quickly; an exception ends the separation."""

IsCancelled = Callable[[], bool]
"""Called at every chunk; True ends the separation with ``CancelledError`` and keeps the working files for a resume."""
