"""HTDemucs: a spectrogram U-Net and a waveform U-Net, joined by a cross-domain transformer.

Activations are channels-last throughout, which convolutions and matrix products read without a copy. The waveform is an
image of height one, so both branches share their layers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from types import MappingProxyType
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Size = tuple[int, int]
Convolution = nn.Conv1d | nn.Conv2d

FIXED: Mapping[str, object] = MappingProxyType(
    {
        "channels_time": None,
        "num_subbands": 1,
        "cac": True,
        "rewrite": True,
        "multi_freqs": None,
        "norm_starts": 4,
        "t_emb": "sin",
        "t_sin_random_shift": 0,
        "t_norm_in": True,
        "t_norm_in_group": False,
        "t_group_norm": False,
        "t_norm_first": True,
        "t_norm_out": True,
        "t_layer_scale": True,
        "t_gelu": True,
        "t_sparse_self_attn": False,
        "t_sparse_cross_attn": False,
        "t_cross_first": False,
    }
)
"""Settings of published configurations that change the network, with the one value that any published weights use; an
empty list for ``multi_freqs`` means the same as None. Weights trained with another value cannot be run."""

UNUSED = frozenset(
    {"wiener_iters", "end_iters", "wiener_residual", "multi_freqs_depth", "emb_smooth", "time_stride", "norm_groups"}
    | {"dconv_init", "rescale", "t_dropout", "t_max_positions", "t_cape_mean_normalize", "t_cape_augment"}
    | {"t_cape_glob_loc_scale", "t_weight_decay", "t_lr", "t_mask_type", "t_mask_random_seed", "t_sparse_attn_window"}
    | {"t_global_window", "t_sparsity", "t_auto_sparsity"}
)
"""Settings of published configurations that only affect training, or have no effect given ``FIXED``."""


@dataclass(frozen=True)
class HTDemucsOptions:
    """Hyperparameters of an HTDemucs, with the names of published configurations and the defaults of published code.

    Attributes:
        sources: names of the stems, in the order of the output.
        audio_channels: channels of the audio.
        channels: channels after the first encoder layer; each further layer has ``growth`` times as many.
        nfft: FFT size in samples, a multiple of 4; the hop is a quarter of it.
        depth: layers of each encoder and decoder, at most 4.
        freq_emb: weight of the frequency embedding after the first layer, 0 for none; emb_scale: its other factor.
        kernel_size, stride: of the strided and transposed convolutions, in bins or samples.
        context, context_enc: neighbours on each side that the gated convolutions of decoder and encoder see.
        dconv_mode: residual branches in the encoder (1), the decoder (2), both (3) or neither (0).
        dconv_depth: convolutions of a residual branch; dconv_comp: it has this many times fewer channels inside.
        bottom_channels: channels of the transformer, 0 for those of the last encoder layer.
        t_layers: layers of the transformer, even ones self-attention, odd ones cross-attention, 0 for no transformer.
        t_hidden_scale: the transformer's feed-forward width over its channels; t_heads: attention heads.
        t_max_period: longest period of the position embedding, in tokens; t_weight_pos_embed: its weight.
        samplerate: rate in Hz.
        segment: length of training segments in seconds.
        use_train_segment: pad shorter input to that length, as published inference does.
    """

    sources: tuple[str, ...]
    audio_channels: int = 2
    channels: int = 48
    growth: float = 2
    nfft: int = 4096
    depth: int = 4
    freq_emb: float = 0.2
    emb_scale: float = 10
    kernel_size: int = 8
    stride: int = 4
    context: int = 1
    context_enc: int = 0
    dconv_mode: int = 1
    dconv_depth: int = 2
    dconv_comp: float = 8
    bottom_channels: int = 0
    t_layers: int = 5
    t_hidden_scale: float = 4.0
    t_heads: int = 8
    t_max_period: float = 10000.0
    t_weight_pos_embed: float = 1.0
    samplerate: int = 44_100
    segment: float | Fraction = 10
    use_train_segment: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError for sizes that do not match."""
        if not self.sources:
            raise ValueError("HTDemucs needs the names of its sources: give at least one.")
        bins = self.nfft // 2 // self.stride ** (self.depth - 1)
        if self.nfft % 4 or not 1 <= self.depth <= 4 or bins <= self.kernel_size:
            raise ValueError(
                f"An HTDemucs of depth {self.depth} does not fit an STFT of {self.nfft} samples: the depth must be 1 to 4, "
                f"and more than {self.kernel_size} bins must be left for its last layer."
            )
        if self.t_layers and (self.transformer_channels % 4 or self.transformer_channels % self.t_heads):
            raise ValueError(
                f"{self.transformer_channels} channels cannot be shared among {self.t_heads} attention heads: "
                "the transformer's channels must be a multiple of that and of 4."
            )

    @property
    def segment_samples(self) -> int:
        """Length of training segments in samples, 343,980 in published weights."""
        return int(self.segment * self.samplerate)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels after each encoder layer."""
        widths = [self.channels]
        while len(widths) < self.depth:
            widths.append(int(self.growth * widths[-1]))
        return tuple(widths)

    @property
    def transformer_channels(self) -> int:
        """Channels of the transformer."""
        return self.bottom_channels or self.widths[-1]


def _as_2d(weight: Tensor) -> Tensor:
    """A 1D kernel as a 2D kernel of height one: ``(..., taps)`` -> ``(..., 1, taps)``; others as they are."""
    return weight.unsqueeze(2) if weight.ndim == 3 else weight


class LayerScale(nn.Module):
    """A learned gain for each channel; applied by the layer that owns it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))


