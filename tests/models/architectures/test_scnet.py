"""SCNet against the output of both published implementations, and what a runtime may rely on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stemwright.models.architectures.scnet import SCNet, SCNetOptions
from tests.models.architectures.answers import peers_answer, separated, snr_db
from tests.models.architectures.filling import fill
from tests.models.architectures.make_scnet_golden import CASES, GOLDEN, SMALL, mix

PEER = "STEMWRIGHT_PEER_SCNET"
LARGE = SCNetOptions(**CASES["large"])
XL_IHF = SCNetOptions(**CASES["xl_ihf"])


def filled(options: SCNetOptions) -> SCNet:
    with torch.device("meta"):
        network = SCNet(options).eval()
    state = {key: torch.from_numpy(fill(key, tuple(value.shape))) for key, value in network.state_dict().items()}
    network.load_state_dict(state, assign=True)
    return network


def network_of(case: str = "plain", **changes: Any) -> SCNet:
    return filled(SCNetOptions(**{**CASES[case], **changes}))


def noise(samples: int, batch: int = 1, channels: int = 2) -> Tensor:
    return torch.randn(batch, channels, samples, generator=torch.Generator().manual_seed(samples)) * 0.1


@pytest.mark.parametrize("case", SMALL)
def test_the_reference_says_the_same(case: str) -> None:
    expected = torch.from_numpy(np.load(GOLDEN)[case])
    made = separated(network_of(case), torch.from_numpy(mix(case)))
    assert made.shape == expected.shape
    assert made.dtype is torch.float32
    assert (made - expected).abs().max() < 1e-5 * expected.abs().max()
    assert expected.std() > 1e-3


@pytest.mark.long
@pytest.mark.parametrize("case", ["large", "xl_ihf"])
def test_the_reference_says_the_same_at_full_size(case: str, tmp_path: Path) -> None:
    torch.set_num_threads(2)
    expected = peers_answer(PEER, "make_scnet_golden", case, tmp_path)
    made = separated(network_of(case), torch.from_numpy(mix(case)))
    assert (made - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize(
    ("samples", "batch", "channels", "stems"),
    [(0, 1, 2, 1), (1, 1, 2, 4), (64, 2, 2, 1), (65, 1, 1, 2), (1000, 3, 2, 2), (4097, 1, 2, 1)],
)
@pytest.mark.parametrize("case", ["plain", "masked", "starrytong"])
def test_what_goes_in_has_the_length_of_what_comes_out(
    case: str, samples: int, batch: int, channels: int, stems: int
) -> None:
    sources = tuple(f"stem {index}" for index in range(stems))
    network = network_of(case, sources=sources, audio_channels=channels, dims=(2 * channels, 8, 12, 16))
    made = separated(network, noise(samples, batch, channels))
    assert made.shape == (batch, stems, channels, samples)
    assert made.dtype is torch.float32
    assert made.isfinite().all()


@pytest.mark.parametrize("case", ["ihf", "starrytong"])
def test_chunks_of_a_batch_know_nothing_of_each_other(case: str) -> None:
    network = network_of(case)
    audio = torch.cat([noise(1000), 10 * noise(999, channels=2)[..., :1].expand(-1, -1, 1000), noise(1000).flip(2)])
    together = separated(network, audio)
    for index in range(3):
        alone = separated(network, audio[index : index + 1])
        assert torch.allclose(together[index], alone[0], atol=1e-5 * float(alone.abs().max()))


@pytest.mark.parametrize("case", ["plain", "masked"])
def test_a_normalised_spectrum_makes_loudness_pass_through(case: str) -> None:
    network, audio = network_of(case, normalize_spectrum=True), noise(1000)
    assert torch.allclose(separated(network, 8 * audio), 8 * separated(network, audio), rtol=1e-3, atol=1e-5)
    assert separated(network, torch.zeros(1, 2, 1000)).isfinite().all()


def test_masks_give_nothing_where_the_mix_has_nothing() -> None:
    assert not separated(network_of("masked"), torch.zeros(1, 2, 1000)).any()
    assert separated(network_of(), torch.zeros(1, 2, 1000)).any()


def test_the_input_and_the_weights_are_left_as_they_were() -> None:
    network, audio = network_of(), noise(1000)
    kept = audio.clone()
    first = separated(network, audio)
    assert torch.equal(audio, kept)
    assert torch.equal(separated(network, audio), first)


@pytest.mark.parametrize("case", ["plain", "ihf", "masked", "starrytong"])
def test_half_precision_stays_close(case: str) -> None:
    network, audio = network_of(case), noise(2000)
    exact = separated(network, audio)
    with torch.autocast("cpu", torch.bfloat16):
        close = separated(network, audio)
    assert close.dtype is torch.float32
    assert 40 < snr_db(exact, close) < 80


def published(options: SCNetOptions) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {key: value.shape for key, value in SCNet(options).state_dict().items()}


@pytest.mark.parametrize(
    ("options", "file_bytes"),
    [
        (LARGE, 168_848_417),  # SCNet-large.th
        (XL_IHF, 214_063_778),  # model_scnet_ep_36_sdr_10.0891.ckpt
        (replace(XL_IHF, masked=True), 214_143_287),  # model_scnet_masked_ep_111_sdr_9.8286.ckpt
    ],
)
def test_the_network_fills_the_published_file(options: SCNetOptions, file_bytes: int) -> None:
    shapes = published(options)
    names_bytes = file_bytes - sum(4 * shape.numel() for shape in shapes.values())
    assert 200 < names_bytes / len(shapes) < 500


def test_names_and_shapes_are_those_of_published_checkpoints() -> None:
    shapes = published(LARGE)
    assert {key: tuple(shape) for key, shape in shapes.items()} | {
        "encoder.0.SDlayer.convs.2.weight": (64, 4, 16, 1),
        "encoder.1.conv_modules.0.layers.2.1.weight": (64, 128, 3),
        "encoder.2.conv_modules.2.layers.0.4.bias": (64,),
        "encoder.2.globalconv.weight": (256, 256, 3, 3),
        "separation_net.dp_modules.1.lstm_layers.0.weight_hh_l0_reverse": (2048, 512),
        "separation_net.dp_modules.0.linear_layers.1.weight": (256, 512),
        "separation_net.dp_modules.5.norm_layers.1.bias": (512,),
        "decoder.0.0.conv.weight": (512, 512, 3, 3),
        "decoder.2.1.convtrs.1.weight": (64, 16, 4, 1),
    } == {key: tuple(shape) for key, shape in shapes.items()}
    masked = published(SCNetOptions(masked=True))
    assert set(masked) - set(published(SCNetOptions())) == {
        "pos_embed_f",
        "mask_layer.0.weight",
        "mask_layer.0.bias",
        "mask_layer.2.weight",
        "mask_layer.2.bias",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"band_SR": (0.5, 0.5)}, "band_SR has 2 values: give three"),
        ({"conv_depths": (3, 2, 1, 1)}, "conv_depths has 4 values: give three"),
        ({"band_kernel": (3, 4, 8)}, r"band_kernel = \(3, 4, 8\) does not fit"),
        ({"dims": (4,)}, "name one more level"),
        ({"audio_channels": 1}, "begin with 2"),
        ({"num_dplayer": 7}, "give an even number"),
        ({"conv_kernel": 4}, "give an odd number"),
    ],
)
def test_options_that_cannot_be_built_say_what_to_change(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SCNetOptions(**changes)


def test_a_checkpoint_of_another_network_is_refused() -> None:
    network = network_of()
    state = dict(network.state_dict())
    state["first_conv.weight"] = torch.zeros(4, 4, 1, 1)
    with pytest.raises(RuntimeError, match="first_conv"):
        network.load_state_dict(state)
