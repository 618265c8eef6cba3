"""HTDemucs against a peer's output, and what a runtime may rely on."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stemwright.models.architectures.htdemucs import FIXED, UNUSED, HTDemucs, HTDemucsOptions
from tests.models.architectures.answers import separated
from tests.models.architectures.make_htdemucs_golden import CASES, GOLDEN, JOINED, PUBLISHED, mix, weights

PEER = "STEMWRIGHT_PEER_DEMUCS_INFER"
ROOT = Path(__file__).parents[3]


def options(settings: Mapping[str, Any], **changes: Any) -> HTDemucsOptions:
    given = {**settings, **changes}
    return HTDemucsOptions(**given | {"sources": tuple(given["sources"])})


def filled(options: HTDemucsOptions) -> HTDemucs:
    network = HTDemucs(options).eval()
    network.load_state_dict(state(network))
    return network


def state(network: HTDemucs) -> dict[str, Tensor]:
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    return {key: torch.from_numpy(values) for key, values in weights(shapes).items()}


def noise(samples: int, *, batch: int = 1, channels: int = 2) -> Tensor:
    return torch.randn(batch, channels, samples, generator=torch.Generator().manual_seed(samples)) * 0.1


@pytest.mark.parametrize("name", CASES)
def test_the_peer_says_the_same(name: str) -> None:
    settings, samples = CASES[name]
    expected = torch.from_numpy(np.load(GOLDEN)[name])
    made = separated(filled(options(settings)), torch.from_numpy(mix(name, samples)))
    assert made.shape == expected.shape
    assert (made - expected).abs().max() < 1e-5 * expected.abs().max()
    assert expected.std() > 1e-3


@pytest.mark.parametrize(
    ("samples", "batch", "channels", "sources"),
    [(1000, 1, 2, 3), (1, 1, 2, 1), (999, 2, 2, 6), (1001, 1, 1, 2), (2345, 3, 2, 1)],
)
def test_what_goes_in_has_the_length_of_what_comes_out(samples: int, batch: int, channels: int, sources: int) -> None:
    names = tuple(f"stem {index}" for index in range(sources))
    network = filled(options(JOINED, sources=names, audio_channels=channels))
    stems = separated(network, noise(samples, batch=batch, channels=channels))
    assert stems.shape == (batch, sources, channels, samples)
    assert stems.dtype is torch.float32
    assert stems.isfinite().all()


def test_shorter_input_is_padded_to_the_segment_of_the_training() -> None:
    network = filled(options(JOINED))
    audio = noise(700)
    padded = torch.nn.functional.pad(audio, (0, 300))
    assert torch.equal(separated(network, audio), separated(network, padded)[..., :700])
    bare = filled(options(JOINED, use_train_segment=False))
    assert not torch.allclose(separated(bare, audio), separated(network, audio), atol=1e-4)


def test_chunks_of_a_batch_know_nothing_of_each_other() -> None:
    network = filled(options(JOINED))
    audio = torch.cat([noise(1000), 10 * noise(999, batch=1)[..., :1].expand(-1, -1, 1000), noise(1000).flip(2)])
    together = separated(network, audio)
    for index in range(3):
        alone = separated(network, audio[index : index + 1])
        assert torch.allclose(together[index], alone[0], atol=1e-6 * float(alone.abs().max()) + 1e-6)


def test_silence_is_no_division_by_zero() -> None:
    assert separated(filled(options(JOINED)), torch.zeros(1, 2, 1000)).isfinite().all()


def test_the_input_is_left_as_it_was() -> None:
    audio = noise(1000)
    before = audio.clone()
    separated(filled(options(JOINED)), audio)
    assert torch.equal(audio, before)


def test_half_precision_stays_close() -> None:
    network = filled(options(JOINED))
    audio = torch.from_numpy(mix("segment", 1000))
    exact = separated(network, audio)
    with torch.autocast("cpu", torch.bfloat16):
        close = separated(network, audio)
    assert close.dtype is torch.float32
    error = (close - exact).square().sum() / exact.square().sum()
    assert 1e-8 < error < 1e-3  # these weights are loud, and make more of an error than trained ones


def test_weights_are_assigned_to_a_network_without_memory() -> None:
    expected = separated(filled(options(JOINED)), noise(1000))
    with torch.device("meta"):
        network = HTDemucs(options(JOINED))
    assert not list(network.buffers())
    network.load_state_dict(state(HTDemucs(options(JOINED))), assign=True)
    assert torch.equal(separated(network, noise(1000)), expected)


def test_published_sizes() -> None:
    with torch.device("meta"):
        network = HTDemucs(options(PUBLISHED))
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert sum(value.numel() for value in network.parameters()) == 41_984_456  # what the published file holds
    assert len(shapes) == 533
    assert shapes["encoder.0.conv.weight"] == (48, 4, 8, 1)
    assert shapes["tdecoder.3.conv_tr.weight"] == (48, 8, 8)
    assert shapes["decoder.0.rewrite.weight"] == (768, 384, 3, 3)
    assert shapes["encoder.3.dconv.layers.1.3.weight"] == (768, 48, 1)
    assert shapes["encoder.3.dconv.layers.1.6.scale"] == (384,)
    assert shapes["freq_emb.embedding.weight"] == (512, 48)
    assert shapes["channel_upsampler_t.weight"] == (512, 384, 1)
    assert shapes["crosstransformer.layers.1.cross_attn.in_proj_weight"] == (1536, 512)
    assert shapes["crosstransformer.layers_t.4.norm_out.weight"] == (512,)
    assert network.options.segment_samples == 343_980


def test_published_sizes_of_six_stems() -> None:
    names = ["drums", "bass", "other", "vocals", "guitar", "piano"]
    with torch.device("meta"):
        network = HTDemucs(options(PUBLISHED, sources=names, bottom_channels=0))
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert len(shapes) == 525  # its transformer has the channels of the encoder
    assert shapes["crosstransformer.norm_in.weight"] == (384,)
    assert shapes["decoder.3.conv_tr.weight"] == (48, 24, 8, 1)


def test_each_published_setting_is_known() -> None:
    published = (  # of the constructor, with ``num_subbands`` of MSST's
        "sources audio_channels channels channels_time growth num_subbands nfft wiener_iters end_iters wiener_residual cac "
        "depth rewrite multi_freqs multi_freqs_depth freq_emb emb_scale emb_smooth kernel_size time_stride stride context "
        "context_enc norm_starts norm_groups dconv_mode dconv_depth dconv_comp dconv_init bottom_channels t_layers t_emb "
        "t_hidden_scale t_heads t_dropout t_max_positions t_norm_in t_norm_in_group t_group_norm t_norm_first t_norm_out "
        "t_max_period t_weight_decay t_lr t_layer_scale t_gelu t_weight_pos_embed t_sin_random_shift t_cape_mean_normalize "
        "t_cape_augment t_cape_glob_loc_scale t_sparse_self_attn t_sparse_cross_attn t_mask_type t_mask_random_seed "
        "t_sparse_attn_window t_global_window t_sparsity t_auto_sparsity t_cross_first rescale samplerate segment "
        "use_train_segment"
    )
    known = [field.name for field in fields(HTDemucsOptions)] + list(FIXED) + list(UNUSED)
    assert sorted(published.split()) == sorted(known)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": ()}, "at least one"),
        ({"depth": 5}, "depth must be 1 to 4"),
        ({"nfft": 1024}, "more than 8 bins"),
        ({"t_heads": 7}, "cannot be shared among 7"),
        ({"bottom_channels": 10, "t_heads": 2}, "a multiple of that and of 4"),
    ],
)
def test_sizes_that_do_not_go_together_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(options(PUBLISHED), **changes)


def test_a_segment_is_counted_exactly() -> None:
    assert options(PUBLISHED, segment=Fraction(7, 5)).segment_samples == 61_740
    assert options(PUBLISHED, segment=7.8).segment_samples == 343_980
    assert options(PUBLISHED, segment=11).segment_samples == 485_100


@pytest.mark.long
def test_the_peer_says_the_same_at_the_published_size(tmp_path: Path) -> None:
    interpreter = os.environ.get(PEER)
    if not interpreter:
        pytest.skip(f"{PEER} does not name the Python of an environment with demucs-infer")
    script = ["-m", "tests.models.architectures.make_htdemucs_golden", str(tmp_path / "peer.npz")]
    subprocess.run([interpreter, *script], cwd=ROOT, check=True)
    expected = torch.from_numpy(np.load(tmp_path / "peer.npz")["published"])
    made = separated(filled(options(PUBLISHED)), torch.from_numpy(mix("published", 343_980)))
    assert (made - expected).abs().max() < 1e-4 * expected.abs().max()
