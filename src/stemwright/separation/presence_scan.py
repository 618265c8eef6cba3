"""The presence scan: a small engine runs over the song first, so that large engines can skip absent stems."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np

from stemwright.errors import CancelledError
from stemwright.models.engine import MaskEngine
from stemwright.separation.chunk_runner import MaskRunner, chunks_of
from stemwright.separation.presence import SILENT_DB, score_presence
from stemwright.separation.progress import IsCancelled
from stemwright.separation.source import Source
from stemwright.stems import STEMS, Selection

ABSENT_DB = -42.0
"""Share of the song in dB below which a stem is certainly absent. A step skipped by mistake moves an instrument to
``fx``, while an unnecessary step only costs time, so this is well below the presence threshold."""


@dataclass(frozen=True)
class PresenceScan:
    """Share of the song in dB of each stem where it is loudest."""

    levels_db: dict[str, float]

    def is_absent(self, stem: str) -> bool:
        """Whether the stem is certainly absent. False for a stem that was not measured."""
        return self.levels_db.get(stem, 0.0) < ABSENT_DB

    @classmethod
    def of_known(cls, selection: Selection) -> PresenceScan:
        """What a scan would find where it is known which stems play."""
        return cls({stem: 0.0 if selection.plays(stem) else SILENT_DB for stem in STEMS})


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
            # Neighbouring chunks overlap: count the overlap once.
            n_new = chunk.n_valid if chunk.is_last else runner.size.stride
            tables.append(runner.levels(rows[:n_new], chunk))
    presence = score_presence(np.concatenate(tables))
    return PresenceScan(dict(zip(engine.stems, presence.levels_db, strict=True)))
