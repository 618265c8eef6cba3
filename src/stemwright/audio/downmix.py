"""Downmix of more than two channels to stereo, by ITU-R BS.775.

The recommendation's 2/0 equations: the centre goes to both sides at -3 dB, a surround to its own side at -3 dB, a
single rear channel to both sides at -6 dB, and the LFE is dropped. There is no normalisation: the downmix of loud
channels can exceed full scale. It is unclipped float, so the writer can apply one common gain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MINUS_3_DB = float(np.sqrt(0.5))
MINUS_6_DB = 0.5

# channel name of libavutil: (gain to the left, gain to the right)
GAINS: dict[str, tuple[float, float]] = {
    "FL": (1.0, 0.0),
    "FR": (0.0, 1.0),
    "FC": (MINUS_3_DB, MINUS_3_DB),
    "LFE": (0.0, 0.0),
    "LFE2": (0.0, 0.0),
    "BL": (MINUS_3_DB, 0.0),
    "BR": (0.0, MINUS_3_DB),
    "SL": (MINUS_3_DB, 0.0),
    "SR": (0.0, MINUS_3_DB),
    "BC": (MINUS_6_DB, MINUS_6_DB),
    "FLC": (MINUS_3_DB, 0.0),
    "FRC": (0.0, MINUS_3_DB),
    "WL": (MINUS_3_DB, 0.0),
    "WR": (0.0, MINUS_3_DB),
    "DL": (1.0, 0.0),
    "DR": (0.0, 1.0),
    "TFL": (MINUS_3_DB, 0.0),
    "TFR": (0.0, MINUS_3_DB),
    "TBL": (MINUS_3_DB, 0.0),
    "TBR": (0.0, MINUS_3_DB),
    "TSL": (MINUS_3_DB, 0.0),
    "TSR": (0.0, MINUS_3_DB),
}

# The usual channel order of WAVE files without a channel mask.
USUAL_ORDER: dict[int, tuple[str, ...]] = {
    3: ("FL", "FR", "FC"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}


def fold_matrix(names: Sequence[str]) -> NDArray[np.float32]:
    """Downmix gains ``(2, channels)`` from the named channels to left and right.

    An unknown channel goes to both sides at -6 dB; if no channel has a known name, the usual order for that number of
    channels is assumed.
    """
    if not any(name in GAINS for name in names):
        names = USUAL_ORDER.get(len(names), names)
    gains = [GAINS.get(name, (MINUS_6_DB, MINUS_6_DB)) for name in names]
    return np.array(gains, dtype=np.float32).T  # (channels, 2) to (2, channels)
