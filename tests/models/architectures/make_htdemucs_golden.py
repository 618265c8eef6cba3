"""What a peer's HTDemucs makes of filled weights: writes ``golden/htdemucs.npz``, or the full size's output elsewhere.

Made with demucs-infer 4.4.0 (the code of demucs 4.0.1, for inference) and torch 2.13.0 on a CPU. In an environment with
those two and NumPy, from the root of the repository:

    python -m tests.models.architectures.make_htdemucs_golden [OUT.npz]
"""

import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.models.architectures.filling import fill

GOLDEN = Path(__file__).parent / "golden" / "htdemucs.npz"

JOINED: Mapping[str, Any] = {
    "sources": ["drums", "bass", "other"],
    "channels": 8,
    "nfft": 512,
    "depth": 3,
    "dconv_mode": 3,
    "dconv_comp": 4,
    "bottom_channels": 32,
    "t_layers": 3,
    "t_heads": 4,
    "samplerate": 8000,
    "segment": Fraction(1, 8),
}
PLAIN: Mapping[str, Any] = {
    "sources": ["vocals"],
    "channels": 6,
    "growth": 1.5,
    "nfft": 256,
    "depth": 2,
    "kernel_size": 4,
    "stride": 2,
    "freq_emb": 0,
    "context_enc": 1,
    "dconv_depth": 1,
    "dconv_comp": 2,
    "t_layers": 0,
    "use_train_segment": False,
}
ATTENTIVE: Mapping[str, Any] = {
    **PLAIN,
    "channels": 8,
    "growth": 2,
    "freq_emb": 0.5,
    "emb_scale": 4,
    "dconv_mode": 0,
    "t_layers": 2,
    "t_heads": 2,
    "t_hidden_scale": 2.0,
    "t_max_period": 500.0,
    "t_weight_pos_embed": 0.5,
}
CASES: Mapping[str, tuple[Mapping[str, Any], int]] = {
    "segment": (JOINED, 1000),
    "shorter": (JOINED, 613),
    "plain": (PLAIN, 1111),
    "tiny": (PLAIN, 90),
    "attentive": (ATTENTIVE, 900),
}
"""Name of a golden to the network's settings and the samples that it is given."""

PUBLISHED: Mapping[str, Any] = {
    "sources": ["drums", "bass", "other", "vocals"],
    "dconv_mode": 3,
    "bottom_channels": 512,
    "segment": Fraction(39, 5),
}
"""The settings of the published ``htdemucs`` where they are not the defaults."""


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Filled weights by their keys, loud enough that the innermost of them can be heard in the output."""
    filled = {key: fill(key, shape) for key, shape in shapes.items()}
    return {
        key: np.float32(1) + values if key.endswith("scale") else np.float32(3 if values.ndim > 1 else 1) * values
        for key, values in filled.items()
    }


def mix(name: str, samples: int) -> NDArray[np.float32]:
    """``(1, 2, samples)``: noise under a loud low tone, no two channels alike."""
    noise = fill(f"mix.{name}", (2 * samples,)).reshape(2, samples)
    tone = np.sin(np.arange(samples) * 0.05 * np.array([[1.0], [1.5]]))
    return np.asarray(noise + 0.3 * tone, np.float32)[None]


def main() -> None:
    """Asks the peer, and writes what it says."""
    import torch
    from demucs_infer.htdemucs import HTDemucs  # type: ignore[import-not-found]

    def output(name: str, settings: Mapping[str, Any], samples: int) -> NDArray[np.float32]:
        network = HTDemucs(**settings).eval()
        shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        network.load_state_dict({key: torch.from_numpy(values) for key, values in weights(shapes).items()})
        with torch.inference_mode():
            made: NDArray[np.float32] = network(torch.from_numpy(mix(name, samples))).numpy()
        return made

    if len(sys.argv) > 1:
        np.savez(sys.argv[1], published=output("published", PUBLISHED, 343_980))
    else:
        goldens: dict[str, Any] = {name: output(name, *case) for name, case in CASES.items()}
        np.savez_compressed(GOLDEN, **goldens)


if __name__ == "__main__":
    main()
