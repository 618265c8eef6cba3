"""Times our network of a registered model with random weights; reads name and precision, then one request per line.

The same protocol as the peers' script (``benchmarks/peer.py``). After ``ready`` come the error of this precision against
float32, in dB under the output, and the memory of the process.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from stemwright.models import networks, registry
from stemwright.separation.resources import peak_rss_mb


def random_network(model: registry.Model) -> nn.Module:
    """A network of published size with small random weights, similar to trained ones."""
    network = networks.build(model.architecture, model.options).to_empty(device="cpu")
    state = {}
    torch.manual_seed(0)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            spread = 0.5 / max(1, value[0].numel()) ** 0.5 if value.dim() > 1 else 0.1
            centre = 1.0 if value.dim() == 1 and name.endswith(("gamma", "weight")) else 0.0
            state[name] = centre + spread * torch.randn(value.shape)
        else:
            state[name] = torch.zeros_like(value)
    network.load_state_dict(state, assign=True)
    return network.eval()


def main() -> None:
    """Handles requests line by line."""
    facts = json.loads(sys.stdin.readline())
    clock = time.process_time if facts.get("processor_time") else time.perf_counter
    torch.set_num_threads(facts["threads"])
    device = torch.device(facts.get("device", "cpu"))
    model = registry.find(facts["model"])
    network = random_network(model).to(device)
    song = (torch.rand(facts.get("batch", 1), 2, model.chunk_samples) - 0.5).to(device)

    def precision() -> AbstractContextManager[object]:
        half = facts["precision"] != "float32"
        return torch.autocast(device.type, getattr(torch, facts["precision"])) if half else nullcontext()

    def run() -> Tensor:
        with precision():
            outputs: Tensor = network(song)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return outputs

    with torch.inference_mode():
        found = run().double()
        error_db = None
        if facts["precision"] != "float32":
            full = network(song).double()
            error_db = float(10 * torch.log10((found - full).square().sum() / full.square().sum()))
        print(json.dumps({"error_db": error_db, "peak_rss_mb": peak_rss_mb()}), flush=True)
        for _ in sys.stdin:
            began = clock()
            run()
            print(clock() - began, flush=True)


if __name__ == "__main__":
    main()
