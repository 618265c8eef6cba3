"""Other designs of a mask network, compared with the U-Net at equal training time (docs/decisions/0005-network.md).

All have the input and the output of the U-Net. Attribute names are the names of weights in stored files.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from training.network.unet import MIN_FEATURE, Network, NetworkShape, UNet

GROUPS = 32


class Recurrent(Network):
    """Band-split recurrent network (Luo and Yu 2022): each group of bands has its own input and output layers; between
    them recurrent layers run along time and along groups in turn."""

    def __init__(self, shape: NetworkShape, width: int = 64, blocks: int = 3) -> None:
        super().__init__(shape)
        self.size = shape.bands // GROUPS
        self.masks = shape.stems * shape.channels
        self.into = nn.Parameter(
            torch.randn(GROUPS, shape.planes * self.size, width) / (shape.planes * self.size) ** 0.5
        )
        self.along = nn.ModuleList(
            nn.GRU(width, width, batch_first=True, bidirectional=True) for _ in range(2 * blocks)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * blocks))
        self.joins = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(2 * blocks))
        self.wide = nn.Parameter(torch.randn(GROUPS, width, 2 * width) / width**0.5)
        self.out = nn.Parameter(torch.randn(GROUPS, 2 * width, self.masks * self.size) / (2 * width) ** 0.5 / 10)
        self.prior = nn.Parameter(torch.zeros(self.masks, shape.bands, 1))

    def end_weights(self) -> list[Tensor]:
        """The first and the last weights."""
        return [self.into, self.out]

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(batch, planes, bands, frames)`` -> logits ``(batch, stems, channels, bands, frames)``."""
        batch, _, _, frames = features.shape
        x = features.clamp_min(MIN_FEATURE)
        x = x.view(batch, -1, GROUPS, self.size, frames)  # (batch, planes, groups, size, frames)
        x = x.permute(0, 2, 4, 1, 3).flatten(3)  # (batch, groups, frames, planes * size)
        x = torch.einsum("bgti,giw->bgtw", x, self.into)
        for number, (along, norm, join) in enumerate(zip(self.along, self.norms, self.joins, strict=True)):
            y = norm(x)
            if number % 2 == 0:  # along time
                y = join(along(y.flatten(0, 1))[0]).unflatten(0, (batch, GROUPS))
            else:  # along groups
                y = join(along(y.transpose(1, 2).flatten(0, 1))[0]).unflatten(0, (batch, frames)).transpose(1, 2)
            x = x + y
        x = torch.tanh(torch.einsum("bgtw,gwv->bgtv", x, self.wide))
        x = torch.einsum("bgtv,gvo->bgto", x, self.out)
        x = x.view(batch, GROUPS, frames, self.masks, self.size)
        logits: Tensor = x.permute(0, 3, 1, 4, 2).flatten(2, 3) + self.prior  # (batch, masks, bands, frames)
        return logits.view(batch, self.shape.stems, self.shape.channels, -1, frames)


class Attention(nn.Module):
    """Attention along time, then along bands: ``(batch, bands, frames, width)`` to the same."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.asks = nn.ModuleList(nn.Linear(width, 3 * width, bias=False) for _ in range(2))
        self.joins = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(2))
        self.inner = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def zero_output(self) -> None:
        """Makes the block the identity by zeroing its last layers."""
        for last in (*self.joins, self.inner[2]):
            for value in last.parameters():
                nn.init.zeros_(value)

    def _attend(self, x: Tensor, turn: int) -> Tensor:
        ask, key, value = self.asks[turn](x).unflatten(-1, (3 * self.heads, -1)).transpose(-2, -3).chunk(3, -3)
        attended = nn.functional.scaled_dot_product_attention(ask, key, value)  # (..., heads, places, width / heads)
        joined: Tensor = self.joins[turn](attended.transpose(-2, -3).flatten(-2))
        return joined

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, bands, frames, width)`` -> the same shape."""
        x = x + self._attend(self.norms[0](x), 0)
        x = x + self._attend(self.norms[1](x).transpose(1, 2), 1).transpose(1, 2)
        inner: Tensor = x + self.inner(self.norms[2](x))
        return inner


