"""The graph of an HTDemucs: a chunk and its spectrum to waveforms and spectra, which are added."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stemwright.models.architectures.htdemucs import HTDemucs
from stemwright.models.onnx_contract import GraphTensor, GraphTransform, OnnxContract
from stemwright.models.onnx_graphs.operators import FusedAttention


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
        with FusedAttention():
            spectra, waveforms = self.network.estimate(spectrum, mix)
        return waveforms, spectra
