import argparse
from dataclasses import replace

import pytest
import torch

from stemwright.stems import STEMS
from training.network.unet import NetworkShape, UNet, frame_count

pytestmark = pytest.mark.training

TINY = replace(NetworkShape(), widths=(8, 8, 8, 8, 8, 8))
DEEP = replace(TINY, residuals=(0, 0, 1, 3, 2, 2), gates_from=3)


@pytest.mark.parametrize("shape", [TINY, DEEP])
@pytest.mark.parametrize("frames", [64, 192])
def test_every_point_of_every_stem_has_a_logit(shape: NetworkShape, frames: int) -> None:
    logits = UNet(shape)(torch.randn(2, 4, 384, frames))
    assert logits.shape == (2, len(STEMS), 2, 384, frames)


@pytest.mark.parametrize("shape", [TINY, DEEP])
def test_every_weight_learns(shape: NetworkShape) -> None:
    network = UNet(shape)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)  # zeros at the start hide what stands before them
    network(torch.randn(2, 4, 384, 128)).square().mean().backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


def test_a_deeper_network_begins_as_the_one_that_it_was() -> None:
    torch.manual_seed(1)
    shallow, deep = UNet(TINY).eval(), UNet(DEEP).eval()
    deep.load_state_dict(shallow.state_dict(), strict=False)
    seen = torch.randn(1, 4, 384, 128)
    with torch.no_grad():
        assert torch.allclose(deep(seen), shallow(seen), atol=1e-6)


def test_the_network_fits_the_wheel() -> None:
    assert 2 * sum(parameter.numel() for parameter in UNet().parameters()) < 24_000_000


@pytest.mark.parametrize("text", ["0", "64", "200", "-128", "many"])
def test_frames_that_no_network_hears_at_once_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is not a multiple of 64, at least 128"):
        frame_count(text)
    assert frame_count("384") == 384
