import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stemwright.models.architectures.mel_band_roformer import MelBandRoformer, MelBandRoformerOptions, mel_bands
from tests.models.architectures.roformer_cases import MEL_BANKS, MEL_CASES, mix
from tests.models.architectures.roformer_networks import filled

GOLDEN = np.load(Path(__file__).with_name("golden") / "mel_band_roformer.npz")

PUBLISHED: dict[str, Any] = {
    "dim": 384,
    "depth": 6,
    "stereo": True,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "stft_hop_length": 441,
    "mask_estimator_depth": 2,
}


def network(options: dict[str, Any]) -> MelBandRoformer:
    return filled(lambda: MelBandRoformer(MelBandRoformerOptions(**options)))


@pytest.mark.parametrize("name", MEL_CASES)
def test_gives_what_the_reference_gives(name: str) -> None:
    golden = GOLDEN[name]
    peak = np.abs(golden).max()
    assert peak > 0.02

    with torch.inference_mode():
        stems = network(MEL_CASES[name])(torch.from_numpy(mix())).numpy()

    assert np.abs(stems - golden).max() < 1e-5 * peak


@pytest.mark.parametrize(("rate", "size", "count"), MEL_BANKS)
def test_bands_hold_the_bins_that_librosa_gives_them(rate: int, size: int, count: int) -> None:
    options = MelBandRoformerOptions(dim=8, depth=1, sample_rate=rate, stft_n_fft=size, num_bands=count)
    first_and_last = GOLDEN[f"bank.{rate}.{size}.{count}"]
    first_and_last[0, 0] = 0  # the reference gives the lowest bin to the lowest band by hand, and so the highest
    first_and_last[-1, 1] = size // 2

    assert [(band[0], band[-1]) for band in mel_bands(options)] == [tuple(ends) for ends in first_and_last.tolist()]


def test_bands_must_cover_the_spectrum() -> None:
    with pytest.raises(ValueError, match="128 mel bands leave bins of an STFT of 512 samples to no band"):
        MelBandRoformerOptions(dim=8, depth=1, stft_n_fft=512, num_bands=128)


def test_names_of_every_weight_are_the_published_ones() -> None:
    with torch.device("meta"):
        names = MelBandRoformer(MelBandRoformerOptions(**PUBLISHED)).state_dict()

    assert len(names) == 3 * 60 + 6 * 2 * (11 + 1) + 6 * 60
    assert names["band_split.to_features.59.1.weight"].shape == (384, 130 * 4)
    assert names["layers.5.1.norm.gamma"].shape == (384,)
    assert names["mask_estimators.0.to_freqs.0.0.2.weight"].shape == (384 * 4, 384 * 4)
    assert names["mask_estimators.0.to_freqs.0.0.4.weight"].shape == (7 * 4 * 2, 384 * 4)


def test_a_lost_and_a_misshapen_weight_are_named() -> None:
    net = network(MEL_CASES["one_stem"])
    state = net.state_dict()
    del state["mask_estimators.0.to_freqs.1.0.0.weight"]
    state["band_split.to_features.3.1.bias"] = torch.zeros(3)

    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)

    assert 'Missing key(s) in state_dict: "mask_estimators.0.to_freqs.1.0.0.weight". ' in str(error.value)
    assert "band_split.to_features.3.1.bias is (3,), where (16,) is wanted" in str(error.value)


@pytest.mark.long
def test_gives_what_the_reference_gives_at_published_size(tmp_path: Path) -> None:
    """`STEMWRIGHT_PEER_MSST`: a Python that can import MSST's `models`, as by a PYTHONPATH of its own."""
    if not (python := os.environ.get("STEMWRIGHT_PEER_MSST")):
        pytest.skip("STEMWRIGHT_PEER_MSST names no Python that can import MSST's models")
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
import torch
from models.bs_roformer.mel_band_roformer import MelBandRoformer
from tests.models.architectures.roformer_cases import weights
net = MelBandRoformer(**{PUBLISHED!r}, match_input_audio_length=True).eval()
shapes = {{key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}}
net.load_state_dict({{key: torch.from_numpy(values) for key, values in weights(shapes).items()}})
sound = torch.randn(1, 2, 44101, generator=torch.Generator().manual_seed(2)) * 0.1
with torch.inference_mode():
    torch.save([sound, net(sound)], {str(tmp_path / "answer.pt")!r})
"""
    subprocess.run([python, "-W", "ignore", "-c", script], check=True, stdout=sys.stderr)
    sound, golden = torch.load(tmp_path / "answer.pt", weights_only=True)

    with torch.inference_mode():
        stems = network(PUBLISHED)(sound)

    assert golden.abs().max() > 0.01
    assert (stems[:, 0] - golden).abs().max() < 1e-4 * golden.abs().max()
