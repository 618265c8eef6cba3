"""Names of metrics and layouts."""

from __future__ import annotations

from typing import Literal

from stemwright.errors import UsageError

LayoutName = Literal["songs", "musdb", "moises", "msst"]
"""Folder layout of a data set."""

METRICS: dict[str, str] = {
    "sdr": "SDR dB",
    "csdr": "cSDR dB",
    "si_sdr": "SI-SDR dB",
    "bleedless": "bleedless",
    "fullness": "fullness",
    "l1_freq": "L1-freq",
    "log_wmse": "log-WMSE",
}
"""Names of all metrics, with their column headers. ``sdr`` is always included."""


def read_metrics(text: str) -> tuple[str, ...]:
    """``sdr,csdr`` or ``all`` -> names besides ``sdr``, in the order of ``METRICS``.

    Raises:
        UsageError: a name is unknown.
    """
    asked = {name.strip().lower().replace("-", "_") for name in text.split(",") if name.strip()}
    if asked == {"all"}:
        asked = set(METRICS)
    unknown = sorted(asked - set(METRICS))
    if unknown or not asked:
        named = f"There is no metric named '{unknown[0]}'" if unknown else "No metric was named"
        raise UsageError(f"{named}. Use all, or a list of: {', '.join(METRICS)}.")
    return tuple(name for name in METRICS if name in asked and name != "sdr")
