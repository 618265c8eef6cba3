"""The graph of an MDX23C: a spectrum to a spectrum for each stem."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stemwright.models.architectures.mdx23c import MDX23C
from stemwright.models.onnx_contract import GraphTensor, GraphTransform, OnnxContract
from stemwright.models.onnx_graphs.operators import apart, with_shared_weights


class MDX23CGraph(nn.Module):
    """The network between the transforms.

    Args:
        network: the network, with its weights.
        chunk_samples: length of a chunk.
    """

    def __init__(self, network: MDX23C, chunk_samples: int) -> None:
        super().__init__()
        o = network.options
        self.network = with_shared_weights(network)
        _use_instance_norms(self.network)
        self.chunk_samples, self.n_sources = chunk_samples, o.num_stems
        layout = "1 ({}channel part) frame bin"
        self.contract = OnnxContract(
            inputs=(GraphTensor("spectrum", "complex_spectrum", layout.format("")),),
            outputs=(GraphTensor("spectra", "complex_spectrum", layout.format("source ")),),
            transform=GraphTransform(o.n_fft, o.hop_length, bins=o.dim_f),
            tail_samples=network.padded(chunk_samples) - chunk_samples,
            normalisation="mean_std" if o.normalize else "none",
        )

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of the right shape."""
        sizes = self.contract.sizes(chunk_samples=self.chunk_samples, n_sources=self.n_sources)
        return tuple(torch.zeros(tensor.axes.shape(sizes)) for tensor in self.contract.inputs)

    def forward(self, spectrum: Tensor) -> Tensor:
        """``(1, channels * 2, frames, bins)`` -> ``(1, stems * channels * 2, frames, bins)``."""
        subbands = self.network.options.num_subbands
        parts = apart(spectrum, 3, subbands, -1).permute(0, 1, 3, 2, 4)  # (1, channels * 2, subbands, frames, bins)
        spectra = apart(self.network.estimate(parts.flatten(1, 2)), 1, -1, subbands)
        return spectra.permute(0, 1, 3, 2, 4).flatten(3)


def _use_instance_norms(network: nn.Module) -> None:
    """Replaces norms that are written for PyTorch's layout of memory by the standard layer, which is one operator."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.InstanceNorm2d):
                norm = nn.InstanceNorm2d(child.num_features, eps=child.eps, affine=True)
                norm.weight, norm.bias = child.weight, child.bias
                setattr(module, name, norm)
