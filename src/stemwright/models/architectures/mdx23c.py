"""MDX23C, or TFC-TDF-UNet v3: convolutions over time and frequency, and bottleneck layers over the bins of each frame.

Activations are ``(batch, channels, frames, bins)`` throughout. On a CPU they are channels-last: half-precision
convolutions are twice as fast there, and nothing is transposed between convolutions and bottlenecks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

AUDIO_CHANNELS = 2
"""Published code is stereo only."""


_COUNTED = (
    *("num_stems", "n_fft", "hop_length", "dim_f", "num_subbands", "num_channels", "num_scales"),
    *("num_blocks_per_scale", "bottleneck_factor"),
)
"""Options that must be at least 1."""


@dataclass(frozen=True)
class MDX23COptions:
    """Hyperparameters of the network, with the names of published configurations; published code has no defaults.

    Attributes:
        num_stems: Number of stems: one with a target instrument, else one for each instrument.
        n_fft: FFT size and window length in samples.
        hop_length: Hop size in samples.
        dim_f: Bins that the network processes, from the lowest; higher bins are zero in its output.
        num_subbands: Subbands of equal width, stacked as channels.
        num_channels: Channels of the first level.
        growth: Channels added at each deeper level.
        num_scales: Levels of the encoder and of the decoder.
        scale: Downsampling factors of frames and bins from one level to the next.
        num_blocks_per_scale: Blocks per level, and in the bottleneck between encoder and decoder.
        bottleneck_factor: Reduction of the bins inside a block's bottleneck.
        norm: ``BatchNorm``, ``InstanceNorm``, ``GroupNorm`` with the number of its groups such as ``GroupNorm4``; as in
            published code any other word means none.
        act: ``gelu``, ``relu``, or ``elu`` with its alpha such as ``elu1.0``.
        normalize: Normalise each input by the mean and std of its mono downmix, and undo this for the stems.
    """

    num_stems: int
    n_fft: int
    hop_length: int
    dim_f: int
    num_subbands: int
    num_channels: int
    growth: int
    num_scales: int
    scale: tuple[int, ...]
    num_blocks_per_scale: int
    bottleneck_factor: int
    norm: str
    act: str
    normalize: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for sizes that do not match."""
        for name in _COUNTED:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} leaves nothing: give 1 or more")
        if self.growth < 0:
            raise ValueError(f"growth = {self.growth} would use the channels up: give 0 or more")
        if self.hop_length > self.n_fft // 2:
            raise ValueError(
                f"hop_length = {self.hop_length} is more than half of n_fft = {self.n_fft}: give a shorter one"
            )
        if len(self.scale) != 2 or min(self.scale) < 1:
            raise ValueError(f"scale = {self.scale} must be two whole numbers: for frames, and for bins")
        if self.dim_f > self.n_fft // 2 + 1:
            raise ValueError(
                f"dim_f = {self.dim_f} is more than the {self.n_fft // 2 + 1} bins of n_fft = {self.n_fft}"
            )
        parts = self.num_subbands * self.scale[1] ** self.num_scales
        if self.dim_f % parts:
            raise ValueError(
                f"dim_f = {self.dim_f} cannot be cut into num_subbands = {self.num_subbands} bands that num_scales = "
                f"{self.num_scales} levels scale by {self.scale[1]}: give a multiple of {parts}"
            )
        if self.narrowest < 1:
            raise ValueError(
                f"bottleneck_factor = {self.bottleneck_factor} leaves no bins where there are {self.dim_f // parts}: "
                "give a smaller one"
            )
        _make_activation(self.act)
        _make_norm(self.norm, self.num_channels)

    @property
    def narrowest(self) -> int:
        """Bins in the bottleneck of the deepest level's blocks."""
        deepest: int = self.dim_f // self.num_subbands // self.scale[1] ** self.num_scales
        return deepest // self.bottleneck_factor


