"""The peer's HTDemucs, in an environment that holds demucs-infer: reads options, then times as often as it is asked.

See ``bs_roformer_infer.py`` for what goes through standard input and output.
"""

import json
import sys
import time

import torch
from demucs_infer.htdemucs import HTDemucs  # type: ignore[import-not-found,import-untyped,unused-ignore]

facts = json.loads(sys.stdin.readline())
torch.set_num_threads(facts["threads"])
options = {name: tuple(value) if isinstance(value, list) else value for name, value in facts["options"].items()}
network = HTDemucs(**options).eval()
song = torch.rand(1, 2, facts["samples"]) - 0.5
with torch.inference_mode():
    network(song)
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        network(song)
        print(time.perf_counter() - began, flush=True)
