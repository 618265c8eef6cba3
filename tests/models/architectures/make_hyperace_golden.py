"""What the reference implementation of HyperACE v2 makes of a few tokens: written once into `golden/hyperace.npz`.

In double precision, since normalisations over a few places magnify the rounding. The peer is pymss-project/pymss-core at
872e12cea97730121066505f9e642cd5dabc2e8c (`hyperace_segm`), on the path of an interpreter with torch 2.13.0 and numpy.
From the root of the repository:

    PYTHONPATH=<pymss-core>/pymss_core/modules/bs_roformer:. PEER -m tests.models.architectures.make_hyperace_golden
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.models.architectures.filling import fill

GOLDEN = Path(__file__).parent / "golden" / "hyperace.npz"

DIM, BANDS, BINS, OUTPUTS, FRAMES = 16, 8, 65, 4, 97
EVERY = 4
"""Frames from one that is kept to the next."""


def tokens() -> NDArray[np.float32]:
    """Give the input: `(frames, bands, dim)`."""
    return 10 * fill("tokens", (FRAMES * BANDS * DIM,)).reshape(FRAMES, BANDS, DIM)


def main() -> None:
    """Write the answer, `(frames / 4, bins x outputs)`."""
    import torch
    from hyperace_segm import SegmModel  # type: ignore[import-not-found]

    network = SegmModel(in_bands=BANDS, in_dim=DIM, out_bins=BINS, out_channels=OUTPUTS).eval()
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    network.load_state_dict({key: torch.from_numpy(fill(key, shape)) for key, shape in shapes.items()})
    network.double()
    with torch.inference_mode():
        mask = network(torch.from_numpy(tokens()).double().permute(2, 0, 1)[None])[0]  # (outputs, frames, bins)
    np.savez_compressed(GOLDEN, output=mask.permute(1, 2, 0).flatten(1)[::EVERY].float().numpy())


if __name__ == "__main__":
    main()
