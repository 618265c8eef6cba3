"""Operators of ONNX Runtime that PyTorch's exporter would write as many small ones.

Each gives one node of the graph while it is exported; without an export they give zeros of the right shape. Attention
as one node never holds the matrix of all pairs of tokens, which is most of the memory of a plain export.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Network = TypeVar("Network", bound=nn.Module)

RMS_EPSILON = 1e-24
"""Mean square below which a token counts as silent."""


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int, scale: float | None = None) -> Tensor:
    """Softmax attention: ``(sequences, tokens, heads * channels)`` thrice -> the shape of the queries, values' width."""
    options: dict[str, Any] = {"num_heads": heads} | ({} if scale is None else {"scale": scale})
    shape = (*query.shape[:2], value.shape[2])
    return _node("com.microsoft::MultiHeadAttention", (query, key, value), options, shape)


def rotary(x: Tensor, cosines: Tensor, sines: Tensor, heads: int) -> Tensor:
    """Rotates pairs of neighbouring channels: ``(sequences, tokens, heads * channels)`` with ``(tokens, channels / 2)``."""
    first = torch.zeros(1, dtype=torch.int64)
    inputs = (x, first, cosines, sines)
    return _node("com.microsoft::RotaryEmbedding", inputs, {"interleaved": 1, "num_heads": heads}, x.shape)


def rms_norm(x: Tensor, gamma: Tensor) -> Tensor:
    """``(..., channels)`` divided by the root of its mean square, times ``(channels,)``."""
    return _node("SimplifiedLayerNormalization", (x, gamma), {"axis": -1, "epsilon": RMS_EPSILON}, x.shape)


def lstm(layer: nn.LSTM, x: Tensor) -> Tensor:
    """A bidirectional layer: ``(steps, sequences, channels)`` -> ``(steps, sequences, 2 * hidden)``."""
    hidden = layer.hidden_size
    weights = [_gates(layer, "weight_{}_l0{}", kind) for kind in ("ih", "hh")]
    biases = torch.cat([_gates(layer, "bias_{}_l0{}", kind) for kind in ("ih", "hh")], 1)
    options = {"hidden_size": hidden, "direction": "bidirectional"}
    shape = (x.shape[0], 2, x.shape[1], hidden)
    out = _node("LSTM", (x, *weights, biases), options, shape)  # (steps, directions, sequences, hidden)
    return out.transpose(1, 2).flatten(2)


def with_shared_weights(network: Network) -> Network:
    """A copy of a network whose layers can be replaced; its weights are those of the network, not copies."""
    weights = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, {id(weight): weight for weight in weights})


def _gates(layer: nn.LSTM, name: str, kind: str) -> Tensor:
    """Weights of both directions with ONNX's order of gates (input, output, forget, cell), not torch's (i, f, c, o)."""
    both = []
    for direction in ("", "_reverse"):
        of_input, of_forget, of_cell, of_output = getattr(layer, name.format(kind, direction)).chunk(4)
        both.append(torch.cat([of_input, of_output, of_forget, of_cell]))
    return torch.stack(both)


def _node(operator: str, inputs: Sequence[Tensor], options: Mapping[str, Any], shape: Sequence[int]) -> Tensor:
    made: Tensor = torch.onnx.ops.symbolic(
        operator, inputs, dict(options), dtype=inputs[0].dtype, shape=tuple(shape), version=None
    )
    return made


def apart(x: Tensor, axis: int, *sizes: int) -> Tensor:
    """Splits an axis into several; one of them may be -1."""
    return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


class FusedAttention(TorchFunctionMode):
    """While it is active, ``scaled_dot_product_attention`` is ``attention``."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replaces one function."""
        options = kwargs or {}
        if function is not functional.scaled_dot_product_attention:
            return function(*args, **options)
        query, key, value = args  # each (batch, heads, tokens, channels)
        heads = query.shape[1]
        tokens = [x.transpose(1, 2).flatten(2) for x in (query, key, value)]  # each (batch, tokens, heads * channels)
        mixed = attention(tokens[0], tokens[1], tokens[2], heads, options.get("scale"))
        return apart(mixed, 2, heads, -1).transpose(1, 2)
