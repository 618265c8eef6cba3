"""What the reference implementations of SCNet make of small networks: written once into `golden/scnet.npz`.

The peers are ZFTurbo/Music-Source-Separation-Training at ccc011abf7f89dd7922bb2888d48493b575c0289 (`models.scnet`) and
starrytong/SCNet at 5d95bf96b19c3eede63248d171efeca8e3abb948 (`scnet`), both on the path of an interpreter with torch
2.13.0 and numpy. From the root of the repository:

    PEER -m tests.models.architectures.make_scnet_golden
    PEER -m tests.models.architectures.make_scnet_golden CASE FILE   # one case, `large` or `xl_ihf`, elsewhere
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.models.architectures.filling import fill, write

GOLDEN = Path(__file__).parent / "golden" / "scnet.npz"

_TINY = {"nfft": 128, "hop_size": 32, "win_size": 128, "dims": (4, 8, 12, 16), "num_dplayer": 2}
_TWO = {"sources": ("vocals", "other")}
_IHF = {"band_SR": (0.23, 0.37, 0.4), "band_stride": (1, 4, 4), "band_kernel": (3, 4, 4), "conv_depths": (3, 3, 3)}
_WIDE = {"dims": (4, 64, 128, 256)}

CASES: dict[str, dict[str, Any]] = {
    "plain": _TINY,
    "starrytong": {**_TINY, "sources": ("vocals",), "normalize_spectrum": True},
    "ihf": {**_TINY, **_TWO, **_IHF, "num_dplayer": 4, "expand": 2, "normalized": False},
    "masked": {**_TINY, **_TWO, "masked": True},
    "large": {**_WIDE, "band_SR": (0.225, 0.372, 0.403)},
    "xl_ihf": {**_WIDE, **_IHF, "num_dplayer": 8},
}
SMALL = ("plain", "starrytong", "ihf", "masked")
SHAPES = {"plain": (1, 700), "starrytong": (2, 640), "ihf": (1, 671), "masked": (1, 700)}
"""Batch and samples of each case. 640 and 671 samples make 21 hops, 700 make 22, to which the network adds one."""


def mix(case: str) -> NDArray[np.float32]:
    """Give the input of a case: ``(batch, 2, samples)``."""
    batch, samples = SHAPES.get(case, (1, 485_100))
    return fill("mix", (batch * 2 * samples,)).reshape(batch, 2, samples)


def peer(case: str) -> NDArray[np.float32]:
    """Give the output of the case's reference implementation: ``(batch, stems, 2, samples)``."""
    import torch

    options = {key: list(value) if isinstance(value, tuple) else value for key, value in CASES[case].items()}
    if options.pop("normalize_spectrum", False):
        module = "scnet.SCNet"
    else:
        module = "models.scnet.scnet_masked" if options.pop("masked", False) else "models.scnet.scnet"
    network = importlib.import_module(module).SCNet(**options).eval()
    filled = {key: torch.from_numpy(fill(key, tuple(value.shape))) for key, value in network.state_dict().items()}
    network.load_state_dict(filled)
    with torch.inference_mode():
        output: NDArray[np.float32] = network(torch.from_numpy(mix(case))).numpy()
    return output


if __name__ == "__main__":
    write(GOLDEN, SMALL, peer)