class MDX23C(nn.Module):
    """Separates a mix with spectra estimated by a U-Net of convolutions and frequency bottlenecks.

    Kim, Lee, Jung: Sound Demixing Challenge 2023 Music Demixing Track Technical Report: TFC-TDF-UNet v3
    (arXiv:2306.09382).

    Parameters have the names of published checkpoints, which have all buffers too, so the network can be created on
    "meta" and loaded with `assign=True`. Under autocast the STFTs, the first and last convolutions and the product
    before the last ones stay in float32.
    """

    def __init__(self, options: MDX23COptions) -> None:
        super().__init__()
        self.options = o = options
        spectra = o.num_subbands * AUDIO_CHANNELS * 2
        channels, bins = o.num_channels, o.dim_f // o.num_subbands
        self.first_conv = nn.Conv2d(spectra, channels, 1, bias=False)
        self.encoder_blocks = nn.ModuleList()
        for _ in range(o.num_scales):
            self.encoder_blocks.append(_Encoder(channels, bins, o))
            channels, bins = channels + o.growth, bins // o.scale[1]
        self.bottleneck_block = _Blocks(channels, channels, bins, o)
        self.decoder_blocks = nn.ModuleList()
        for _ in range(o.num_scales):
            channels, bins = channels - o.growth, bins * o.scale[1]
            self.decoder_blocks.append(_Decoder(channels, bins, o))
        self.final_conv = nn.Sequential(
            nn.Conv2d(channels + spectra, channels, 1, bias=False),
            _make_activation(o.act),
            nn.Conv2d(channels, o.num_stems * spectra, 1, bias=False),
        )

    def forward(self, mix: Tensor) -> Tensor:
        """Separates a mix.

        Args:
            mix: ``(batch, 2, samples)``, float32.

        Returns:
            ``(batch, stems, 2, samples)``, float32.

        Raises:
            ValueError: The mix is not stereo.
        """
        if mix.ndim != 3 or mix.shape[1] != AUDIO_CHANNELS:
            raise ValueError(f"MDX23C takes (batch, {AUDIO_CHANNELS}, samples), and was given {tuple(mix.shape)}")
        if not self.options.normalize or not mix.shape[-1]:
            return self._separate(mix.float())
        mix = mix.float()
        deviation, mean = torch.std_mean(mix.mean(1, keepdim=True), 2, correction=0, keepdim=True)  # (batch, 1, 1)
        stems = self._separate((mix - mean) / (deviation + 1e-8))
        return stems * deviation.unsqueeze(1) + mean.unsqueeze(1)

    def _separate(self, mix: Tensor) -> Tensor:
        """Normalised ``(batch, 2, samples)`` to ``(batch, stems, 2, samples)``."""
        with torch.autocast(mix.device.type, enabled=False):
            spectrum = self._analyse(mix)  # (batch, spectra, frames, bins of a subband)
        spectra = self.estimate(spectrum)
        with torch.autocast(mix.device.type, enabled=False):
            return self._synthesise(spectra, mix.shape[-1])

    def estimate(self, spectrum: Tensor) -> Tensor:
        """The network between the transforms.

        Args:
            spectrum: ``(batch, spectra, frames, bins of a subband)``, float32; see ``_analyse``.

        Returns:
            ``(batch, stems * spectra, frames, bins of a subband)``.
        """
        with torch.autocast(spectrum.device.type, enabled=False):
            shallow = self.first_conv(spectrum)  # (batch, channels, frames, bins)
        deep = self._estimate(shallow)
        with torch.autocast(spectrum.device.type, enabled=False):
            spectra: Tensor = self.final_conv(torch.cat((spectrum, shallow.mul_(deep)), 1))
        return spectra

    def _estimate(self, x: Tensor) -> Tensor:
        """Passes ``(batch, channels, frames, bins)`` through encoder and decoder."""
        skips: list[Tensor] = []
        for encoder in cast(Iterable[_Encoder], self.encoder_blocks):
            skips.append(encoder.tfc_tdf(x))
            x = encoder.downscale(skips[-1])
        x = self.bottleneck_block(x)
        for decoder in cast(Iterable[_Decoder], self.decoder_blocks):
            x = torch.cat((decoder.upscale(x), skips.pop()), 1)
            x = decoder.tfc_tdf(x)
        return x

    def padded(self, samples: int) -> int:
        """Zero-padded length, so that frames divide evenly at all levels and the STFT can pad by reflection."""
        o = self.options
        step: int = o.scale[0] ** o.num_scales
        frames = max(math.ceil(samples / o.hop_length) + 1, o.n_fft // 2 // o.hop_length + 2)
        if o.narrowest == 1:  # a single value cannot be normalised
            frames = max(frames, step + 1)
        return (math.ceil(frames / step) * step - 1) * o.hop_length

    def _analyse(self, mix: Tensor) -> Tensor:
        """The spectra of a mix, ``(batch, 2 * 2 * subbands, frames, bins of a subband)``: channel by channel, real
        before imaginary, low before high."""
        o = self.options
        batch, channels, samples = mix.shape
        waves = functional.pad(mix, (0, self.padded(samples) - samples)).flatten(0, 1)
        window = torch.hann_window(o.n_fft, device=mix.device)
        spectrum = torch.stft(waves, o.n_fft, o.hop_length, window=window, return_complex=True)[:, : o.dim_f]
        parts = torch.view_as_real(spectrum).view(batch, channels, o.num_subbands, -1, spectrum.shape[-1], 2)
        parts = parts.permute(0, 1, 5, 2, 4, 3).flatten(1, 3)  # (batch, spectra, frames, bins)
        # channels-last, torch's group norm on a CPU loses half of its digits
        lies_last = mix.device.type == "cpu" and "GroupNorm" not in o.norm
        return parts.contiguous(memory_format=torch.channels_last if lies_last else torch.contiguous_format)

    def _synthesise(self, spectra: Tensor, samples: int) -> Tensor:
        """``(batch, stems * spectra, frames, bins of a subband)`` to ``(batch, stems, 2, samples)``."""
        o = self.options
        batch, _, frames, _ = spectra.shape
        waves = batch * o.num_stems * AUDIO_CHANNELS
        parts = spectra.reshape(waves, 2, o.num_subbands, frames, -1).permute(0, 2, 4, 3, 1)
        parts = parts.reshape(waves, o.dim_f, frames, 2)
        unheard = o.n_fft // 2 + 1 - o.dim_f  # bins
        spectrum = torch.view_as_complex(functional.pad(parts, (0, 0, 0, 0, 0, unheard)))
        window = torch.hann_window(o.n_fft, device=spectra.device)
        audio = torch.istft(spectrum, o.n_fft, o.hop_length, window=window)[:, :samples]
        return audio.reshape(batch, o.num_stems, AUDIO_CHANNELS, samples)


class _Encoder(nn.Module):
    """An encoder level: its blocks, and the downsampling to the next level."""

    def __init__(self, channels: int, bins: int, options: MDX23COptions) -> None:
        super().__init__()
        self.tfc_tdf = _Blocks(channels, channels, bins, options)
        self.downscale = _Rescale(nn.Conv2d, channels, channels + options.growth, options)


class _Decoder(nn.Module):
    """A decoder level: the upsampling, and the blocks over its output and the skip connection."""

    def __init__(self, channels: int, bins: int, options: MDX23COptions) -> None:
        super().__init__()
        self.upscale = _Rescale(nn.ConvTranspose2d, channels + options.growth, channels, options)
        self.tfc_tdf = _Blocks(2 * channels, channels, bins, options)


class _Rescale(nn.Module):
    """A strided or transposed convolution between two levels."""

    def __init__(
        self, kind: type[nn.Conv2d | nn.ConvTranspose2d], channels: int, others: int, options: MDX23COptions
    ) -> None:
        super().__init__()
        scale = cast(tuple[int, int], options.scale)
        self.conv = nn.Sequential(
            _make_norm(options.norm, channels),
            _make_activation(options.act),
            kind(channels, others, scale, scale, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, frames, bins)`` of one level to that of the other."""
        rescaled: Tensor = self.conv(x)
        return rescaled


class _Blocks(nn.Sequential):
    """The blocks of a level."""

    def __init__(self, inputs: int, channels: int, bins: int, options: MDX23COptions) -> None:
        super().__init__()
        widths = [inputs] + [channels] * (options.num_blocks_per_scale - 1)
        self.blocks = nn.Sequential(*(_Block(width, channels, bins, options) for width in widths))


class _Block(nn.Module):
    """Convolution over frames and bins (TFC), bottleneck over bins (TDF), convolution; all with norm and activation."""

    def __init__(self, inputs: int, channels: int, bins: int, options: MDX23COptions) -> None:
        super().__init__()

        def prepared(width: int, layer: nn.Module) -> tuple[nn.Module, nn.Module, nn.Module]:
            return _make_norm(options.norm, width), _make_activation(options.act), layer

        narrow = bins // options.bottleneck_factor
        self.tfc1 = nn.Sequential(*prepared(inputs, nn.Conv2d(inputs, channels, 3, padding=1, bias=False)))
        self.tdf = nn.Sequential(
            *prepared(channels, _Dense(bins, narrow, bias=False)), *prepared(channels, _Dense(narrow, bins, bias=False))
        )
        self.tfc2 = nn.Sequential(*prepared(channels, nn.Conv2d(channels, channels, 3, padding=1, bias=False)))
        self.shortcut = nn.Conv2d(inputs, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, inputs, frames, bins)`` to ``(batch, channels, frames, bins)``."""
        inner = self.tfc1(x)
        inner = inner.add_(self.tdf(inner))
        refined: Tensor = self.tfc2(inner)
        return refined.add_(self.shortcut(x))


class _Dense(nn.Linear):
    """A linear layer over the bins of each frame and channel."""

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, frames, bins)`` to another number of bins."""
        if not x.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x)
        return torch.matmul(self.weight, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _InstanceNorm(nn.InstanceNorm2d):
    """Instance norm: normalises each channel of each input separately."""

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, frames, bins)`` to the same shape."""
        if x.device.type != "cpu":
            return super().forward(x)
        # torch's own would convert to channels-first and back
        alone = [self._alone(one) for one in torch.split(x, 1)]
        return alone[0] if len(alone) == 1 else torch.cat(alone)

    def _alone(self, x: Tensor) -> Tensor:
        """``(1, channels, frames, bins)`` to the same shape."""
        if x.dtype is not torch.float32:
            return functional.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        # Channels-last, its statistics are summed sequentially, which loses four bits of precision.
        mean = x.mean((0, 2, 3))
        power = torch.linalg.vector_norm(x, dim=3).square().mean((0, 2)) / x.shape[3]
        variance = (power - mean.square()).clamp_(min=0)
        return functional.batch_norm(x, mean, variance, self.weight, self.bias, eps=self.eps)


def _make_norm(name: str, channels: int) -> nn.Module:
    if name == "BatchNorm":
        return nn.BatchNorm2d(channels)
    if name == "InstanceNorm":
        return _InstanceNorm(channels, affine=True)
    if "GroupNorm" not in name:
        return nn.Identity()
    groups = name.replace("GroupNorm", "")
    if not groups.isdecimal() or int(groups) < 1 or channels % int(groups):
        raise ValueError(f"norm = {name} does not fit {channels} channels: name a number of groups that divides them")
    return nn.GroupNorm(int(groups), channels)


def _make_activation(name: str) -> nn.Module:
    if name == "gelu":
        return nn.GELU()
    if name == "relu":
        return nn.ReLU()
    if name.startswith("elu"):
        with suppress(ValueError):
            return nn.ELU(float(name.removeprefix("elu")))
    raise ValueError(f"act = {name} is unknown: give gelu, relu, or elu with its alpha, such as elu1.0")