class ConvTransformer(Network):
    """Four levels of convolutions down and up as in the U-Net; at the bottom, attention along time and bands in turn,
    as in Moises-Light (2025) and the RoFormers, in place of two more levels. The last level halves frames, or
    (``last_step`` 1) only bands."""

    def __init__(
        self,
        shape: NetworkShape,
        widths: tuple[int, ...] = (32, 64, 96, 192),
        blocks: int = 5,
        last_step: int = 2,
    ) -> None:
        super().__init__(shape)
        self.scale = nn.Parameter(torch.ones(shape.planes, shape.bands, 1))
        self.shift = nn.Parameter(torch.zeros(shape.planes, shape.bands, 1))
        pairs = list(zip((shape.planes, *widths), widths, strict=False))
        steps = (*(2 for _ in widths[:-1]), last_step)
        self.downs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 5, (2, step), 2, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2))
            for (a, b), step in zip(pairs, steps, strict=True)
        )
        bands, width = shape.bands >> len(widths), widths[-1]
        self.position = nn.Parameter(0.02 * torch.randn(1, bands, 1, width))
        self.blocks = nn.ModuleList(Attention(width) for _ in range(blocks))
        rising = [(widths[-1], widths[-2]), *((2 * a, b) for b, a in reversed(list(pairwise(widths[:-1]))))]
        self.ups = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(a, b, (4, 2 + step), (2, step), 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()
            )
            for (a, b), step in zip(rising, reversed(steps[1:]), strict=True)
        )
        self.head = nn.ConvTranspose2d(2 * widths[0], shape.stems * shape.channels, 4, 2, 1, bias=False)
        self.prior = nn.Parameter(torch.zeros(shape.stems * shape.channels, shape.bands, 1))

    def end_weights(self) -> list[Tensor]:
        """The first and the last weights."""
        return [self.downs[0].get_parameter("0.weight"), self.head.weight]

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(batch, planes, bands, frames)`` -> logits ``(batch, stems, channels, bands, frames)``."""
        x = features.clamp_min(MIN_FEATURE) * self.scale + self.shift
        x = x.contiguous(memory_format=torch.channels_last)
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        x = x.permute(0, 2, 3, 1) + self.position  # (batch, bands, frames, width)
        for block in self.blocks:
            x = block(x)
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        for up, skip in zip(self.ups, skips[-2::-1], strict=True):
            x = torch.cat([up(x), skip], 1)
        logits = self.head(x) + self.prior
        by_stem: Tensor = logits.unflatten(1, (self.shape.stems, self.shape.channels))
        return by_stem


class ShortConvTransformer(ConvTransformer):
    """The same with 186 ms per point at the bottom, not 372, and fewer blocks, since there are twice as many points."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__(shape, blocks=3, last_step=1)


