"""The graph of a BS-RoFormer or Mel-Band RoFormer: a spectrum to a complex mask for each stem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from stemwright.models.architectures.bs_roformer import BSRoformer, PolarEmbedding
from stemwright.models.architectures.mel_band_roformer import MelBandRoformer
from stemwright.models.architectures.mel_band_roformer import PolarEmbedding as MelPolarEmbedding
from stemwright.models.onnx_contract import GraphTensor, GraphTransform, OnnxContract
from stemwright.models.onnx_graphs.operators import apart, attention, rms_norm, rotary

BLOCK_TOKENS = 16_384
"""Tokens per block of a transformer, which bounds the memory of its hidden channels."""


class RoformerGraph(nn.Module):
    """The network between the transforms.

    Args:
        network: the network, with its weights.
        chunk_samples: length of a chunk.
    """

    def __init__(self, network: BSRoformer | MelBandRoformer, chunk_samples: int) -> None:
        super().__init__()
        o = self.options = network.options
        self.chunk_samples, self.n_sources = chunk_samples, o.num_stems
        transform = GraphTransform(
            o.stft_n_fft,
            o.stft_hop_length,
            window_length=0 if o.stft_win_length == o.stft_n_fft else o.stft_win_length,
            normalised=o.stft_normalized,
            zeroed_output_bins=int(o.zero_dc),
        )
        frames, (bands, _) = transform.n_frames(chunk_samples), network.band_split.shape
        self.contract = OnnxContract(
            inputs=(GraphTensor("spectrum", "complex_spectrum", "frame (bin channel part)"),),
            outputs=(GraphTensor("masks", "complex_mask", "source frame (bin channel part)"),),
            transform=transform,
        )
        self.band_split = network.band_split
        self.mask_estimators = network.mask_estimators
        self.final_norm = network.final_norm if isinstance(network, BSRoformer) else None
        self.layers = nn.ModuleList()
        for layer in cast(Sequence[nn.ModuleList], network.layers):
            *linear, over_time, over_bands = layer.children()
            self.layers.append(
                nn.ModuleList(
                    [
                        *(_Transformer(one, frames * bands) for one in linear),
                        _Transformer(over_time, frames),
                        _Transformer(over_bands, bands),
                    ]
                )
            )
        self.bins = [list(band) for band in network.bands] if isinstance(network, MelBandRoformer) else None

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shape."""
        sizes = self.contract.sizes(chunk_samples=self.chunk_samples, n_sources=self.n_sources)
        return tuple(torch.zeros(tensor.axes.shape(sizes)) for tensor in self.contract.inputs)

    def forward(self, spectrum: Tensor) -> Tensor:
        """``(frames, bins x channels x 2)`` -> ``(stems, frames, bins x channels x 2)``."""
        width = self.options.channels * 2
        x = spectrum
        if self.bins is not None:  # bins that are in two bands occur twice
            x = apart(x, 1, -1, width).index_select(1, _indices(one for band in self.bins for one in band)).flatten(1)
        x = self._split(x)  # (bands, frames, dim)
        earlier = torch.zeros_like(x) if self.options.skip_connection else None
        for layer in cast(Sequence[nn.ModuleList], self.layers):
            *linear, over_time, over_bands = layer.children()
            for transformer in linear:
                tokens = x.transpose(0, 1)  # (frames, bands, dim), in which order does not matter
                x = transformer(tokens.reshape(1, -1, tokens.shape[2])).view(tokens.shape).transpose(0, 1)
            if earlier is not None:
                x = x + earlier
            x = over_time(x)
            x = over_bands(x.transpose(0, 1)).transpose(0, 1)
            if earlier is not None:
                earlier = earlier + x
        if self.final_norm is not None:
            x = rms_norm(x, cast(Tensor, self.final_norm.gamma))
        return torch.stack([self._mask(estimator, x) for estimator in self.mask_estimators])

    def _split(self, x: Tensor) -> Tensor:
        """``(frames, bins of all bands x channels x 2)`` -> ``(bands, frames, dim)``."""
        parts = []
        for weights, bands, columns in self.band_split.parts(at_once=x.shape[1]):
            one = apart(x[:, columns], 1, bands.stop - bands.start, -1).transpose(0, 1)  # (bands, frames, width)
            one = rms_norm(one, torch.ones(one.shape[2])) * weights["0_gamma"].unsqueeze(1)
            parts.append(one @ weights["1_weight"].mT + weights["1_bias"].unsqueeze(1))
        return torch.cat(parts)

    def _mask(self, estimator: Any, x: Tensor) -> Tensor:
        """``(bands, frames, dim)`` -> ``(frames, bins x channels x 2)``."""
        parts = []
        for weights, bands, _ in estimator.parts(x.shape[0]):
            y = x[bands]
            for layer in range(len(weights) // 2):
                y = y.tanh() if layer else y
                y = y @ weights[f"0_{2 * layer}_weight"].mT + weights[f"0_{2 * layer}_bias"].unsqueeze(1)
            parts.append(functional.glu(y).transpose(0, 1).flatten(1))  # (frames, bands x width)
        mask = torch.cat(parts, 1)
        return mask if self.bins is None else self._average(mask)

    def _average(self, masks: Tensor) -> Tensor:
        """Averages overlapping bands: ``(frames, bins of all bands x channels x 2)``, to the bins of the spectrum."""
        assert self.bins is not None
        places: dict[int, list[int]] = {}
        for place, index in enumerate(index for band in self.bins for index in band):
            places.setdefault(index, []).append(place)
        ordered = [places[index] for index in sorted(places)]
        masks = apart(masks, 1, -1, self.options.channels * 2)
        total = masks.index_select(1, _indices(of_bin[0] for of_bin in ordered))
        for turn in range(1, max(map(len, ordered))):
            of_turn = _indices(of_bin[turn] if turn < len(of_bin) else of_bin[0] for of_bin in ordered)
            there = torch.tensor([float(turn < len(of_bin)) for of_bin in ordered])
            total = total + masks.index_select(1, of_turn) * there[:, None]
        sharing = torch.tensor([1.0 / len(of_bin) for of_bin in ordered])
        return (total * sharing[:, None]).flatten(1)


def _indices(values: Iterable[int]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.int64)


class _Transformer(nn.Module):
    """Blocks of attention and feed-forward along sequences of one length."""

    def __init__(self, transformer: Any, length: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList()
        self.feed_forwards = nn.ModuleList()
        for layer in transformer.layers:
            mixing, feed_forward = layer.children()
            self.attentions.append(_Attention(mixing) if hasattr(mixing, "to_gates") else _Linear(mixing))
            self.feed_forwards.append(feed_forward)
        self.norm = getattr(transformer, "norm", None)
        self.at_once = max(1, BLOCK_TOKENS // length)

    def forward(self, x: Tensor) -> Tensor:
        """``(sequences, length, dim)`` -> the same shape."""
        return torch.cat([self._block(block) for block in torch.split(x, self.at_once)])

    def _block(self, x: Tensor) -> Tensor:
        for mixing, feed_forward in zip(self.attentions, self.feed_forwards, strict=True):
            x = x + mixing(x)
            norm, wide, activation, _, narrow = cast(Any, feed_forward).net
            x = x + narrow(activation(wide(rms_norm(x, norm.gamma))))
        return x if self.norm is None else rms_norm(x, cast(Tensor, self.norm.gamma))


class _Attention(nn.Module):
    """Self-attention with rotary or polar positions and a gate for each head."""

    def __init__(self, mixing: Any) -> None:
        super().__init__()
        self.heads, self.dim_head = mixing.heads, mixing.dim_head
        self.norm, self.to_qkv, self.to_gates, self.to_out = mixing.norm, mixing.to_qkv, mixing.to_gates, mixing.to_out
        self.embedding = mixing.rotary_embed or mixing.pope_embed

    def forward(self, x: Tensor) -> Tensor:
        """``(sequences, length, dim)`` -> the same shape."""
        x = rms_norm(x, self.norm.gamma)
        q, k, v = self.to_qkv(x).chunk(3, 2)  # each (sequences, length, heads * dim_head)
        positions = torch.arange(x.shape[1], dtype=torch.float32)[:, None]
        if isinstance(self.embedding, PolarEmbedding | MelPolarEmbedding):
            angles = (positions * self.embedding.get_buffer("inv_freqs").float())[:, None]  # (length, 1, dim_head)
            lag = self.embedding.bias.float().clamp_min(-2 * torch.pi).clamp_max(0.0)  # (heads, dim_head)
            q, k = self._turned(q, angles), self._turned(k, angles + lag)
        else:
            angles = positions * self.embedding.freqs.float()  # (length, dim_head / 2)
            q, k = (rotary(one, angles.cos(), angles.sin(), self.heads) for one in (q, k))
        out = apart(attention(q, k, v, self.heads, self.dim_head**-0.5), 2, self.heads, -1)
        gates: Tensor = self.to_gates(x).sigmoid().unsqueeze(-1)
        mixed: Tensor = self.to_out((out * gates).flatten(2))
        return mixed

    def _turned(self, x: Tensor, angles: Tensor) -> Tensor:
        """Magnitudes ``(sequences, length, heads * dim_head)`` -> real and imaginary parts, head by head."""
        magnitudes = apart(functional.softplus(x), 2, self.heads, -1)
        return torch.cat([magnitudes * angles.cos(), magnitudes * angles.sin()], 3).flatten(2)


class _Linear(nn.Module):
    """Attention between the channels of a head."""

    def __init__(self, mixing: Any) -> None:
        super().__init__()
        self.heads = mixing.heads
        self.norm, self.to_qkv, self.to_out = mixing.norm, mixing.to_qkv, mixing.to_out
        self.temperature = mixing.temperature

    def forward(self, x: Tensor) -> Tensor:
        """``(sequences, length, dim)`` -> the same shape."""
        qkv = apart(self.to_qkv(rms_norm(x, self.norm.gamma)), 2, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 4, 1)  # each (sequences, heads, dim_head, length)
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        likeness = (q @ k.mT) * (8 * self.temperature.exp())  # (sequences, heads, dim_head, dim_head)
        mixed: Tensor = self.to_out((likeness.softmax(-1) @ v).permute(0, 3, 1, 2).flatten(2))
        return mixed
