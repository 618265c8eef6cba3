"""The mask network: a U-Net over bands and frames, whose softmax over stems makes masks that sum to one.

The design starts from the U-Net of singing voice separation (Jansson et al. 2017, "Singing voice separation with deep
U-Net convolutional networks"). The additions cost little: every encoder level has a learned bias for each channel and
band, so that it knows absolute frequency (a bass and a hi-hat differ first of all in frequency); linear layers connect
all bands of a frame (the frequency transforms of Choi et al. 2020, "Investigating U-Nets with various intermediate
blocks for spectrogram-based singing voice separation"), since harmonics are far apart; and the coarse levels have
residual convolutions, dilated in time, because context is cheapest there.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stemwright.models.bands import BANDS_384
from stemwright.stems import STEMS
from training.data.cues import CUES

FRAME_MULTIPLE = 64
"""The network halves time six times, so the number of frames must be a multiple of this."""

DILATIONS = (2, 4, 1)
"""Dilation in time of the residual blocks of a level."""

MIN_FRAMES = 2 * FRAME_MULTIPLE
"""Shortest chunk: with half of it, 1.5 s, no network learned anything."""

MIN_FEATURE = -3.0
"""Features below this count as silence: 106 dB below a full-scale sine, so that dither makes no difference."""


def frame_count(text: str) -> int:
    """Reads the number of frames of a chunk from a command line."""
    if not text.isdecimal() or int(text) < MIN_FRAMES or int(text) % FRAME_MULTIPLE:
        raise argparse.ArgumentTypeError(f"'{text}' is not a multiple of {FRAME_MULTIPLE}, at least {MIN_FRAMES}.")
    return int(text)


@dataclass(frozen=True)
class NetworkShape:
    """The sizes of a mask network.

    Attributes:
        design: a name from ``training.network.designs``; the fields after ``channels`` are for the U-Net alone.
        planes: input planes of features.
        cue: the planes after the first four, a name from ``training.data.cues``.
        bands: bands of the input and of the masks, a multiple of 64.
        stems: masks at each point; channels: audio channels, each with masks of its own.
        widths: convolution channels at the six levels, fine to coarse.
        residuals: residual blocks at each level; they are cheapest where bands and frames are few.
        gates_from: level (from 0) from which channel gates are used.
        transform_to: levels 1 to this one have frequency transforms.
        transform_bottleneck: a frequency transform narrows the bands by this factor inside.
    """

    design: str = "unet"
    planes: int = 4
    bands: int = BANDS_384.n_bands
    stems: int = len(STEMS)
    channels: int = 2
    widths: tuple[int, int, int, int, int, int] = (32, 64, 96, 160, 224, 256)
    residuals: tuple[int, int, int, int, int, int] = (0, 0, 1, 1, 1, 1)
    gates_from: int = 6
    transform_to: int = 4
    transform_bottleneck: int = 4
    cue: str = "none"

    @classmethod
    def seeing(cls, cue: str, design: str = "unet") -> NetworkShape:
        """The shape of a design with the input planes of a cue."""
        return cls(design, cls.planes + CUES[cue].planes, cue=cue)

    @classmethod
    def of(cls, sizes: Mapping[str, Any]) -> NetworkShape:
        """The shape that was stored as a dictionary; JSON and torch keep its tuples as lists."""
        stored: dict[str, Any] = {name: tuple(size) if isinstance(size, list) else size for name, size in sizes.items()}
        return cls(**stored)


class Network(nn.Module):
    """Any design: features ``(batch, planes, bands, frames)`` -> logits ``(batch, stems, channels, bands, frames)``.

    ``prior`` is the bias of the logits, ``(stems * channels, bands, 1)``.
    """

    prior: nn.Parameter

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape

    def end_weights(self) -> list[Tensor]:
        """The first and the last weights, which Muon leaves to Adam (``training.optimise.optimiser``)."""
        raise NotImplementedError


class Residual(nn.Module):
    """Two 3x3 convolutions with a skip connection: ``(batch, width, bands, frames)`` to the same."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(width)
        nn.init.zeros_(last.weight)  # begins as the identity
        self.inner = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, padding=(1, dilation), dilation=(1, dilation), bias=False),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, width, bands, frames)`` -> the same shape."""
        changed: Tensor = x + self.inner(x)
        return changed


class FrequencyTransform(nn.Module):
    """Two linear layers over all bands of a frame, shared by all channels, with a skip connection."""

    def __init__(self, width: int, bands: int, bottleneck: int) -> None:
        super().__init__()
        hidden = max(4, bands // bottleneck)
        self.narrow = nn.Parameter(torch.randn(hidden, bands) / bands**0.5)
        self.widen = nn.Parameter(torch.zeros(bands, hidden))  # begins as the identity
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, width, bands, frames)`` -> the same shape."""
        hidden = torch.relu(self.norm(torch.matmul(self.narrow, x)))  # (batch, width, hidden, frames)
        return x + torch.matmul(self.widen, hidden)


