from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stemwright.models.flop_count import gflop_per_s


class Layer(nn.Module):
    """A layer over the samples of the left channel, a hundred at a time."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, mix: Tensor) -> Tensor:
        outputs = self.layer(mix[:, 0].reshape(1, -1, 100))
        made: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
        return made


@pytest.mark.parametrize(
    ("layer", "weights"),
    [
        (lambda: nn.Linear(100, 30_000), 100 * 30_000),
        (lambda: nn.LSTM(100, 700, bidirectional=True), 2 * 4 * 700 * (100 + 700)),
    ],
    ids=["linear", "lstm"],
)
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_every_weight_is_multiplied_and_added_once_a_step(layer: type[nn.Module], weights: int, overlap: float) -> None:
    with torch.device("meta"):
        network = Layer(layer())
    # 441 steps in a second of 44,100 samples
    counted = gflop_per_s(network, 441_000, overlap, 44_100)
    assert counted == pytest.approx(2 * 441 * weights / (1 - overlap) / 1e9, abs=0.05)


def test_attention_is_two_products_of_all_with_all() -> None:
    class Attention(nn.Module):
        def forward(self, mix: Tensor) -> Tensor:
            tokens = mix.reshape(1, 2, -1, 100)  # two heads
            return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)

    assert gflop_per_s(Attention(), 441_000, 0.0, 44_100) == pytest.approx(
        2 * 2 * 2 * 4410**2 * 100 / 10 / 1e9, abs=0.05
    )


def test_nothing_is_multiplied() -> None:
    with torch.device("meta"):
        network = Layer(nn.Linear(100, 10_000_000))  # 4 GB
    assert gflop_per_s(network, 4_410_000, 0.0, 44_100) == pytest.approx(2 * 441 * 100 * 1e7 / 1e9, rel=1e-6)
