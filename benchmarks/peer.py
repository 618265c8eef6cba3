"""Times a peer's network in the environment of its package; reads options, then one request per line.

    python -P peer.py demucs_infer.htdemucs:HTDemucs

The first line on standard input is JSON with ``options`` (of the registry), ``samples`` and ``threads``; each further
line requests one chunk, and the response is its time in seconds. Random weights are as fast as trained ones.
"""

import importlib
import json
import sys
import time

import torch

module, class_name = sys.argv[1].split(":")
facts = json.loads(sys.stdin.readline())
torch.set_num_threads(facts["threads"])
options = {name: tuple(value) if isinstance(value, list) else value for name, value in facts["options"].items()}
network = getattr(importlib.import_module(module), class_name)(**options).eval()
song = torch.rand(1, 2, facts["samples"]) - 0.5
with torch.inference_mode():
    network(song)
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        network(song)
        print(time.perf_counter() - began, flush=True)
