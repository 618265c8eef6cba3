"""The graph of an SCNet: a spectrum to a spectrum or a mask for each stem."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from stemwright.models.architectures.scnet import SCNet
from stemwright.models.onnx_contract import GraphTensor, GraphTransform, OnnxContract
from stemwright.models.onnx_graphs.operators import lstm, with_shared_weights


class SCNetGraph(nn.Module):
    """The network between the transforms.

    Args:
        network: the network, with its weights.
        chunk_samples: length of a chunk.
    """

    def __init__(self, network: SCNet, chunk_samples: int) -> None:
        super().__init__()
        o = network.options
        self.network = with_shared_weights(network)
        self.chunk_samples, self.n_sources = chunk_samples, len(o.sources)
        tail_samples = network.padding(chunk_samples)
        self.contract = OnnxContract(
            inputs=(GraphTensor("spectrum", "complex_spectrum", "1 bin frame (channel part)"),),
            outputs=(
                GraphTensor(
                    "masks" if o.masked else "spectra",
                    "complex_mask" if o.masked else "complex_spectrum",
                    "1 bin frame (source channel part)",
                ),
            ),
            transform=GraphTransform(
                o.nfft,
                o.hop_size,
                window="hann" if o.masked else "rectangular",
                window_length=0 if o.win_size == o.nfft else o.win_size,
                normalised=o.normalized,
            ),
            tail_samples=tail_samples,
        )
        frames = (chunk_samples + tail_samples) // o.hop_size + 1
        self.network.separation_net = _Separation(self.network.separation_net, frames)  # type: ignore[assignment]

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shape."""
        sizes = self.contract.sizes(chunk_samples=self.chunk_samples, n_sources=self.n_sources)
        return tuple(torch.zeros(tensor.axes.shape(sizes)) for tensor in self.contract.inputs)

    def forward(self, spectrum: Tensor) -> Tensor:
        """``(1, bins, frames, channels * 2)`` -> ``(1, bins, frames, stems * channels * 2)``."""
        return self.network.estimate(spectrum)


class _Separation(nn.Module):
    """Dual-path layers, with the Fourier transforms along the frames as matrix products."""

    def __init__(self, separation: nn.Module, frames: int) -> None:
        super().__init__()
        self.register_buffer("fourier", _fourier(frames))
        self.register_buffer("inverse_fourier", _inverse_fourier(frames))
        self.dual_paths = nn.ModuleList(
            _DualPath(one) for one in cast(Iterable[nn.Module], cast(nn.ModuleList, separation.dp_modules))
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, bins, frames, channels)`` to the same shape."""
        fourier, inverse = self.get_buffer("fourier"), self.get_buffer("inverse_fourier")
        for layer, dual_path in enumerate(self.dual_paths):
            x = dual_path(x)
            x = inverse @ _halves_stacked(x) if layer % 2 else _halves_beside(fourier @ x)
        return x


def _fourier(frames: int) -> Tensor:
    """Real parts above imaginary parts of the orthonormal transform: ``(2 * (frames // 2 + 1), frames)``."""
    identity = torch.eye(frames, dtype=torch.float64)
    spectrum = torch.fft.rfft(identity, dim=0, norm="ortho")
    return torch.cat([spectrum.real, spectrum.imag]).float()


def _inverse_fourier(frames: int) -> Tensor:
    """Its inverse, ``(frames, 2 * (frames // 2 + 1))``."""
    bins = frames // 2 + 1
    identity = torch.eye(bins, dtype=torch.float64)
    columns = [torch.fft.irfft(unit * identity, n=frames, dim=0, norm="ortho") for unit in (1.0, 1j)]
    return torch.cat(columns, 1).float()


def _halves_beside(x: Tensor) -> Tensor:
    """``(batch, bins, 2 * frames, channels)`` -> ``(batch, bins, frames, 2 * channels)``."""
    return torch.cat(x.chunk(2, 2), 3)


def _halves_stacked(x: Tensor) -> Tensor:
    """The inverse of ``_halves_beside``."""
    return torch.cat(x.chunk(2, 3), 2)


class _DualPath(nn.Module):
    """A bidirectional LSTM over the bins of each frame, then one over the frames of each bin, both residual."""

    def __init__(self, dual_path: nn.Module) -> None:
        super().__init__()
        self.lstm_layers = dual_path.lstm_layers
        self.linear_layers = dual_path.linear_layers
        self.norm_layers = dual_path.norm_layers

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, bins, frames, channels)`` to the same shape; the batch has one item."""
        layers = zip(
            *(cast(nn.ModuleList, part) for part in (self.norm_layers, self.lstm_layers, self.linear_layers)),
            strict=True,
        )
        for index, (norm, recurrent, linear) in enumerate(layers):
            steps = norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)[0]  # (bins, frames, channels)
            steps = steps if index == 0 else steps.transpose(0, 1)
            made = linear(lstm(cast(nn.LSTM, recurrent), steps))
            x = x + (made if index == 0 else made.transpose(0, 1))
        return x