class Gate(nn.Module):
    """Channel gains from the mean over the whole chunk, since an instrument that plays now is likely to continue.

    Squeeze and excitation (Hu et al. 2018): ``(batch, width, bands, frames)`` to the same. Begins as the identity.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(8, width // 4)
        self.inner = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        last = self.inner[2]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, width, bands, frames)`` -> the same shape."""
        gates = 2 * torch.sigmoid(self.inner(x.mean((2, 3))))  # (batch, width)
        return x * gates[:, :, None, None]


class Encoder(nn.Module):
    """One level down: halves bands and frames, adds a bias per frequency, then widens the context."""

    def __init__(self, before: int, width: int, bands: int, level: int, shape: NetworkShape) -> None:
        super().__init__()
        self.down = nn.Conv2d(before, width, 5, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.position = nn.Parameter(torch.zeros(width, bands, 1))
        context: list[nn.Module] = []
        if 1 <= level <= shape.transform_to:
            context.append(FrequencyTransform(width, bands, shape.transform_bottleneck))
        context += [Residual(width, DILATIONS[block]) for block in range(shape.residuals[level])]
        if level >= shape.gates_from:
            context.append(Gate(width))
        self.context = nn.Sequential(*context)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, before, 2 * bands, 2 * frames)`` -> ``(batch, width, bands, frames)``."""
        x = nn.functional.leaky_relu(self.norm(self.down(x)) + self.position, 0.2)
        context: Tensor = self.context(x)
        return context


class UNet(Network):
    """Logits of twelve stems, for each audio channel, band and frame.

    In evaluation mode and followed by a softmax over stems these are the masks of the separator.
    """

    def __init__(self, shape: NetworkShape | None = None) -> None:
        super().__init__(shape := shape or NetworkShape())
        widths = shape.widths
        self.scale = nn.Parameter(torch.ones(shape.planes, shape.bands, 1))
        self.shift = nn.Parameter(torch.zeros(shape.planes, shape.bands, 1))
        self.encoders = nn.ModuleList(
            Encoder(before, width, shape.bands >> (level + 1), level, shape)
            for level, (before, width) in enumerate(zip((shape.planes, *widths), widths, strict=False))
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(
                    widths[level] * (1 if level == len(widths) - 1 else 2), widths[level - 1], 4, 2, 1, bias=False
                ),
                nn.BatchNorm2d(widths[level - 1]),
                nn.ReLU(),
            )
            for level in range(len(widths) - 1, 0, -1)
        )
        # Its bias is `prior`: with a bias of its own oneDNN takes a slow path.
        self.head = nn.ConvTranspose2d(2 * widths[0], shape.stems * shape.channels, 4, 2, 1, bias=False)
        self.prior = nn.Parameter(torch.zeros(shape.stems * shape.channels, shape.bands, 1))

    def end_weights(self) -> list[Tensor]:
        """The weights of the first convolution and of the last."""
        return [self.encoders[0].get_parameter("down.weight"), self.head.weight]

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(batch, planes, bands, frames)`` -> logits ``(batch, stems, channels, bands, frames)``.

        ``frames`` must be a multiple of 64. In bfloat16 on a CPU it must be 128 at least: with a single frame at the
        coarsest level, dilated convolutions of oneDNN read uninitialised memory.
        """
        x = features.clamp_min(MIN_FEATURE) * self.scale + self.shift
        x = x.contiguous(memory_format=torch.channels_last)
        skips = []
        for encoder in self.encoders:
            x = encoder(x)
            skips.append(x)
        for decoder, skip in zip(self.decoders, skips[-2::-1], strict=True):
            x = torch.cat([decoder(x), skip], 1)
        logits = self.head(x) + self.prior  # (batch, stems * channels, bands, frames)
        shape = self.shape
        by_stem: Tensor = logits.unflatten(1, (shape.stems, shape.channels))
        return by_stem