class ResidualBranch(nn.Module):
    """Dilated convolutions over time with few channels, added to the input ("DConv").

    The second norm of each layer is over all frames and many channels. Its mean and variance are derived from the few
    channels before the last convolution, so the norm is merged into that convolution.
    """

    def __init__(self, channels: int, depth: int, compress: float) -> None:
        super().__init__()
        hidden = int(channels / compress)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, hidden, 3, dilation=2**index),
                nn.GroupNorm(1, hidden),
                nn.GELU(),
                nn.Conv1d(hidden, 2 * channels, 1),
                nn.GroupNorm(1, 2 * channels),
                nn.GLU(1),
                LayerScale(channels),
            )
            for index in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, bins, frames)``, changed in place; each bin is a separate sequence."""
        tokens = x.permute(0, 2, 3, 1).flatten(0, 1)  # (sequences, frames, channels), the same memory
        for index, layer in enumerate(self.layers):
            narrow, norm, _, widen, norm_out, _, gain = cast(_ResidualLayer, layer)
            reach = 2**index
            inner = functional.conv2d(x, _as_2d(narrow.weight), narrow.bias, padding=(0, reach), dilation=(1, reach))
            inner = inner.permute(0, 2, 3, 1).flatten(0, 1).float()  # (sequences, frames, hidden)
            inner = functional.layer_norm(inner, inner.shape[1:], eps=norm.eps)
            inner = functional.gelu(torch.addcmul(norm.bias, inner, norm.weight))
            mean = inner.mean(1, keepdim=True)  # (sequences, 1, hidden)
            inner -= mean
            value, gate = _kernels(inner, mean, widen, norm_out, gain.scale)
            inner = functional.pad(inner, (0, 1), value=1.0)  # a channel of ones for the bias
            tokens.addcmul_(torch.bmm(inner, value), torch.bmm(inner, gate).sigmoid_())
        return x


_ResidualLayer: TypeAlias = tuple[nn.Conv1d, nn.GroupNorm, nn.Module, nn.Conv1d, nn.GroupNorm, nn.Module, LayerScale]


def _kernels(inner: Tensor, mean: Tensor, widen: nn.Conv1d, norm: nn.GroupNorm, gain: Tensor) -> tuple[Tensor, Tensor]:
    """A 1x1 convolution, the norm over its output and a gain, merged into one matrix product per sequence.

    Args:
        inner: input of the convolution less its mean over time, ``(sequences, frames, hidden)``.
        mean: that mean, ``(sequences, 1, hidden)``.
        widen: the convolution, to twice ``channels``.
        norm: the norm over all frames and channels of a sequence.
        gain: ``(channels,)``, for the first half of the convolution's channels; the second half is their gate.

    Returns:
        Kernels of values and of gates, ``(sequences, hidden + 1, channels)``, the bias in the last row.
    """
    with torch.autocast(inner.device.type, enabled=False):
        kernel = widen.weight[:, :, 0].T  # (hidden, 2 channels)
        covariance = inner.transpose(1, 2) @ inner / inner.shape[1]  # (sequences, hidden, hidden)
        offset = mean @ kernel + cast(Tensor, widen.bias)  # (sequences, 1, 2 channels), the output's mean over time
        variance = (covariance * (kernel @ kernel.T)).sum((1, 2), keepdim=True) / kernel.shape[1]
        variance += offset.var(2, unbiased=False, keepdim=True)  # (sequences, 1, 1), over frames and channels
        scale = torch.rsqrt(variance + norm.eps) * norm.weight  # (sequences, 1, 2 channels)
        bias = (offset - offset.mean(2, keepdim=True)) * scale + norm.bias
        value, gate = torch.cat([kernel * scale, bias], 1).chunk(2, 2)
        return value * gain, gate


def _residual_branch(channels: int, options: HTDemucsOptions, wanted: int) -> nn.Module:
    return ResidualBranch(channels, options.dconv_depth, options.dconv_comp) if wanted else nn.Identity()


def _gated(x: Tensor, convolution: Convolution) -> Tensor:
    """A gated convolution (GLU). Values and gates are computed separately, so that both are contiguous."""
    weight, bias = _as_2d(convolution.weight), cast(Tensor, convolution.bias)
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    value, gate = (
        functional.conv2d(x, half, half_bias, padding=padding)
        for half, half_bias in zip(weight.chunk(2), bias.chunk(2), strict=True)
    )
    return value.mul_(gate.sigmoid_())


class Encoder(nn.Module):
    """One encoder layer: a strided convolution over bins or samples, a residual branch, a gated convolution."""

    def __init__(self, inputs: int, outputs: int, options: HTDemucsOptions, *, over_time: bool) -> None:
        super().__init__()
        size, stride, context = options.kernel_size, options.stride, 1 + 2 * options.context_enc
        if over_time:
            self.conv: Convolution = nn.Conv1d(inputs, outputs, size, stride)
            self.rewrite: Convolution = nn.Conv1d(outputs, 2 * outputs, context)
        else:
            self.conv = nn.Conv2d(inputs, outputs, (size, 1), (stride, 1))
            self.rewrite = nn.Conv2d(outputs, 2 * outputs, context)
        self.stride, self.padding = ((1, stride), (0, size // 4)) if over_time else ((stride, 1), (size // 4, 0))
        self.dconv = _residual_branch(outputs, options, options.dconv_mode & 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, inputs, bins, frames)`` -> ``(batch, outputs, bins, frames)``, ``stride`` times fewer of one."""
        if short := -x.shape[3] % self.stride[1]:
            x = functional.pad(x, (0, short))
        x = functional.gelu(functional.conv2d(x, _as_2d(self.conv.weight), self.conv.bias, self.stride, self.padding))
        return _gated(self.dconv(x), self.rewrite)


