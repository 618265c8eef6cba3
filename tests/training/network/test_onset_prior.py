from pathlib import Path

import pytest
import torch

from stemwright.stems import STEMS
from training.checkpoints import onnx_export
from training.checkpoints.checkpoint import Checkpoint
from training.checkpoints.inference import build_ensemble
from training.network.designs import build
from training.network.onset_prior import OnsetPrior
from training.network.unet import NetworkShape

pytestmark = pytest.mark.training

DRUMS, BASS = STEMS.index("drums"), STEMS.index("bass")


def added(features: torch.Tensor) -> torch.Tensor:
    prior = OnsetPrior(0.5)
    silent = torch.zeros(1, len(STEMS), 2, *features.shape[2:])
    by_stem: torch.Tensor = prior.apply_to(silent, prior(features))[0, :, 1]  # (stems, bands, frames)
    return by_stem


def test_a_hit_raises_drums_and_a_held_note_raises_the_bass() -> None:
    hit, held = torch.full((2, 1, 4, 384, 64), -3.0)
    hit[..., 30] = 2.0
    held[..., 12, :] = 2.0
    for features, sign, at in ((hit, 1, (200, 30)), (held, -1, (12, 30))):
        gains = added(features)[:, *at]
        assert sign * gains[DRUMS] > 1
        assert gains[BASS] == -gains[DRUMS]
        assert (gains != 0).sum() == 2


def test_silence_and_steady_noise_change_nothing() -> None:
    silence = torch.full((1, 4, 384, 64), -9.2)
    silence[..., 20] = -5.0  # dither: as good as silence
    assert added(silence).abs().max() < 1e-6
    assert added(torch.full((1, 4, 384, 64), 1.5)).abs().max() < 1e-6


@pytest.mark.long
def test_the_prior_is_exported_with_the_network(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = build(NetworkShape(design="small-split"))
    state = network.state_dict()
    checkpoint = Checkpoint(network.shape, state, state, {})
    path = tmp_path / "prior.onnx"
    assert onnx_export.export([checkpoint], path, onset_nats=0.25) < 1e-5
    for nats, least, most in ((0.0, 0.02, 1.0), (0.25, 0.0, 5e-3)):
        exact = onnx_export.MaskModel(build_ensemble([checkpoint], onset_nats=nats)).eval()
        assert least <= onnx_export.max_difference(exact, path) < most
    features = 3 * torch.randn(1, 4, 384, 64)
    with torch.no_grad():
        plain, hit = (build_ensemble([checkpoint], onset_nats=nats)(features) for nats in (0.0, 0.25))
    torch.testing.assert_close((hit - plain)[0, :, 1], added(features) / 2, rtol=1e-3, atol=1e-4)
