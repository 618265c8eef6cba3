from dataclasses import replace

import pytest
import torch

from stemwright.stems import STEMS
from training.network import MaskNetwork, NetworkShape

pytestmark = pytest.mark.training

TINY = replace(NetworkShape(), widths=(8, 8, 8, 8, 8, 8))


@pytest.mark.parametrize("frames", [64, 192])
def test_every_point_of_every_stem_has_a_logit(frames: int) -> None:
    logits = MaskNetwork(TINY)(torch.randn(2, 4, 384, frames))
    assert logits.shape == (2, len(STEMS), 2, 384, frames)


def test_every_weight_learns() -> None:
    network = MaskNetwork(TINY)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)  # zeros at the start hide what stands before them
    network(torch.randn(2, 4, 384, 128)).square().mean().backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


def test_the_network_fits_the_wheel() -> None:
    assert 2 * sum(parameter.numel() for parameter in MaskNetwork().parameters()) < 24_000_000
