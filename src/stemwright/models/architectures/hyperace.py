"""The mask head of BS-RoFormer HyperACE v2: a segmentation network over time and bands, beside the usual estimators.

It is an encoder and a decoder of separable convolutions. Between them HyperACE (Lei and others: YOLOv13,
arXiv:2506.17733) fuses the features of all scales, with an attention to a few prototypes ("hyperedges") for what belongs
together far apart. The decoder's features are brought to the resolution of the spectrum band by band.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

_STEM_CHANNELS = 64
_CHANNELS = (256, 384, 512, 768)
"""Channels of the four scales of the encoder and the decoder, the finest first."""

_HYPEREDGES = 32
_HEADS = 8


class SegmentationHead(nn.Module):
    """Estimates a complex mask from tokens.

    For inference only, and not under autocast: its normalisations magnify what lower precision loses, and it is a
    fifteenth of the network's work. The state dict has the names of published checkpoints. Frames are halved twice
    before the first scale, and after each; bands only after the second and the third.

    Args:
        dim: channels of a token.
        n_bands: bands.
        n_bins: bins of the spectrum.
        n_outputs: numbers for a bin: real and imaginary part for each channel of the audio.
    """

    def __init__(self, dim: int, n_bands: int, n_bins: int, n_outputs: int) -> None:
        super().__init__()
        self.backbone = _Encoder(dim)
        self.hyperace = _Correlation()
        self.decoder = _Decoder()
        self.upsample_head = _UpsampleHead(n_bands, n_bins, n_outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(frames, bands, dim)`` to ``(frames, bins x outputs)``, in the dtype of the weights."""
        with torch.autocast(tokens.device.type, enabled=False):
            x = tokens.to(self.upsample_head.final_conv.weight.dtype)
            x = x.permute(2, 0, 1).unsqueeze(0)  # (1, dim, frames, bands)
            scales = self.backbone(x)
            x = self.decoder(scales, self.hyperace(scales))  # (1, channels, frames / 4, bands)
            x = self.upsample_head(_resized(x, (tokens.shape[0], tokens.shape[1])))  # (1, outputs, frames, bins)
            return x[0].permute(1, 2, 0).flatten(1)  # type: ignore[no-any-return]  # (frames, bins x outputs)


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    return functional.interpolate(x, size=list(size), mode="bilinear", align_corners=False)


class _InstanceNorm(nn.Module):
    """Normalises each channel over time and bands, then SiLU, which follows everywhere."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(1, channels, frames, bands)`` to the same."""
        y = functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=1e-8)
        return functional.silu(y, inplace=True)


