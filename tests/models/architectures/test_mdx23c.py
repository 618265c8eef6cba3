"""MDX23C against the output of the published implementation, and what a runtime may rely on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stemwright.models.architectures.mdx23c import MDX23C, MDX23COptions
from tests.models.architectures.answers import peers_answer, separated, snr_db
from tests.models.architectures.filling import fill
from tests.models.architectures.make_mdx23c_golden import CASES, GOLDEN, HOPS, SMALL, mix

PEER = "STEMWRIGHT_PEER_MSST"


def network_of(case: str = "instance", **changes: Any) -> MDX23C:
    with torch.device("meta"):
        network = MDX23C(MDX23COptions(**{**CASES[case], **changes})).eval()
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    state = {key: torch.from_numpy(fill(key, shape)) if shape else torch.tensor(0) for key, shape in shapes.items()}
    network.load_state_dict(state, assign=True)
    return network


def noise(samples: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 2, samples, generator=torch.Generator().manual_seed(samples))


@pytest.mark.parametrize("case", SMALL)
def test_the_reference_says_the_same(case: str) -> None:
    expected = torch.from_numpy(np.load(GOLDEN)[case])
    made = separated(network_of(case), torch.from_numpy(mix(case)))
    assert made.shape == expected.shape
    assert made.dtype is torch.float32
    assert (made - expected).abs().max() < 1e-5 * expected.abs().max()
    assert expected.std() > 0.1


@pytest.mark.parametrize("case", SMALL)
def test_the_golden_files_hear_the_deepest_level(case: str) -> None:
    network, audio = network_of(case), torch.from_numpy(mix(case))
    exact = separated(network, audio)
    for weight in network.bottleneck_block.parameters():
        weight.data.mul_(2)
    assert (separated(network, audio) - exact).abs().max() > 1e-4 * exact.abs().max()


@pytest.mark.long
def test_the_reference_says_the_same_at_published_size(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    expected = peers_answer(PEER, "make_mdx23c_golden", "published", tmp_path)
    made = separated(network_of("published"), torch.from_numpy(mix("published")))
    assert (made - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize(
    ("samples", "batch", "stems"), [(0, 1, 1), (1, 1, 4), (64, 2, 1), (65, 1, 2), (1000, 3, 2), (4097, 1, 2)]
)
@pytest.mark.parametrize("case", SMALL)
@pytest.mark.parametrize("normalize", [False, True])
def test_what_goes_in_has_the_length_of_what_comes_out(
    case: str, normalize: bool, samples: int, batch: int, stems: int
) -> None:
    made = separated(network_of(case, num_stems=stems, normalize=normalize), noise(samples, batch))
    assert made.shape == (batch, stems, 2, samples)
    assert made.dtype is torch.float32
    assert made.isfinite().all()


def test_a_bottleneck_of_one_bin_takes_any_length() -> None:
    network = network_of(bottleneck_factor=3, hop_length=64)
    assert separated(network, noise(65)).isfinite().all()


def test_an_input_that_its_levels_divide_is_not_padded_and_others_are_as_little_as_can_be() -> None:
    network = network_of()  # four frames become one twice, and a hop is 32 samples
    assert HOPS["instance"] % 4 == 3
    given = [224, 225, 352, 353, 353 + 32]
    assert [network.padded(samples) for samples in given] == [224, 352, 352, 480, 480]


def test_zeros_after_an_input_change_nothing_where_the_network_would_add_them() -> None:
    network, audio = network_of("batch"), noise(450)
    padded = torch.nn.functional.pad(audio, (0, 30))
    assert torch.equal(separated(network, audio), separated(network, padded)[..., :450])


@pytest.mark.parametrize("case", ["instance", "batch", "group"])
def test_chunks_of_a_batch_know_nothing_of_each_other(case: str) -> None:
    network = network_of(case, normalize=True)
    audio = torch.cat([noise(1000), 10 * noise(999)[..., :1].expand(-1, -1, 1000), noise(1000).flip(2)])
    together = separated(network, audio)
    for index in range(3):
        alone = separated(network, audio[index : index + 1])
        assert torch.allclose(together[index], alone[0], atol=1e-5 * float(alone.abs().max()))


def test_channels_lie_as_is_fast_and_that_changes_nothing() -> None:
    network, audio = network_of(), noise(1000)
    seen: list[bool] = []
    hook = network.first_conv.register_forward_hook(
        lambda layer, inputs, output: seen.append(output.is_contiguous(memory_format=torch.channels_last))
    )
    lying = separated(network, audio)
    hook.remove()
    network.first_conv.register_forward_hook(lambda layer, inputs, output: output.contiguous())
    assert seen == [True]
    assert torch.allclose(lying, separated(network, audio), atol=1e-5 * float(lying.abs().max()))


def test_a_normalised_input_makes_loudness_pass_through() -> None:
    audio = noise(1000)
    quiet, loud = (separated(network_of(normalize=True), gain * audio) for gain in (0.01, 1))
    assert torch.allclose(100 * quiet, loud, atol=1e-4 * float(loud.abs().max()))
    assert snr_db(loud, 100 * separated(network_of(), 0.01 * audio)) < 40
    assert separated(network_of(normalize=True), torch.zeros(1, 2, 1000)).isfinite().all()


def test_nothing_is_given_above_the_bins_that_are_heard() -> None:
    stem = separated(network_of(), noise(4064))[0, 0, 0]
    spectrum = torch.fft.rfft(stem * torch.hann_window(len(stem))).abs()
    edge = len(spectrum) * CASES["instance"]["dim_f"] // 64
    assert spectrum[int(1.1 * edge) :].max() < 0.01 * spectrum[:edge].max()


def test_the_input_and_the_weights_are_left_as_they_were() -> None:
    network, audio = network_of(), noise(1000)
    kept = audio.clone()
    first = separated(network, audio)
    assert torch.equal(audio, kept)
    assert torch.equal(separated(network, audio), first)


@pytest.mark.parametrize("case", SMALL)
def test_half_precision_stays_close(case: str) -> None:
    network, audio = network_of(case), torch.from_numpy(mix(case))
    exact = separated(network, audio)
    with torch.autocast("cpu", torch.bfloat16):
        close = separated(network, audio)
    assert close.dtype is torch.float32
    assert 40 < snr_db(exact, close) < 80


def published(**changes: Any) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = MDX23C(MDX23COptions(**{**CASES["published"], **changes}))
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def test_names_and_shapes_are_those_of_published_checkpoints() -> None:
    shapes = published()
    assert (
        shapes
        | {
            "first_conv.weight": (128, 16, 1, 1),
            "encoder_blocks.0.tfc_tdf.blocks.0.tfc1.0.weight": (128,),
            "encoder_blocks.0.tfc_tdf.blocks.1.tfc1.2.weight": (128, 128, 3, 3),
            "encoder_blocks.1.tfc_tdf.blocks.0.tdf.0.bias": (256,),
            "encoder_blocks.1.tfc_tdf.blocks.0.tdf.2.weight": (128, 512),
            "encoder_blocks.1.tfc_tdf.blocks.0.tdf.3.weight": (256,),
            "encoder_blocks.1.tfc_tdf.blocks.0.tdf.5.weight": (512, 128),
            "encoder_blocks.4.downscale.conv.2.weight": (768, 640, 2, 2),
            "bottleneck_block.blocks.1.tfc2.2.weight": (768, 768, 3, 3),
            "decoder_blocks.0.upscale.conv.0.weight": (768,),
            "decoder_blocks.0.upscale.conv.2.weight": (768, 640, 2, 2),
            "decoder_blocks.4.tfc_tdf.blocks.0.shortcut.weight": (128, 256, 1, 1),
            "final_conv.0.weight": (128, 144, 1, 1),
            "final_conv.2.weight": (32, 128, 1, 1),
        }
        == shapes
    )
    assert len(shapes) == 319
    assert {key.rsplit(".", 1)[1] for key in published(norm="BatchNorm")} == {
        *("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    assert len(published(norm="none")) == 3 + 5 + 5 + 22 * 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_stems": 0}, "num_stems = 0 leaves nothing"),
        ({"num_scales": 0}, "num_scales = 0 leaves nothing"),
        ({"num_blocks_per_scale": -1}, "num_blocks_per_scale = -1 leaves nothing"),
        ({"growth": -4}, "growth = -4 would use the channels up"),
        ({"hop_length": 65}, "hop_length = 65 is more than half of n_fft = 128"),
        ({"scale": (2,)}, r"scale = \(2,\) must be two"),
        ({"scale": (0, 2)}, r"scale = \(0, 2\) must be two"),
        ({"dim_f": 80}, "dim_f = 80 is more than the 65 bins"),
        ({"dim_f": 50}, "dim_f = 50 cannot be cut .* give a multiple of 16"),
        ({"bottleneck_factor": 4}, "bottleneck_factor = 4 leaves no bins where there are 3"),
        ({"norm": "GroupNorm3"}, "norm = GroupNorm3 does not fit 8 channels"),
        ({"norm": "GroupNorm"}, "norm = GroupNorm does not fit 8 channels"),
        ({"act": "silu"}, "act = silu is unknown: give gelu"),
        ({"act": "elu"}, "act = elu is unknown: give gelu"),
    ],
)
def test_options_that_cannot_be_built_say_what_to_change(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MDX23COptions(**{**CASES["instance"], **changes})


def test_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"takes \(batch, 2, samples\), and was given \(1, 1, 500\)"):
        network_of()(torch.zeros(1, 1, 500))


def test_a_checkpoint_of_another_norm_is_refused() -> None:
    with pytest.raises(RuntimeError, match="running_mean"):
        network_of("instance").load_state_dict(network_of("batch").state_dict())
