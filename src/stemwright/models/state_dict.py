"""Finds the weights among what training programs save with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Weight = TypeVar("Weight")

WRAPPERS = ("best_state", "state_dict", "model_state_dict", "state", "model")
"""Keys under which training programs save the weights; the first match is used. SCNet's own saves the best state and
the last one."""

PREFIXES = ("module.", "model.", "_orig_mod.")
"""Name prefixes added by data-parallel training, wrapper classes and ``torch.compile``."""


def named_weights(content: object, kind: type[Weight]) -> dict[str, Weight]:
    """The weights of a checkpoint by their names in the network; empty if there are none.

    Args:
        content: what the file contains.
        kind: type of its tensors.
    """
    return _without_prefix({str(name): value for name, value in _state(content).items() if isinstance(value, kind)})


def _state(content: object) -> Mapping[str, object]:
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return content
        content = inner
    return {}


def _without_prefix(weights: dict[str, Weight]) -> dict[str, Weight]:
    for prefix in PREFIXES:
        if weights and all(name.startswith(prefix) for name in weights):
            return _without_prefix({name.removeprefix(prefix): weight for name, weight in weights.items()})
    return weights