class Decoder(nn.Module):
    """One decoder layer: a gated convolution, a residual branch, a transposed convolution over bins or samples."""

    def __init__(self, inputs: int, outputs: int, options: HTDemucsOptions, *, over_time: bool, last: bool) -> None:
        super().__init__()
        size, stride, context = options.kernel_size, options.stride, 1 + 2 * options.context
        if over_time:
            self.rewrite: Convolution = nn.Conv1d(inputs, 2 * inputs, context)
            self.conv_tr: nn.ConvTranspose1d | nn.ConvTranspose2d = nn.ConvTranspose1d(inputs, outputs, size, stride)
        else:
            self.rewrite = nn.Conv2d(inputs, 2 * inputs, context)
            self.conv_tr = nn.ConvTranspose2d(inputs, outputs, (size, 1), (stride, 1))
        self.stride, self.padding = ((1, stride), (0, size // 4)) if over_time else ((stride, 1), (size // 4, 0))
        self.last = last
        self.dconv = _residual_branch(inputs, options, options.dconv_mode & 2)

    def forward(self, x: Tensor, skip: Tensor, size: Size) -> Tensor:
        """``(batch, inputs, bins, frames)``, twice -> ``(batch, outputs, *size)``; ``x`` is overwritten."""
        if not self.last:
            return functional.gelu(self._raised(x.add_(skip), size))
        with torch.autocast(x.device.type, enabled=False):  # rounding errors here would go straight to the output
            return self._raised(x.float().add_(skip), size)

    def _raised(self, x: Tensor, size: Size) -> Tensor:
        x = self.dconv(_gated(x, self.rewrite))
        x = functional.conv_transpose2d(x, _as_2d(self.conv_tr.weight), self.conv_tr.bias, self.stride)
        (top, left), (height, width) = self.padding, size
        return x[:, :, top : top + height, left : left + width]


def _encoder(inputs: int, options: HTDemucsOptions, *, over_time: bool) -> nn.ModuleList:
    """From the outermost layer to the innermost."""
    widths = pairwise((inputs, *options.widths))
    return nn.ModuleList(Encoder(few, many, options, over_time=over_time) for few, many in widths)


def _decoder(outputs: int, options: HTDemucsOptions, *, over_time: bool) -> nn.ModuleList:
    """From the innermost layer to the outermost."""
    widths = list(pairwise((outputs, *options.widths)))[::-1]
    last = len(widths) - 1
    return nn.ModuleList(
        Decoder(many, few, options, over_time=over_time, last=index == last) for index, (few, many) in enumerate(widths)
    )


class Attention(nn.Module):
    """Multi-head attention with the parameters of ``torch.nn.MultiheadAttention``."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.randn(3 * channels, channels) / channels**0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels))
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Queries ``(batch, tokens, channels)``, keys and values ``(batch, others, channels)`` -> as the queries."""
        batch, tokens, channels = x.shape
        weight, bias = self.in_proj_weight, self.in_proj_bias
        query = functional.linear(x, weight[:channels], bias[:channels])
        key, value = functional.linear(other, weight[channels:], bias[channels:]).chunk(2, 2)
        query, key, value = (part.view(batch, -1, self.heads, channels // self.heads) for part in (query, key, value))
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))  # (batch, heads, tokens, each)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, channels))
        return out


class TransformerLayer(nn.Module):
    """Self- or cross-attention and a feed-forward block, with pre-norm."""

    def __init__(self, channels: int, options: HTDemucsOptions, *, cross: bool) -> None:
        super().__init__()
        hidden = int(channels * options.t_hidden_scale)
        attention = Attention(channels, options.t_heads)
        if cross:
            self.cross_attn = attention
            self.norm3 = nn.LayerNorm(channels)
        else:
            self.self_attn = attention
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.linear1, self.linear2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.gamma_1, self.gamma_2 = LayerScale(channels), LayerScale(channels)
        self.norm_out = nn.GroupNorm(1, channels)
        self.cross = cross

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """``(batch, tokens, channels)`` and the other branch's ``(batch, others, channels)`` -> shape of the former."""
        normed = self.norm1(x)
        if self.cross:
            x = x + self.gamma_1.scale * self.cross_attn(normed, self.norm2(other))
            normed = self.norm3(x)
        else:
            x = x + self.gamma_1.scale * self.self_attn(normed, normed)
            normed = self.norm2(x)
        x = x + self.gamma_2.scale * self.linear2(functional.gelu(self.linear1(normed)))
        x = functional.layer_norm(x, x.shape[1:], eps=self.norm_out.eps)  # over all tokens and channels
        return torch.addcmul(self.norm_out.bias, x, self.norm_out.weight)


class CrossTransformer(nn.Module):
    """Alternating layers of self-attention and cross-attention between the branches."""

    def __init__(self, options: HTDemucsOptions) -> None:
        super().__init__()
        channels = options.transformer_channels
        self.max_period, self.weight = options.t_max_period, options.t_weight_pos_embed
        self.norm_in, self.norm_in_t = nn.LayerNorm(channels), nn.LayerNorm(channels)
        crosses = [index % 2 == 1 for index in range(options.t_layers)]
        self.layers = nn.ModuleList(TransformerLayer(channels, options, cross=cross) for cross in crosses)
        self.layers_t = nn.ModuleList(TransformerLayer(channels, options, cross=cross) for cross in crosses)

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, bins, frames, channels)`` and ``(batch, tokens, channels)`` -> the same shapes, float32."""
        bins, frames, channels = x.shape[1:]
        x = self.norm_in(x.float()) + self.weight * self._grid_positions(bins, frames, channels, x.device)
        xt = self.norm_in_t(xt.float()) + self.weight * self._positions(xt.shape[1], channels, x.device)
        x = x.flatten(1, 2)  # (batch, bins * frames, channels): no layer depends on the order of the tokens
        for layer, layer_t in zip(self.layers, self.layers_t, strict=True):
            x, xt = layer(x, xt), layer_t(xt, x)
        return x.view(-1, bins, frames, channels), xt

    def _positions(self, tokens: int, channels: int, device: torch.device) -> Tensor:
        """Position embedding, cosines then sines: ``(tokens, channels)``."""
        half = channels // 2
        period = self.max_period ** (torch.arange(half, device=device) / (half - 1))
        phase = torch.arange(tokens, device=device)[:, None] / period
        return torch.cat([phase.cos(), phase.sin()], 1)

    def _grid_positions(self, bins: int, frames: int, channels: int, device: torch.device) -> Tensor:
        """Position embedding, interleaved sines and cosines: first half of the channels for frames, second for bins.

        Returns:
            ``(bins, frames, channels)``.
        """
        half = channels // 2
        rate = torch.exp(torch.arange(0, half, 2, device=device) * (-math.log(self.max_period) / half))
        places = (torch.arange(count, device=device)[:, None] * rate for count in (frames, bins))
        of_frame, of_bin = (torch.stack([phase.sin(), phase.cos()], 2).flatten(1) for phase in places)  # (count, half)
        return torch.cat([of_frame.expand(bins, -1, -1), of_bin[:, None].expand(-1, frames, -1)], 2)


class FrequencyEmbedding(nn.Module):
    """A learned vector for each bin after the first layer; applied by the network that owns it."""

    def __init__(self, bins: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(bins, channels)


class HTDemucs(nn.Module):
    """The network of Rouard, Massa and Defossez, "Hybrid transformers for music source separation" (2022).

    It has no buffers. Under autocast the STFTs, the normalisation of the input, the norms, the residual stream of the
    transformer and the last layers of both decoders stay in float32.
    """

    def __init__(self, options: HTDemucsOptions) -> None:
        super().__init__()
        self.options = options
        audio, stems = options.audio_channels, len(options.sources)
        width, inner = options.widths[-1], options.bottom_channels
        self.encoder = _encoder(2 * audio, options, over_time=False)  # real and imaginary parts
        self.tencoder = _encoder(audio, options, over_time=True)
        self.decoder = _decoder(2 * audio * stems, options, over_time=False)
        self.tdecoder = _decoder(audio * stems, options, over_time=True)
        self.freq_emb = None
        if options.freq_emb:
            self.freq_emb = FrequencyEmbedding(options.nfft // 2 // options.stride, options.channels)
        if inner:
            self.channel_upsampler, self.channel_downsampler = nn.Conv1d(width, inner, 1), nn.Conv1d(inner, width, 1)
            self.channel_upsampler_t, self.channel_downsampler_t = (
                nn.Conv1d(width, inner, 1),
                nn.Conv1d(inner, width, 1),
            )
        self.crosstransformer = CrossTransformer(options) if options.t_layers else None

    def forward(self, mix: Tensor) -> Tensor:
        """Separates a chunk.

        Input shorter than the training segment is zero-padded at its end to that length, as in published inference;
        longer input is not changed.

        Args:
            mix: ``(batch, channels, samples)``, float32.

        Returns:
            ``(batch, stems, channels, samples)``, float32.
        """
        length = mix.shape[2]
        if self.options.use_train_segment and length < self.options.segment_samples:
            mix = functional.pad(mix, (0, self.options.segment_samples - length))
        spectra, waveforms = self.estimate(self._spectrum(mix), mix)
        out = self._waveform(spectra, mix.shape[2])  # (batch, stems * channels, samples)
        out += waveforms
        return out[..., :length].view(len(mix), len(self.options.sources), *mix.shape[1:2], length)

    def estimate(self, spectrum: Tensor, mix: Tensor) -> tuple[Tensor, Tensor]:
        """The network between the transforms.

        Args:
            spectrum: ``(batch, 2 channels, bins, frames)``, real and imaginary parts of each channel.
            mix: ``(batch, channels, samples)``.

        Returns:
            Spectra ``(batch, stems * 2 channels, bins, frames)`` and waveforms ``(batch, stems * channels, samples)``,
            whose sum is the stems.
        """
        x, mean, std = _normalised(spectrum)
        xt, mean_t, std_t = _normalised(mix[:, :, None])  # (batch, channels, 1, samples)

        saved: list[tuple[Tensor, Tensor, Size, Size]] = []
        for index, (encode, encode_t) in enumerate(zip(self.encoder, self.tencoder, strict=True)):
            sizes = (x.shape[2], x.shape[3]), (xt.shape[2], xt.shape[3])
            x, xt = encode(x), encode_t(xt)
            if index == 0 and self.freq_emb is not None:
                weight = self.freq_emb.embedding.weight * (self.options.emb_scale * self.options.freq_emb)
                x += weight.T[:, :, None].to(x.dtype)  # (channels, bins, 1)
            saved.append((x, xt, *sizes))
        if self.crosstransformer is not None:
            x, xt = self._transformed(x, xt)
        else:
            x, xt = x.clone(), xt.clone()  # decoders overwrite their input, and these are skips too
        for decode, decode_t in zip(self.decoder, self.tdecoder, strict=True):
            skip, skip_t, size, size_t = saved.pop()
            x, xt = decode(x, skip, size), decode_t(xt, skip_t, size_t)
        return x * std + mean, (xt * std_t + mean_t)[:, :, 0]

    def _transformed(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Applies the transformer to ``(batch, channels, bins, frames)`` and ``(batch, channels, 1, tokens)``."""
        assert self.crosstransformer is not None
        dtype = x.dtype
        x, xt = x.permute(0, 2, 3, 1), xt[:, :, 0].transpose(1, 2)  # channels last
        if self.options.bottom_channels:
            x, xt = _across(x, self.channel_upsampler), _across(xt, self.channel_upsampler_t)
        x, xt = self.crosstransformer(x, xt)
        if self.options.bottom_channels:
            x, xt = _across(x, self.channel_downsampler), _across(xt, self.channel_downsampler_t)
        return x.to(dtype).permute(0, 3, 1, 2), xt.to(dtype).transpose(1, 2)[:, :, None]

    def _spectrum(self, mix: Tensor) -> Tensor:
        """``(batch, channels, samples)`` -> ``(batch, 2 channels, bins, frames)``, without the bin at Nyquist."""
        size = self.options.nfft
        hop = size // 4
        length = mix.shape[2]
        left = hop // 2 * 3  # as many frames as hops, each centred on its hop
        right = left + -length % hop
        if length <= right:  # too short for reflection: pad with zeros on the right first
            missing = right - length + 1
            mix = functional.pad(mix, (max(0, missing - right), min(missing, right)))
            left, right = left - max(0, missing - right), right - min(missing, right)
        mix = functional.pad(mix, (left, right), mode="reflect")
        frames = mix.unfold(2, size, hop)  # (batch, channels, frames, nfft)
        window = torch.hann_window(size, device=mix.device)
        spectrum = torch.fft.rfft(frames * window, norm="ortho")[..., :-1]
        parts = torch.view_as_real(spectrum).permute(0, 3, 2, 1, 4)  # (batch, bins, frames, channels, 2)
        return parts.flatten(3).permute(0, 3, 1, 2)

    def _waveform(self, spectrum: Tensor, length: int) -> Tensor:
        """Inverse of ``_spectrum``: ``(batch, 2 channels, bins, frames)``, float32 -> ``(batch, channels, length)``."""
        size = self.options.nfft
        hop = size // 4
        parts = spectrum.view(len(spectrum), -1, 2, *spectrum.shape[2:]).permute(0, 1, 4, 3, 2).contiguous()
        window = torch.hann_window(size, device=spectrum.device) / 1.5  # 1.5: sum of the squared windows
        frames = torch.fft.irfft(torch.view_as_complex(parts), n=size, norm="ortho").mul_(window)
        batch, channels, count, _ = frames.shape
        out = frames.new_zeros(batch, channels, count + 3, hop)
        for index, quarter in enumerate(frames.chunk(4, 3)):  # (batch, channels, frames, hop)
            out[:, :, index : index + count] += quarter
        waveform: Tensor = out.flatten(2).narrow(2, hop // 2 * 3, length)
        return waveform


def _normalised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised ``(batch, channels, bins, frames)``, channels-last, with mean and std, ``(batch, 1, 1, 1)``."""
    std, mean = torch.std_mean(x, (1, 2, 3), keepdim=True)
    return ((x - mean) / (1e-5 + std)).contiguous(memory_format=torch.channels_last), mean, std


def _across(tokens: Tensor, convolution: nn.Conv1d) -> Tensor:
    """A 1x1 convolution over ``(..., channels)``."""
    return functional.linear(tokens, convolution.weight[:, :, 0], convolution.bias)
