"""The optimiser: Muon for the matrices inside the network, AdamW for all else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from training.network.unet import Network
from training.optimise.muon import AllReduce, Muon

BETAS = (0.9, 0.98)


class Optimiser:
    """Muon for convolutions and frequency transforms; AdamW for the first and the last convolution, biases and norms.

    A new network fits a small set of mixes in half the steps that AdamW alone needs (docs/training-log.md).

    Args:
        network: on its device.
        learning_rate: of both, until ``learning_rate`` is set.
        weight_decay: of convolutions and transforms, by the learning rate.
        rank, workers, all_reduce: which of several processes this is, and how they sum a vector (``Muon``).
    """

    def __init__(
        self,
        network: Network,
        learning_rate: float,
        weight_decay: float,
        *,
        rank: int,
        workers: int,
        all_reduce: AllReduce,
    ) -> None:
        ends = network.end_weights()
        matrices: list[Tensor] = []
        rest: list[Tensor] = []
        for value in network.parameters():
            if not any(value is end for end in ends):
                (matrices if value.ndim in (2, 4) else rest).append(value)
        groups: list[dict[str, Any]] = [{"params": ends}, {"params": rest, "weight_decay": 0.0}]
        adam = torch.optim.AdamW(groups, learning_rate, BETAS, weight_decay=weight_decay, fused=rest[0].is_cuda)
        muon = Muon(
            matrices, learning_rate, weight_decay=weight_decay, rank=rank, workers=workers, all_reduce=all_reduce
        )
        self._parts: dict[str, torch.optim.Optimizer] = {"adam": adam, "muon": muon}

    @property
    def learning_rate(self) -> float:
        """The learning rate."""
        return float(self._parts["adam"].param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        for part in self._parts.values():
            for group in part.param_groups:
                group["lr"] = rate

    def zero_grad(self) -> None:
        """Resets all gradients."""
        for part in self._parts.values():
            part.zero_grad()

    def step(self) -> None:
        """Takes a step along the gradients."""
        for part in self._parts.values():
            part.step()

    def state_dict(self) -> dict[str, object]:
        """All that a killed run needs to continue."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        """Loads what ``state_dict`` gave; returns False, and changes nothing, if empty or of another optimiser."""
        if state.keys() != self._parts.keys():
            return False
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        return True
