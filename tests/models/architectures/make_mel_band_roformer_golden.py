"""Writes golden/mel_band_roformer.npz with the reference's answers, and the bins that librosa gives to each band.

Runs where MSST's code can be imported: commit ccc011a of ZFTurbo/Music-Source-Separation-Training, with torch 2.13.0,
einops 0.8.2, librosa 0.11.0, rotary-embedding-torch 0.6.5 and PoPE-pytorch 0.2.1:

    PYTHONPATH=<MSST>:<this repository> python -m tests.models.architectures.make_mel_band_roformer_golden
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.models.architectures.roformer_cases import MEL_BANKS, MEL_CASES, mix, weights

GOLDEN = Path(__file__).with_name("golden") / "mel_band_roformer.npz"


def main() -> None:
    """Answer every case."""
    import librosa  # type: ignore[import-not-found]
    import torch
    from models.bs_roformer.mel_band_roformer import MelBandRoformer  # type: ignore[import-not-found]

    answers = {}
    for name, options in MEL_CASES.items():
        network = MelBandRoformer(**options, match_input_audio_length=True).eval()
        shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
        network.load_state_dict({key: torch.from_numpy(values) for key, values in weights(shapes).items()})
        with torch.inference_mode():
            stems = network(torch.from_numpy(mix()))
        answers[name] = stems.reshape(len(stems), options["num_stems"], *stems.shape[-2:]).numpy()
    for rate, size, count in MEL_BANKS:
        bank = librosa.filters.mel(sr=rate, n_fft=size, n_mels=count) > 0
        answers[f"bank.{rate}.{size}.{count}"] = np.array([np.flatnonzero(band)[[0, -1]] for band in bank], np.int16)
    np.savez_compressed(GOLDEN, **answers)


if __name__ == "__main__":
    main()
