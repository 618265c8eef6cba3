"""The survey: a small engine listens to the whole song first, so that large ones need not look for what does not play."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np

from stemwright.errors import CancelledError
from stemwright.models.engine import MaskEngine
from stemwright.separation.chunk_runner import Masks, chunks_of
from stemwright.separation.presence import judge
from stemwright.separation.progress import IsCancelled
from stemwright.separation.source import Source

ABSENT_DB = -42.0
"""Share of the song, in dB, below which a stem surely does not play: a step left out by mistake loses an instrument to
``fx``, one run in vain only costs time, so this lies well below the border at which a stem counts as playing."""


@dataclass(frozen=True)
class Survey:
    """Share of the song, in dB, that each stem has where it is strongest."""

    levels_db: dict[str, float]

    def is_absent(self, stem: str) -> bool:
        """Whether the stem surely does not play. Of a stem that the survey does not know nothing is sure."""
        return self.levels_db.get(stem, 0.0) < ABSENT_DB


def survey(source: Source, engine: MaskEngine, is_cancelled: IsCancelled) -> Survey:
    """Listens to a song.

    Raises:
        CancelledError: ``is_cancelled`` said so.
    """
    hearing = Masks(engine, [(stem,) for stem in engine.stems], channels=2)
    tables = [np.zeros((0, len(engine.stems) + 2))]
    with closing(chunks_of(source, hearing)) as stream:
        for chunk in stream:
            if is_cancelled():
                raise CancelledError("Cancelled; --resume takes it up where it stopped.")
            (rows,) = hearing.hear([chunk])
            # Neighbours overlap: what they share is counted once.
            n_own = chunk.n_valid if chunk.is_last else hearing.size.stride
            tables.append(hearing.levels(rows[:n_own], chunk))
    presence = judge(np.concatenate(tables))
    return Survey(dict(zip(engine.stems, presence.levels_db, strict=True)))
