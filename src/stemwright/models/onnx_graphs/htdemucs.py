"""The graph of an HTDemucs: a chunk and its spectrum to waveforms and spectra, which are added.

PyTorch's code is for tensors with the channels last. ONNX Runtime has them first, or in blocks of its own, so the layers
are written again here: nothing is transposed between convolutions, a norm is merged into the convolution before it, and
transposed convolutions are plain ones whose channels become bins or samples.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from stemwright.models.architectures.htdemucs import (
    Convolution,
    Decoder,
    Encoder,
    HTDemucs,
    LayerScale,
    ResidualBranch,
    Size,
)
from stemwright.models.onnx_contract import GraphTensor, GraphTransform, OnnxContract
from stemwright.models.onnx_graphs.operators import FusedAttention, apart


class HTDemucsGraph(nn.Module):
    """The network between the transforms.

    Args:
        network: the network, with its weights.
        chunk_samples: length of a chunk.
    """

    def __init__(self, network: HTDemucs, chunk_samples: int) -> None:
        super().__init__()
        self.network = network
        o = network.options
        self.chunk_samples, self.n_sources = chunk_samples, len(o.sources)
        tail_samples = max(0, o.segment_samples - chunk_samples) if o.use_train_segment else 0
        hop = o.nfft // 4
        self.contract = OnnxContract(
            inputs=(
                GraphTensor("mix", "waveform", "1 channel sample"),
                GraphTensor("spectrum", "complex_spectrum", "1 (channel part) bin frame"),
            ),
            outputs=(
                GraphTensor("waveforms", "waveform", "1 (source channel) sample"),
                GraphTensor("spectra", "complex_spectrum", "1 (source channel part) bin frame"),
            ),
            transform=GraphTransform(
                o.nfft,
                hop,
                offset=hop // 2,
                frames=-(-(chunk_samples + tail_samples) // hop),
                envelope="infinite",
                normalised=True,
                bins=o.nfft // 2,
            ),
            tail_samples=tail_samples,
        )

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shape."""
        sizes = self.contract.sizes(chunk_samples=self.chunk_samples, n_sources=self.n_sources)
        return tuple(torch.zeros(tensor.axes.shape(sizes)) for tensor in self.contract.inputs)

    def forward(self, mix: Tensor, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """``(1, channels, samples)`` and ``(1, 2 channels, bins, frames)`` -> the same of all stems."""
        network = self.network
        x, mean, std = _normalised(spectrum)
        xt, mean_t, std_t = _normalised(mix[:, :, None])  # (1, channels, 1, samples)
        saved: list[tuple[Tensor, Tensor, Size, Size]] = []
        layers = zip(network.encoder, network.tencoder, strict=True)
        for index, (encoder, encoder_t) in enumerate(cast("list[tuple[Encoder, Encoder]]", list(layers))):
            sizes = (x.shape[2], x.shape[3]), (xt.shape[2], xt.shape[3])
            x, xt = _encoded(encoder, x), _encoded(encoder_t, xt)
            if index == 0 and network.freq_emb is not None:
                weight = network.freq_emb.embedding.weight * (network.options.emb_scale * network.options.freq_emb)
                x = x + weight.T[:, :, None]  # (channels, bins, 1)
            saved.append((x, xt, *sizes))
        if network.crosstransformer is not None:
            with FusedAttention():
                x, xt = network._transformed(x, xt)
        layers = zip(network.decoder, network.tdecoder, strict=True)
        for decoder, decoder_t in cast("list[tuple[Decoder, Decoder]]", list(layers)):
            skip, skip_t, size, size_t = saved.pop()
            x, xt = _decoded(decoder, x + skip, size), _decoded(decoder_t, xt + skip_t, size_t)
        return (xt * std_t + mean_t)[:, :, 0], x * std + mean


def _normalised(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised ``(1, channels, bins, frames)``, with mean and standard deviation, each ``(1, 1, 1, 1)``."""
    count = x.numel()
    mean = x.mean((1, 2, 3), keepdim=True)
    centred = x - mean
    std = (centred.square().mean((1, 2, 3), keepdim=True) * (count / (count - 1))).sqrt()
    return centred / (1e-5 + std), mean, std


def _as_2d(weight: Tensor) -> Tensor:
    """A 1D kernel as a 2D kernel of height one."""
    return weight.unsqueeze(2) if weight.ndim == 3 else weight


def _encoded(layer: Encoder, x: Tensor) -> Tensor:
    if short := -x.shape[3] % layer.stride[1]:
        x = functional.pad(x, (0, short))
    x = functional.gelu(functional.conv2d(x, _as_2d(layer.conv.weight), layer.conv.bias, layer.stride, layer.padding))
    return _gated(_with_residuals(layer.dconv, x), layer.rewrite)


def _decoded(layer: Decoder, x: Tensor, size: Size) -> Tensor:
    """``(1, inputs, bins, frames)`` -> ``(1, outputs, *size)``."""
    x = _raised(layer, _with_residuals(layer.dconv, _gated(x, layer.rewrite)))[:, :, : size[0], : size[1]]
    return x if layer.last else functional.gelu(x)


def _gated(x: Tensor, convolution: Convolution) -> Tensor:
    weight, bias = _as_2d(convolution.weight), cast(Tensor, convolution.bias)
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    value, gate = (
        functional.conv2d(x, half, half_bias, padding=padding)
        for half, half_bias in zip(weight.chunk(2), bias.chunk(2), strict=True)
    )
    return value * gate.sigmoid()


def _with_residuals(branch: nn.Module, x: Tensor) -> Tensor:
    """Adds the residual branches of a layer to ``(1, channels, bins, frames)``."""
    if not isinstance(branch, ResidualBranch):
        return x
    for index, layer in enumerate(branch.layers):
        narrow, norm, _, widen, norm_out, _, gain = cast(
            "tuple[nn.Conv1d, nn.GroupNorm, nn.Module, nn.Conv1d, nn.GroupNorm, nn.Module, LayerScale]", layer
        )
        reach = 2**index
        inner = functional.conv2d(x, _as_2d(narrow.weight), narrow.bias, padding=(0, reach), dilation=(1, reach))
        inner = inner - inner.mean((1, 3), keepdim=True)  # (1, hidden, bins, frames); each bin is a separate sequence
        inner = inner * torch.rsqrt(inner.square().mean((1, 3), keepdim=True) + norm.eps)
        inner = functional.gelu(inner * norm.weight[:, None, None] + norm.bias[:, None, None])
        scaled = _scaled(inner, widen, norm_out.eps)
        weight = norm_out.weight[:, None]
        # the convolution, the norm's scale and its mean, of the channels that _scaled gives
        kernel = torch.cat([widen.weight[:, :, 0] * weight, cast(Tensor, widen.bias)[:, None] * weight, -weight], 1)
        kernel, bias = kernel[:, :, None, None], norm_out.bias
        half = len(bias) // 2
        value = functional.conv2d(scaled, kernel[:half] * gain.scale[:, None, None, None], bias[:half] * gain.scale)
        gate = functional.conv2d(scaled, kernel[half:], bias[half:])
        x = x + value * gate.sigmoid()
    return x


def _scaled(inner: Tensor, widen: nn.Conv1d, eps: float) -> Tensor:
    """Divides by the standard deviation that a 1x1 convolution would give, without computing its many channels.

    Args:
        inner: the input of the convolution, ``(1, hidden, bins, frames)``.
        widen: the convolution. A norm over all its channels and frames follows, for each bin.
        eps: added to the variance.

    Returns:
        ``(1, hidden + 2, bins, frames)``: the input over the deviation, one over it, and the mean over it.
    """
    kernel = widen.weight[:, :, 0].T  # (hidden, 2 channels)
    tokens = inner[0].transpose(0, 1)  # (bins, hidden, frames)
    mean = tokens.mean(2, keepdim=True)  # (bins, hidden, 1)
    centred = tokens - mean
    covariance = centred @ centred.transpose(1, 2) / tokens.shape[2]  # (bins, hidden, hidden)
    # the output's mean over time, (bins, 1, 2 channels)
    offset = mean.transpose(1, 2) @ kernel + cast(Tensor, widen.bias)
    level = offset.mean(2, keepdim=True)  # (bins, 1, 1): over frames and channels
    variance = (covariance * (kernel @ kernel.T)).sum((1, 2), keepdim=True) / kernel.shape[1]
    variance = variance + (offset - level).square().mean(2, keepdim=True)
    scale = torch.rsqrt(variance + eps)
    more = torch.cat([scale, scale * level], 1).transpose(0, 1)[None]  # (1, 2, bins, 1)
    return torch.cat([inner * scale[None, :, :, 0, None].transpose(1, 2), more.expand(-1, -1, -1, inner.shape[3])], 1)


def _raised(layer: Decoder, x: Tensor) -> Tensor:
    """A transposed convolution without its ``kernel_size / 4`` outermost outputs at the start, as a plain one.

    Where its kernel is twice as long as its stride, an output is the sum of two inputs. Outputs of the same place in a
    stride are the channels of a convolution of three neighbours, one of them zero.
    """
    weight, bias = layer.conv_tr.weight, cast(Tensor, layer.conv_tr.bias)
    over_time = weight.ndim == 3
    taps = weight.flatten(2)  # (inputs, outputs, kernel_size)
    stride = max(layer.stride)
    lead = stride // 2
    if taps.shape[2] != 2 * stride or stride % 2:  # of no published network
        made = functional.conv_transpose2d(x, _as_2d(weight), bias, layer.stride)
        return made[:, :, layer.padding[0] :, layer.padding[1] :]
    none = torch.zeros_like(taps[:, :, :lead])
    # of x[i - 1], x[i] and x[i + 1] for the outputs i * stride ... i * stride + stride - 1 after the lead is cut off
    before = torch.cat([taps[:, :, stride + lead :], none], 2)
    here = taps[:, :, lead : lead + stride]
    after = torch.cat([none, taps[:, :, :lead]], 2)
    kernel = torch.stack([before, here, after], 3).permute(1, 2, 0, 3).flatten(0, 1)  # (outputs * stride, inputs, 3)
    kernel = kernel[:, :, None] if over_time else kernel[..., None]
    padding = (0, 1) if over_time else (1, 0)
    made = functional.conv2d(x, kernel, bias.repeat_interleave(stride), padding=padding)
    phases = apart(made, 1, -1, stride)  # (1, outputs, stride, bins, frames)
    if over_time:
        return phases.permute(0, 1, 3, 4, 2).flatten(3)
    return phases.transpose(2, 3).flatten(2, 3)
