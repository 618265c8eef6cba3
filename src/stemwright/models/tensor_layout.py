"""Layouts of tensors as text, such as ``1 frame (bin channel part)``.

Words are axes, outermost first; ``1`` is an axis of size one; axes in brackets are one axis of the tensor, the last of
them the fastest. The example is a tensor ``(1, frames, bins * channels * 2)`` whose last axis counts the parts of a
complex number first, then channels, then bins. The notation is that of einops (Rogozhnikov, ICLR 2022).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LAYOUT = re.compile(r"(?:1|\w+|\(\w+(?: \w+)*\))(?: (?:1|\w+|\(\w+(?: \w+)*\)))*")
_GROUP = re.compile(r"\(([^)]*)\)|(\S+)")


@dataclass(frozen=True)
class TensorLayout:
    """The axes of a tensor.

    Attributes:
        groups: for each axis of the tensor the named axes that it consists of; empty for an axis of size one.
    """

    groups: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, text: str) -> TensorLayout:
        """Reads a layout.

        Raises:
            ValueError: the text is not a layout, or names an axis twice.
        """
        if not _LAYOUT.fullmatch(text):
            raise ValueError(f"the layout '{text}' is not a list of axes such as '1 source channel sample'")
        words = [(brackets or word).split() for brackets, word in _GROUP.findall(text)]
        layout = cls(tuple(tuple(axis for axis in group if axis != "1") for group in words))
        if len(set(layout.axes)) != len(layout.axes):
            raise ValueError(f"the layout '{text}' names an axis twice")
        return layout

    @property
    def axes(self) -> tuple[str, ...]:
        """The named axes, outermost first."""
        return tuple(axis for group in self.groups for axis in group)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Shape of the tensor for these sizes of its axes."""
        shape = []
        for group in self.groups:
            size = 1
            for axis in group:
                size *= sizes[axis]
            shape.append(size)
        return tuple(shape)

    def pack(self, values: NDArray[Any], axes: Sequence[str]) -> NDArray[Any]:
        """Brings an array with these axes, which are those of the layout in another order, into the layout."""
        sizes = dict(zip(axes, values.shape, strict=True))
        return values.transpose([axes.index(axis) for axis in self.axes]).reshape(self.shape(sizes))

    def unpack(self, tensor: NDArray[Any], axes: Sequence[str], sizes: Mapping[str, int]) -> NDArray[Any]:
        """The inverse of ``pack``: a view of the tensor with these axes where possible."""
        split = tensor.reshape([sizes[axis] for axis in self.axes])
        return split.transpose([self.axes.index(axis) for axis in axes])
