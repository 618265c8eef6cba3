from pathlib import Path

import pytest
import torch

from stemwright.stems import STEMS
from training.checkpoints import onnx_export
from training.checkpoints.checkpoint import Checkpoint
from training.network.designs import build
from training.network.ensemble import assemble
from training.network.onset_prior import Strokes
from training.network.unet import NetworkShape

pytestmark = pytest.mark.training

DRUMS, BASS = STEMS.index("drums"), STEMS.index("bass")


def gained(features: torch.Tensor) -> torch.Tensor:
    strokes = Strokes(0.5)
    silent = torch.zeros(1, len(STEMS), 2, *features.shape[2:])
    by_stem: torch.Tensor = strokes.add(strokes(features), silent)[0, :, 1]  # (stems, bands, frames)
    return by_stem


def test_a_stroke_is_given_to_drums_and_a_held_note_to_the_bass() -> None:
    struck, held = torch.full((2, 1, 4, 384, 64), -3.0)
    struck[..., 30] = 2.0
    held[..., 12, :] = 2.0
    for features, sign, at in ((struck, 1, (200, 30)), (held, -1, (12, 30))):
        gains = gained(features)[:, *at]
        assert sign * gains[DRUMS] > 1
        assert gains[BASS] == -gains[DRUMS]
        assert (gains != 0).sum() == 2


def test_silence_and_steady_noise_are_neither() -> None:
    silence = torch.full((1, 4, 384, 64), -9.2)
    silence[..., 20] = -5.0  # dither: as good as silence
    assert gained(silence).abs().max() < 1e-6
    assert gained(torch.full((1, 4, 384, 64), 1.5)).abs().max() < 1e-6


def test_strokes_are_exported_with_the_network(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = build(NetworkShape(design="small-split"))
    state = network.state_dict()
    checkpoint = Checkpoint(network.shape, state, state, {})
    path = tmp_path / "struck.onnx"
    assert onnx_export.export([checkpoint], path, strokes=0.25) < 1e-5
    for nats, least, most in ((0.0, 0.02, 1.0), (0.25, 0.0, 5e-3)):
        exact = onnx_export.Masks(assemble([checkpoint], strokes=nats)).eval()
        assert least <= onnx_export.compare(exact, path) < most
    features = 3 * torch.randn(1, 4, 384, 64)
    with torch.no_grad():
        plain, struck = (assemble([checkpoint], strokes=nats)(features) for nats in (0.0, 0.25))
    torch.testing.assert_close((struck - plain)[0, :, 1], gained(features) / 2, rtol=1e-3, atol=1e-4)