class _Pointwise(nn.Module):
    """A convolution of one frame and band."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn = _InstanceNorm(outputs)  # "bn" in published names, where it once was a batch normalisation

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))  # type: ignore[no-any-return]


class _Separable(nn.Module):
    """A 3 x 3 convolution of each channel, then one between channels."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.pwconv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn = _InstanceNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.pwconv(self.dwconv(x)))  # type: ignore[no-any-return]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dsconv1 = _Separable(channels, channels)
        self.dsconv2 = _Separable(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dsconv2(self.dsconv1(x))  # type: ignore[no-any-return]


class _CrossStage(nn.Module):
    """Two branches, one of which has residual blocks: cross-stage partial connections."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.cv1 = _Pointwise(channels, channels)
        self.cv2 = _Pointwise(channels, channels)
        self.cv3 = _Pointwise(2 * channels, channels)
        self.m = nn.Sequential(*(_Residual(channels) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), dim=1))  # type: ignore[no-any-return]


class _Stage(nn.Module):
    """The same with half the channels inside."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        self.cv1 = _Pointwise(inputs, outputs // 2)
        self.m = _CrossStage(outputs // 2, depth)
        self.cv2 = _Pointwise(outputs // 2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.cv2(self.m(self.cv1(x)))  # type: ignore[no-any-return]


class _Encoder(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()

        def scale(inputs: int, outputs: int, depth: int, stride: tuple[int, int]) -> nn.Sequential:
            return nn.Sequential(_Separable(inputs, outputs, stride), _Stage(outputs, outputs, depth))

        c2, c3, c4, c5 = _CHANNELS
        self.stem = _Separable(dim, _STEM_CHANNELS, (2, 1))
        self.p2 = scale(_STEM_CHANNELS, c2, 2, (2, 1))
        self.p3 = scale(c2, c3, 4, (2, 1))
        self.p4 = scale(c3, c4, 4, (2, 2))
        self.p5 = scale(c4, c5, 2, (2, 2))

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(1, dim, frames, bands)`` to the four scales, the finest first."""
        scales = []
        x = self.stem(x)
        for stage in (self.p2, self.p3, self.p4, self.p5):
            x = stage(x)
            scales.append(x)
        return scales


class _Hyperedges(nn.Module):
    """How much each place takes part in each hyperedge, by attention to prototypes that depend on the whole input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.global_proto = nn.Parameter(torch.zeros(_HYPEREDGES, channels))
        self.context_mapper = nn.Linear(2 * channels, _HYPEREDGES * channels, bias=False)
        self.query_proj = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(places, channels)`` to weights ``(hyperedges, places)``, whose sum over the places is 1."""
        context = self.context_mapper(torch.cat((x.mean(dim=0), x.amax(dim=0))))
        prototypes = self.global_proto + context.view(_HYPEREDGES, -1)
        # The mean over heads of scaled products of their channels is one product of all channels, scaled once.
        scale = (x.shape[1] // _HEADS) ** -0.5 / _HEADS
        likeness = prototypes @ self.query_proj(x).T
        return (likeness * scale).softmax(dim=-1)  # type: ignore[no-any-return]


class _HyperedgeConvolution(nn.Module):
    """Gathers the places of each hyperedge, and gives back to each place what its hyperedges have."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.W_e = nn.Linear(channels, channels, bias=False)
        self.W_v = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """``(places, channels)`` and ``(hyperedges, places)`` to ``(places, channels)``."""
        edges = functional.silu(self.W_e(weights @ x))
        return x + functional.silu(self.W_v(weights.T @ edges))


class _Hypergraph(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.adaptive_hyperedge_gen = _Hyperedges(channels)
        self.hypergraph_conv = _HyperedgeConvolution(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(1, channels, frames, bands)`` to the same."""
        places = x[0].flatten(1).T  # (frames x bands, channels)
        places = self.hypergraph_conv(places, self.adaptive_hyperedge_gen(places))
        return places.T.reshape(x.shape)  # type: ignore[no-any-return]  # (channels, places) to (1, channels, ...)


class _HypergraphBranch(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cv1 = _Pointwise(channels, channels)
        self.cv2 = _Pointwise(channels, channels)
        self.ahc = _Hypergraph(channels)
        self.cv3 = _Pointwise(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(torch.cat((self.ahc(self.cv2(x)), self.cv1(x)), dim=1))  # type: ignore[no-any-return]


class _Correlation(nn.Module):
    """HyperACE: fuses all scales at the size of the third, with branches for correlations far apart and near."""

    def __init__(self) -> None:
        super().__init__()
        channels = _CHANNELS[2]
        self.split = (channels // 2, channels // 4, channels // 4)
        high, low, _ = self.split
        self.fuse_conv = _Pointwise(sum(_CHANNELS), channels)
        self.high_order_branch = nn.ModuleList(_HypergraphBranch(high) for _ in range(2))
        self.high_order_fuse = _Pointwise(2 * high, high)
        self.low_order_branch = nn.Sequential(_CrossStage(low, 1))
        self.final_fuse = _Pointwise(channels, channels)

    def forward(self, scales: Sequence[Tensor]) -> Tensor:
        size = scales[2].shape[2:]
        fused = self.fuse_conv(torch.cat([_resized(scale, size) for scale in scales], dim=1))
        high, low, same = fused.split(self.split, dim=1)
        high = self.high_order_fuse(torch.cat([branch(high) for branch in self.high_order_branch], dim=1))
        return self.final_fuse(torch.cat((high, self.low_order_branch(low), same), dim=1))  # type: ignore[no-any-return]


class _Gate(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor, added: Tensor) -> Tensor:
        return x + self.gamma * added


class _Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        c2, c3, c4, c5 = _CHANNELS
        for number, channels in enumerate(_CHANNELS, 2):
            self.add_module(f"h_to_d{number}", _Pointwise(c4, channels))
            self.add_module(f"fusion_d{number}", _Gate(channels))
            self.add_module(f"skip_p{number}", _Pointwise(channels, channels))
        self.up_d5 = _Stage(c5, c4, 1)
        self.up_d4 = _Stage(c4, c3, 1)
        self.up_d3 = _Stage(c3, c2, 1)
        self.final_d2 = _Stage(c2, c2, 1)

    def forward(self, scales: Sequence[Tensor], correlated: Tensor) -> Tensor:
        """The four scales and the output of HyperACE to ``(1, channels, frames / 4, bands)``."""
        x: Tensor | None = None
        for number in (5, 4, 3, 2):
            scale = scales[number - 2]
            size = scale.shape[2:]
            skip = self.get_submodule(f"skip_p{number}")(scale)
            if x is not None:
                skip = self.get_submodule(f"up_d{number + 1}")(_resized(x, size)) + skip
            added = self.get_submodule(f"h_to_d{number}")(_resized(correlated, size))
            x = self.get_submodule(f"fusion_d{number}")(skip, added)
        return self.final_d2(x)  # type: ignore[no-any-return]


class _TimeFrequencyBlock(nn.Module):
    """Convolutions, and between them dense layers over all bands of a frame, as in MDX23C."""

    def __init__(self, channels: int, n_bands: int) -> None:
        super().__init__()
        # SiLU is part of our normalisation; nothing stands in its place, for the numbers in the names of the weights.
        self.tfc1 = nn.Sequential(
            _InstanceNorm(channels), nn.Identity(), nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        )
        self.tdf = nn.Sequential(
            _InstanceNorm(channels),
            nn.Identity(),
            nn.Linear(n_bands, n_bands // 4, bias=False),
            _InstanceNorm(channels),
            nn.Identity(),
            nn.Linear(n_bands // 4, n_bands, bias=False),
        )
        self.tfc2 = nn.Sequential(
            _InstanceNorm(channels), nn.Identity(), nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        )
        self.shortcut = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.tfc1(x)
        y = y + self.tdf(y)
        return self.tfc2(y) + self.shortcut(x)  # type: ignore[no-any-return]


class _DoubledBands(nn.Module):
    """Half the channels for twice the bands."""

    def __init__(self, channels: int, n_bands: int) -> None:
        super().__init__()
        self.conv = _Separable(channels, channels)
        self.out_conv = nn.Module()
        self.out_conv.blocks = nn.Sequential(*(_TimeFrequencyBlock(channels // 2, n_bands) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        """``(1, channels, frames, bands)`` to ``(1, channels / 2, frames, 2 bands)``."""
        x = self.conv(x)
        one, channels, frames, bands = x.shape
        pairs = x.view(one, channels // 2, 2, frames, bands)
        pairs = pairs.permute(0, 1, 3, 4, 2)  # (1, channels / 2, frames, bands, 2)
        return self.out_conv.blocks(pairs.flatten(3))  # type: ignore[no-any-return, operator]


class _UpsampleHead(nn.Module):
    def __init__(self, n_bands: int, n_bins: int, n_outputs: int) -> None:
        super().__init__()
        self.n_bins = n_bins
        channels = _CHANNELS[0]
        self.block1 = _DoubledBands(channels, 2 * n_bands)
        self.block2 = _DoubledBands(channels // 2, 4 * n_bands)
        self.block3 = _DoubledBands(channels // 4, 8 * n_bands)
        self.block4 = _DoubledBands(channels // 8, 16 * n_bands)
        self.final_conv = nn.Conv2d(channels // 16, n_outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(1, channels, frames, bands)`` to ``(1, outputs, frames, bins)``."""
        x = self.block4(self.block3(self.block2(self.block1(x))))
        if x.shape[-1] != self.n_bins:
            x = _resized(x, (x.shape[2], self.n_bins))
        return self.final_conv(x)  # type: ignore[no-any-return]
