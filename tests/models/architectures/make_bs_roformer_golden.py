"""Writes golden/bs_roformer.npz with the reference's answers. Runs where the reference can be imported.

MSST's code gives the cases of `BS_CASES`, at commit ccc011a of ZFTurbo/Music-Source-Separation-Training, with torch
2.13.0, einops 0.8.2, rotary-embedding-torch 0.6.5 and PoPE-pytorch 0.2.1:

    PYTHONPATH=<MSST>:<this repository> python -m tests.models.architectures.make_bs_roformer_golden msst

The packages give `BS_PACKAGE_CASES`, with rotary-embedding-torch 0.9.1, each in an environment of its own:
bs-roformer-infer 0.1.5 (`infer`) and BS-RoFormer 0.4.1 (`lucidrains`). Each run adds its answers to the file.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import numpy as np

from tests.models.architectures.roformer_cases import BS_CASES, BS_PACKAGE_CASES, SAMPLES, mix, weights

GOLDEN = Path(__file__).with_name("golden") / "bs_roformer.npz"


def main(peer: str) -> None:
    """Answer the cases of a peer."""
    import torch

    if peer == "msst":
        from models.bs_roformer.bs_roformer import BSRoformer  # type: ignore[import-not-found]
    else:
        from bs_roformer.bs_roformer import BSRoformer  # type: ignore[import-not-found]

    answers = dict(np.load(GOLDEN)) if GOLDEN.exists() else {}
    known = inspect.signature(BSRoformer.__init__).parameters
    for name, options in (BS_CASES if peer == "msst" else BS_PACKAGE_CASES).items():
        network = BSRoformer(**{key: value for key, value in options.items() if peer == "msst" or key in known}).eval()
        shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
        network.load_state_dict({key: torch.from_numpy(values) for key, values in weights(shapes).items()})
        with torch.inference_mode():
            stems = network(torch.from_numpy(mix()))
        # The packages drop the stem of one, and the end beyond the last whole hop.
        stems = stems.reshape(len(stems), options["num_stems"], 2, -1)[..., :SAMPLES]
        answers[f"{peer}.{name}"] = stems.numpy()
    np.savez_compressed(GOLDEN, **answers)


if __name__ == "__main__":
    main(sys.argv[1])
