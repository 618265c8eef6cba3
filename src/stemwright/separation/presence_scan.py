"""The presence scan: a small engine runs over the whole song first, so that large engines skip stems that do not play."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np

from stemwright.errors import CancelledError
from stemwright.models.engine import MaskEngine
from stemwright.separation.chunk_runner import MaskRunner, chunks_of
from stemwright.separation.presence import score_presence
from stemwright.separation.progress import IsCancelled
from stemwright.separation.source import Source

ABSENT_DB = -42.0
"""Share of the song, in dB, below which a stem certainly does not play. A step skipped by mistake loses an instrument to
``fx``, a step run for nothing only costs time, so this lies well below the threshold of presence."""


@dataclass(frozen=True)
class PresenceScan:
    """The share of the song, in dB, that each stem has where it is strongest."""

    levels_db: dict[str, float]

    def is_absent(self, stem: str) -> bool:
        """Whether the stem certainly does not play. False for a stem that the scan does not know."""
        return self.levels_db.get(stem, 0.0) < ABSENT_DB


def scan_presence(source: Source, engine: MaskEngine, is_cancelled: IsCancelled) -> PresenceScan:
    """Runs the engine over a song and measures its stems.

    Raises:
        CancelledError: ``is_cancelled`` returned true.
    """
    runner = MaskRunner(engine, [(stem,) for stem in engine.stems], channels=2)
    tables = [np.zeros((0, len(engine.stems) + 2))]
    with closing(chunks_of(source, runner)) as stream:
        for chunk in stream:
            if is_cancelled():
                raise CancelledError("Cancelled; --resume continues where it stopped.")
            (rows,) = runner.run([chunk])
            # Neighbours overlap: what they share counts once.
            n_new = chunk.n_valid if chunk.is_last else runner.size.stride
            tables.append(runner.levels(rows[:n_new], chunk))
    presence = score_presence(np.concatenate(tables))
    return PresenceScan(dict(zip(engine.stems, presence.levels_db, strict=True)))
