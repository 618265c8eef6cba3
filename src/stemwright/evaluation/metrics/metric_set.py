"""All metrics of one comparison."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.metric_selection import METRICS
from stemwright.evaluation.metrics.bleedless import RunningBleed
from stemwright.evaluation.metrics.csdr import RunningCsdr, median_db
from stemwright.evaluation.metrics.l1_freq import RunningL1Freq
from stemwright.evaluation.metrics.log_wmse import WeightedEnergy, log_wmse
from stemwright.evaluation.metrics.si_sdr import RunningSiSdr
from stemwright.evaluation.sdr import Samples


def needs_two_passes(metrics: Collection[str]) -> bool:
    """Whether any of the metrics needs two passes over a song."""
    return "bleedless" in metrics or "fullness" in metrics


class MetricSet:
    """The metrics besides the SDR of one reference and its estimate.

    Args:
        metrics: their names.
        sample_rate: Hz.
    """

    def __init__(self, metrics: Collection[str], sample_rate: int) -> None:
        self._metrics = metrics
        self._csdr = RunningCsdr(sample_rate) if "csdr" in metrics else None
        self._si_sdr = RunningSiSdr() if "si_sdr" in metrics else None
        self._bleed = RunningBleed(sample_rate) if needs_two_passes(metrics) else None
        self._l1_freq = RunningL1Freq() if "l1_freq" in metrics else None
        self._error = WeightedEnergy(sample_rate) if "log_wmse" in metrics else None

    def add_first_pass(self, reference: Samples, estimate: Samples) -> None:
        """Adds the next block of both, ``(channels, samples)`` each, in the first of two passes."""
        if self._bleed is not None:
            self._bleed.add_first_pass(reference, estimate)

    def add(self, reference: Samples, estimate: Samples) -> None:
        """Adds the next block of both, ``(channels, samples)`` each."""
        for metric in (self._csdr, self._si_sdr, self._bleed, self._l1_freq):
            if metric is not None:
                metric.add(reference, estimate)
        if self._error is not None:
            self._error.add(np.asarray(estimate, dtype=np.float64) - reference)

    @property
    def frames_db(self) -> NDArray[np.float64] | None:
        """The SDR of every second; None if cSDR was not requested."""
        return None if self._csdr is None else self._csdr.frames_db

    def close(self, mix: WeightedEnergy | None, silent: NDArray[np.bool_] | None = None) -> Mapping[str, float | None]:
        """The value of each metric, at the end of the song; None if it is undefined.

        Args:
            mix: energy of the weighted mix, for log-WMSE.
            silent: seconds that cSDR ignores besides those that are silent here.
        """
        found: dict[str, float | None] = {}
        if self._csdr is not None:
            frames_db = self._csdr.frames_db
            found["csdr"] = median_db(frames_db if silent is None else np.where(silent, np.nan, frames_db))
        if self._si_sdr is not None:
            found["si_sdr"] = self._si_sdr.db
        if self._bleed is not None:
            bleed = self._bleed.close()
            found["bleedless"], found["fullness"] = bleed.bleedless, bleed.fullness
        if self._l1_freq is not None:
            found["l1_freq"] = self._l1_freq.close()
        if self._error is not None and mix is not None:
            found["log_wmse"] = log_wmse(self._error, mix)
        return {name: found[name] for name in METRICS if name in found and name in self._metrics}
