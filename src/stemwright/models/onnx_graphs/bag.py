"""The graph of a bag: several networks of one kind, each for one source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stemwright.models.onnx_graphs.operators import apart


class BagGraph(nn.Module):
    """Networks that get the same inputs, of each of which one source is used.

    Args:
        graphs: the graphs of the networks, whose outputs have the source as the first part of an axis.
        indices: the source of each.
    """

    def __init__(self, graphs: Sequence[Any], indices: Sequence[int]) -> None:
        super().__init__()
        self.graphs = nn.ModuleList(graphs)
        self.indices = tuple(indices)
        self.contract = graphs[0].contract
        self.n_sources = graphs[0].n_sources

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shape."""
        example: tuple[Tensor, ...] = self.graphs[0].example()  # type: ignore[operator]
        return example

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The inputs of one graph -> its outputs, with the sources of all."""
        made = [graph(*inputs) for graph in self.graphs]
        outputs = [one if isinstance(one, tuple) else (one,) for one in made]
        return tuple(
            self._joined([one[place] for one in outputs], tensor) for place, tensor in enumerate(self.contract.outputs)
        )

    def _joined(self, parts: Sequence[Tensor], tensor: Any) -> Tensor:
        axis = next(place for place, group in enumerate(tensor.axes.groups) if group[:1] == ("source",))
        chosen = [
            apart(part, axis, self.n_sources, -1).select(axis, index)
            for part, index in zip(parts, self.indices, strict=True)
        ]
        return torch.cat(chosen, axis)
