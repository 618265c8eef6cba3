import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stemwright.models.architectures.bs_roformer import BSRoformer, BSRoformerOptions, heads
from tests.models.architectures.roformer_cases import BS_CASES, BS_PACKAGE_CASES, mix
from tests.models.architectures.roformer_networks import filled

GOLDEN = np.load(Path(__file__).with_name("golden") / "bs_roformer.npz")

CASES = {f"msst.{name}": options for name, options in BS_CASES.items()}
CASES |= {f"{peer}.{name}": options for peer in ("infer", "lucidrains") for name, options in BS_PACKAGE_CASES.items()}

PUBLISHED = BSRoformerOptions(
    dim=512, depth=12, stereo=True, time_transformer_depth=1, freq_transformer_depth=1, stft_hop_length=441
)


def network(options: dict[str, Any]) -> BSRoformer:
    return filled(lambda: BSRoformer(BSRoformerOptions(**options)))


@pytest.mark.parametrize("name", sorted(CASES))
def test_gives_what_the_reference_gives(name: str) -> None:
    golden = GOLDEN[name]
    peak = np.abs(golden).max()
    assert peak > 0.05

    with torch.inference_mode():
        stems = network(CASES[name])(torch.from_numpy(mix())).numpy()

    assert np.abs(stems[..., : golden.shape[-1]] - golden).max() < 1e-5 * peak


def test_there_is_a_golden_of_every_case() -> None:
    assert set(GOLDEN.files) == set(CASES)


def test_names_of_every_weight_are_the_published_ones() -> None:
    with torch.device("meta"):
        names = BSRoformer(PUBLISHED).state_dict()

    assert len(names) == 3 * 62 + 12 * 2 * 11 + 1 + 4 * 62
    assert names["band_split.to_features.61.1.weight"].shape == (512, 129 * 4)
    assert names["layers.11.1.layers.0.0.rotary_embed.freqs"].shape == (32,)
    assert names["layers.0.0.layers.0.0.to_out.0.weight"].shape == (512, 512)
    assert names["layers.0.0.layers.0.1.net.4.weight"].shape == (512, 2048)
    assert names["mask_estimators.0.to_freqs.24.0.2.weight"].shape == (4 * 4 * 2, 2048)


def test_weights_come_back_as_they_were_loaded() -> None:
    net = network(BS_CASES["deep_transformers"])
    state = {key: tensor.clone() for key, tensor in net.state_dict().items()}

    copied = BSRoformer(net.options)
    copied.load_state_dict(state)

    assert state.keys() == copied.state_dict().keys()
    assert all(torch.equal(tensor, state[key]) for key, tensor in copied.state_dict().items())


def test_a_lost_a_foreign_and_a_misshapen_weight_are_named() -> None:
    net = network(BS_CASES["one_stem"])
    state = net.state_dict()
    state["mask_estimators.0.to_freqs.8.0.0.weight"] = state.pop("mask_estimators.0.to_freqs.1.0.0.weight")
    state["band_split.to_features.3.1.bias"] = torch.zeros(3)

    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)

    assert 'Missing key(s) in state_dict: "mask_estimators.0.to_freqs.1.0.0.weight". ' in str(error.value)
    assert 'Unexpected key(s) in state_dict: "mask_estimators.0.to_freqs.8.0.0.weight". ' in str(error.value)
    assert "band_split.to_features.3.1.bias is (3,), where (16,) is wanted" in str(error.value)


def test_heads_give_the_stems_asked_for() -> None:
    options = BS_CASES["one_stem"] | {"num_stems": 4}
    net, sounds = network(options), torch.from_numpy(mix())
    all_stems = net(sounds)

    few = BSRoformer(BSRoformerOptions(**options | {"num_stems": 2}))
    few.load_state_dict(heads(net.state_dict(), [3, 1]))

    torch.testing.assert_close(few(sounds), all_stems[:, [3, 1]])
    with pytest.raises(ValueError, match=r"has 4 stems, numbered from 0: there is none at \[4\]"):
        heads(net.state_dict(), [0, 4])


def test_bands_must_cover_the_spectrum() -> None:
    with pytest.raises(ValueError, match="freqs_per_bands add up to 5 bins, but stft_n_fft = 2048 has 1025"):
        BSRoformerOptions(dim=8, depth=1, freqs_per_bands=(2, 3))


@pytest.mark.long
def test_gives_what_the_reference_gives_at_published_size(tmp_path: Path) -> None:
    """`STEMWRIGHT_PEER_BS_ROFORMER_INFER`: a Python in whose environment bs-roformer-infer 0.1.5 is installed."""
    if not (python := os.environ.get("STEMWRIGHT_PEER_BS_ROFORMER_INFER")):
        pytest.skip("STEMWRIGHT_PEER_BS_ROFORMER_INFER names no Python with bs-roformer-infer")
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
import torch
from bs_roformer.bs_roformer import BSRoformer
from tests.models.architectures.roformer_cases import weights
net = BSRoformer(dim=512, depth=12, stereo=True, time_transformer_depth=1, freq_transformer_depth=1,
                 stft_hop_length=441, zero_dc=True).eval()
shapes = {{key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}}
net.load_state_dict({{key: torch.from_numpy(values) for key, values in weights(shapes).items()}})
sound = torch.randn(1, 2, 44100, generator=torch.Generator().manual_seed(2)) * 0.1
with torch.inference_mode():
    torch.save([sound, net(sound)], {str(tmp_path / "answer.pt")!r})
"""
    subprocess.run([python, "-W", "ignore", "-c", script], check=True, stdout=sys.stderr)
    sound, golden = torch.load(tmp_path / "answer.pt", weights_only=True)
    net = filled(lambda: BSRoformer(PUBLISHED))

    with torch.inference_mode():
        stems = net(sound)

    assert golden.abs().max() > 0.01
    assert (stems[:, 0] - golden).abs().max() < 1e-4 * golden.abs().max()
