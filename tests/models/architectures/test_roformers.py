"""What holds for both RoFormers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from stemwright.models.architectures import bs_roformer, mel_band_roformer
from stemwright.models.architectures.bs_roformer import BSRoformer, BSRoformerOptions
from stemwright.models.architectures.mel_band_roformer import MelBandRoformer, MelBandRoformerOptions
from tests.models.architectures.roformer_cases import BS_CASES, MEL_CASES, mix
from tests.models.architectures.roformer_networks import filled

Options = dict[str, Any]


@dataclass(frozen=True)
class Roformer:
    """One of the architectures.

    Attributes:
        module: where it is.
        build: makes a network of its options.
        cases: options of small networks, by name.
        deepest: the case on which blocks of sequences are tried.
        edges: numbers of samples around half a frame and a whole one.
    """

    module: str
    build: Callable[[Options], nn.Module]
    cases: dict[str, Options]
    deepest: str
    edges: tuple[int, ...]

    def network(self, options: Options) -> nn.Module:
        return filled(lambda: self.build(options))


ROFORMERS = {
    "bs": Roformer(
        bs_roformer.__name__,
        lambda options: BSRoformer(BSRoformerOptions(**options)),
        BS_CASES,
        "deep_transformers",
        (1, 64, 65, 128, 1000, 1024),
    ),
    "mel_band": Roformer(
        mel_band_roformer.__name__,
        lambda options: MelBandRoformer(MelBandRoformerOptions(**options)),
        MEL_CASES,
        "one_stem",
        (1, 128, 129, 256, 1000, 1024),
    ),
}


@pytest.fixture(params=ROFORMERS)
def roformer(request: pytest.FixtureRequest) -> Roformer:
    return ROFORMERS[request.param]


@pytest.mark.parametrize("stems", [1, 3])
@pytest.mark.parametrize("edge", range(6))
def test_any_number_of_samples_comes_back(roformer: Roformer, stems: int, edge: int) -> None:
    samples = roformer.edges[edge]
    sound = torch.randn(2, 2, samples, generator=torch.Generator().manual_seed(1))

    out = roformer.network(roformer.cases["one_stem"] | {"num_stems": stems})(sound)

    assert out.shape == (2, stems, 2, samples)
    assert out.dtype == torch.float32
    assert out.isfinite().all()


def test_mono_goes_through_a_network_for_mono(roformer: Roformer) -> None:
    net = roformer.network(roformer.cases["one_stem"] | {"stereo": False})
    assert net(torch.ones(1, 1, 500)).shape == (1, 1, 1, 500)


def test_sounds_of_a_batch_do_not_change_each_other(roformer: Roformer) -> None:
    net, sounds = roformer.network(roformer.cases["one_stem"]), torch.from_numpy(mix())

    torch.testing.assert_close(net(sounds)[1:], net(sounds[1:]))


def test_silence_stays_silence(roformer: Roformer) -> None:
    assert not roformer.network(roformer.cases["one_stem"])(torch.zeros(1, 2, 1000)).any()


def test_blocks_of_sequences_change_nothing(roformer: Roformer, monkeypatch: pytest.MonkeyPatch) -> None:
    net, sounds = roformer.network(roformer.cases[roformer.deepest]), torch.from_numpy(mix())
    whole = net(sounds)
    monkeypatch.setattr(f"{roformer.module}._CPU_BLOCK_TOKENS", 1)

    torch.testing.assert_close(net(sounds), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["one_stem", "polar", "linear_attention"])
def test_bfloat16_stays_close(roformer: Roformer, name: str) -> None:
    net, sounds = roformer.network(roformer.cases[name]), torch.from_numpy(mix())
    exact = net(sounds)

    with torch.autocast("cpu", torch.bfloat16):
        rounded = net(sounds)

    assert rounded.dtype == torch.float32
    error = (rounded - exact).square().sum() / exact.square().sum()
    assert 1e-9 < error < 1e-4  # rounded indeed, and 40 dB below the sound


def test_other_channels_are_refused(roformer: Roformer) -> None:
    with pytest.raises(ValueError, match=r"takes \(batch, 2, samples\), and was given \(1, 1, 500\)"):
        roformer.network(roformer.cases["one_stem"])(torch.zeros(1, 1, 500))
