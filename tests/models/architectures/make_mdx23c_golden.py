"""What the reference implementation of MDX23C makes of small networks: written once into `golden/mdx23c.npz`.

The peer is ZFTurbo/Music-Source-Separation-Training at ccc011abf7f89dd7922bb2888d48493b575c0289
(`models.mdx23c_tfc_tdf_v3`), on the path of an interpreter with torch 2.13.0, numpy, ml_collections 1.1.0 and tqdm. From
the root of the repository:

    PEER -m tests.models.architectures.make_mdx23c_golden
    PEER -m tests.models.architectures.make_mdx23c_golden published FILE   # one case, elsewhere
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.models.architectures.filling import fill, write

GOLDEN = Path(__file__).parent / "golden" / "mdx23c.npz"

_AUDIO = {"n_fft": 128, "hop_length": 32, "dim_f": 48}
_MODEL = {
    "act": "gelu",
    "bottleneck_factor": 2,
    "growth": 4,
    "norm": "InstanceNorm",
    "num_blocks_per_scale": 2,
    "num_channels": 8,
    "num_scales": 2,
    "num_subbands": 4,
    "scale": (2, 2),
}

CASES: dict[str, dict[str, Any]] = {
    "instance": {**_AUDIO, **_MODEL, "num_stems": 4},
    "target": {**_AUDIO, **_MODEL, "num_stems": 1, "num_subbands": 1, "dim_f": 64, "act": "elu0.7"},
    "batch": {**_AUDIO, **_MODEL, "num_stems": 2, "norm": "BatchNorm", "act": "relu", "num_blocks_per_scale": 1},
    "group": {**_AUDIO, **_MODEL, "num_stems": 2, "norm": "GroupNorm2", "scale": (1, 2), "dim_f": 32},
    "bare": {**_AUDIO, **_MODEL, "num_stems": 1, "norm": "none", "num_scales": 1, "scale": (2, 3), "growth": 0},
    "published": {
        **{"n_fft": 8192, "hop_length": 1024, "dim_f": 4096, "num_stems": 2, "act": "gelu", "norm": "InstanceNorm"},
        **{"bottleneck_factor": 4, "growth": 128, "num_blocks_per_scale": 2, "num_channels": 128},
        **{"num_scales": 5, "num_subbands": 4, "scale": (2, 2)},
    },
}
SMALL = ("instance", "target", "batch", "group", "bare")
HOPS = {"instance": 19, "target": 11, "batch": 15, "group": 12, "bare": 9, "published": 63}
"""Of the input of each case: one less than its frames, of which the levels make whole numbers."""


def mix(case: str) -> NDArray[np.float32]:
    """Give the input of a case: ``(batch, 2, samples)``, loud, for only then do these levels add to what passes them by."""
    batch, samples = 2 if case == "instance" else 1, HOPS[case] * CASES[case]["hop_length"]
    return 30 * fill("mix", (batch * 2 * samples,)).reshape(batch, 2, samples)


def peer(case: str) -> NDArray[np.float32]:
    """Give the output of the reference implementation: ``(batch, stems, 2, samples)``."""
    import torch
    from ml_collections import ConfigDict  # type: ignore[import-not-found]
    from models.mdx23c_tfc_tdf_v3 import TFC_TDF_net  # type: ignore[import-not-found]

    options = CASES[case]
    stems = [f"stem {index}" for index in range(options["num_stems"])]
    config = {
        "audio": {"num_channels": 2, **{name: options[name] for name in _AUDIO}},
        "model": {name: options[name] for name in _MODEL},
        "training": {"instruments": stems, "target_instrument": None},
    }
    if len(stems) == 1:
        config["training"] = {"instruments": ["another", *stems], "target_instrument": stems[0]}
    network = TFC_TDF_net(ConfigDict(config)).eval()
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    network.load_state_dict(
        {key: torch.from_numpy(fill(key, shape)) for key, shape in shapes.items() if shape}, strict=False
    )
    with torch.inference_mode():
        output: NDArray[np.float32] = network(torch.from_numpy(mix(case))).numpy()
    return output


if __name__ == "__main__":
    write(GOLDEN, SMALL, peer)