class SplitTransformer(Network):
    """Attention between narrow convolutions, designed for few operations per second of audio.

    The lowest third of the bands, 0 to 1.4 kHz, has most of a song's energy: there all bands are kept at the input, and
    the others are reduced to a quarter. Skip connections are sums, not concatenations.
    """

    def __init__(
        self,
        shape: NetworkShape,
        widths: tuple[int, int, int, int] = (24, 48, 96, 192),
        blocks: int = 3,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__(shape)
        self.low = shape.bands // 3
        self.scale = nn.Parameter(torch.ones(shape.planes, shape.bands, 1))
        self.shift = nn.Parameter(torch.zeros(shape.planes, shape.bands, 1))
        first, masks = widths[0], shape.stems * shape.channels
        self.into_low, self.into_high = (
            nn.Sequential(nn.Conv2d(shape.planes, first, (kernel, 4), (step, 2), (2, 1), bias=False), norm(first))
            for kernel, step in ((5, 1), (8, 4))
        )
        rows = self.low + (shape.bands - self.low) // 4
        self.place = nn.Parameter(torch.zeros(first, rows, 1))
        steps = ((2, 2), (2, 2), (2, 1))
        self.downs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, step, 1, bias=False), norm(b), nn.LeakyReLU(0.2))
            for (a, b), step in zip(pairwise(widths), steps, strict=True)
        )
        self.position = nn.Parameter(0.02 * torch.randn(1, rows >> 3, 1, widths[-1]))
        self.blocks = nn.ModuleList(Attention(widths[-1]) for _ in range(blocks))
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(b, a, (4, 2 + step[1]), step, 1, bias=False), norm(a), nn.LeakyReLU(0.2))
            for (a, b), step in zip(reversed(list(pairwise(widths))), reversed(steps), strict=True)
        )
        self.out_low = nn.ConvTranspose2d(first, masks, (3, 4), (1, 2), (1, 1), bias=False)
        self.out_high = nn.ConvTranspose2d(first, masks, (4, 4), (4, 2), (0, 1), bias=False)
        self.prior = nn.Parameter(torch.zeros(masks, shape.bands, 1))

    def end_weights(self) -> list[Tensor]:
        """The first and the last weights."""
        first = [into.get_parameter("0.weight") for into in (self.into_low, self.into_high)]
        return [*first, self.out_low.weight, self.out_high.weight]

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(batch, planes, bands, frames)`` -> logits ``(batch, stems, channels, bands, frames)``."""
        x = features.clamp_min(MIN_FEATURE) * self.scale + self.shift
        x = x.contiguous(memory_format=torch.channels_last)
        x = torch.cat([self.into_low(x[:, :, : self.low]), self.into_high(x[:, :, self.low :])], 2)
        x = nn.functional.leaky_relu(x + self.place, 0.2)  # (batch, width, rows, frames / 2)
        skips = []
        for down in self.downs:
            skips.append(x)
            x = down(x)
        x = x.permute(0, 2, 3, 1) + self.position  # (batch, rows / 8, frames / 8, width)
        for block in self.blocks:
            x = block(x)
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            x = up(x) + skip
        low, high = self.out_low(x[:, :, : self.low]), self.out_high(x[:, :, self.low :])
        logits: Tensor = torch.cat([low, high], 2) + self.prior  # (batch, masks, bands, frames)
        logits = logits.contiguous()  # as the loss has its stems: 15 % of a step
        return logits.view(-1, self.shape.stems, self.shape.channels, *logits.shape[2:])


class SmallSplitTransformer(SplitTransformer):
    """The same, half as wide at the bottom."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__(shape, widths=(24, 48, 64, 128))


class DeepSplitTransformer(SplitTransformer):
    """The same with twice the attention: made from a trained ``split`` by ``training.checkpoints.grow``."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__(shape, blocks=6)


class InstanceSplitTransformer(SplitTransformer):
    """The same with instance normalisation (Ulyanov et al. 2016), which measures each mix in training and inference.

    Batch norms measure a batch in training and use the average of all batches afterwards; the statistics of mastered
    recordings differ from those of composed songs. Made from a trained ``deep-split`` by ``training.checkpoints.grow``.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__(shape, blocks=6, norm=instance_norm)


class ShortInstanceSplitTransformer(SplitTransformer):
    """The same with the three blocks of a ``split``, to be trained from scratch."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__(shape, norm=instance_norm)


class LargeSplitTransformer(SplitTransformer):
    """The same with five times the weights (10.1 million), twice the attention and operations: as large as fits
    into the wheel (20 MB in half precision), for training on a GPU."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__(shape, widths=(32, 80, 160, 320), blocks=6, norm=instance_norm)


def instance_norm(width: int) -> nn.Module:
    """Normalises each channel of each mix over all of its bands and frames; its gains and biases are a batch norm's."""
    return nn.InstanceNorm2d(width, affine=True)


DESIGNS: dict[str, Callable[[NetworkShape], Network]] = {
    "unet": UNet,
    "recurrent": Recurrent,
    "attention": ConvTransformer,
    "short-attention": ShortConvTransformer,
    "split": SplitTransformer,
    "small-split": SmallSplitTransformer,
    "deep-split": DeepSplitTransformer,
    "instance-split": InstanceSplitTransformer,
    "short-instance-split": ShortInstanceSplitTransformer,
    "large-split": LargeSplitTransformer,
}


def build(shape: NetworkShape) -> Network:
    """A new network of that shape's design.

    Raises:
        ValueError: there is no such design.
    """
    if shape.design not in DESIGNS:
        raise ValueError(f"There is no design '{shape.design}'; there are {', '.join(DESIGNS)}.")
    return DESIGNS[shape.design](shape)
