"""Muon: momentum with orthogonalised steps, for weights that are matrices (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon/).

The gradient of a matrix is nearly of low rank: a few directions, learned already, dominate every step. Muon replaces it
by the nearest matrix whose singular values are all one, computed by a few Newton-Schulz iterations, so that rare
directions are learned as fast as common ones. Its step is scaled to the size of Adam's (Liu et al. 2025, "Muon is
scalable for LLM training"), so that both use the same learning rate. Adam trains biases, norms and positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from training.optimise.precision import has_fast_bfloat16

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial ``a x + b x^3 + c x^5``: it raises small singular values fast, and keeps all from 0.7 to 1.2."""

ADAM_STEP_RMS = 0.2
"""Root mean square of a step, relative to the learning rate; Adam's is about the same."""


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with singular values near one: ``(rows, columns)`` to the same; bfloat16 is exact enough."""
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16() if has_fast_bfloat16(matrix.device) else matrix.float()
    if tall := x.shape[0] > x.shape[1]:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T  # (rows, rows), the shorter side
        x = a * x + (b * square + c * square @ square) @ x
    found: Tensor = x.T if tall else x
    return found


AllReduce = Callable[[Tensor], Tensor]
"""Sums a vector over all processes."""


class Muon(torch.optim.Optimizer):
    """Steps of matrices: convolutions ``(out, in, height, width)`` count as ``(out, in * height * width)``.

    Args:
        weights: of two dimensions or more.
        learning_rate: of a step whose values have ``ADAM_STEP_RMS`` of it for their root mean square.
        momentum: of the gradients, Nesterov's.
        weight_decay: a step's, by the learning rate.
        rank, workers: which of how many processes this is. Each makes its share of the matrices orthogonal.
        all_reduce: sums a vector over all processes.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        learning_rate: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        *,
        rank: int = 0,
        workers: int = 1,
        all_reduce: AllReduce = lambda vector: vector,
    ) -> None:
        super().__init__(weights, {"lr": learning_rate, "momentum": momentum, "weight_decay": weight_decay})
        self._rank, self._workers, self._all_reduce = rank, workers, all_reduce

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure is asked for a loss
        """Takes a step along the gradients that the weights have."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            gradients = [weight.grad for weight in weights]
            momenta = [self._momentum(weight) for weight in weights]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(weights, self._directions(ahead), alpha=-group["lr"])

    def _momentum(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        momentum: Tensor = state["momentum"]
        return momentum

    def _directions(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Steps of all weights, each process having made some."""
        shares = self._shares(gradients)
        flat = [
            self._direction(gradient).flatten() if share == self._rank else torch.zeros_like(gradient).flatten()
            for gradient, share in zip(gradients, shares, strict=True)
        ]
        sizes = [gradient.numel() for gradient in gradients]
        whole = torch.split(self._all_reduce(torch.cat(flat)), sizes) if self._workers > 1 else flat
        return [step.view(gradient.shape) for step, gradient in zip(whole, gradients, strict=True)]

    def _direction(self, gradient: Tensor) -> Tensor:
        rows = gradient.flatten(1)  # (out, in * height * width)
        step = orthogonal(rows).to(gradient.dtype)
        return step.mul_(ADAM_STEP_RMS * max(rows.shape) ** 0.5)

    def _shares(self, gradients: Sequence[Tensor]) -> list[int]:
        """The process that computes each step: the most expensive first, always on the process with the least work."""
        costs = [gradient.numel() * min(gradient.flatten(1).shape) for gradient in gradients]
        loads, shares = [0] * self._workers, [0] * len(costs)
        for index in sorted(range(len(costs)), key=lambda index: -costs[index]):
            shares[index] = loads.index(min(loads))
            loads[shares[index]] += costs[index]
        return shares
