"""RoFormers with the weights of the goldens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from tests.models.architectures.roformer_cases import weights

Network = TypeVar("Network", bound=nn.Module)


def filled(build: Callable[[], Network]) -> Network:
    """A network made without memory, with the weights of the goldens."""
    with torch.device("meta"):
        made = build()
    shapes = {key: tuple(tensor.shape) for key, tensor in made.state_dict().items()}
    made.load_state_dict({key: torch.from_numpy(values) for key, values in weights(shapes).items()}, assign=True)
    return made.eval()
