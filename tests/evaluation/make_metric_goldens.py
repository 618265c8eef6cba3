"""Writes ``metric_goldens.json``: what the published packages measure on the signals of ``metric_signals``.

    pip install museval==0.4.1 torch-log-wmse==1.1.0 torchmetrics==1.9.0 librosa==0.11.0 torch torchaudio
    python -m tests.evaluation.make_metric_goldens MSST/utils/metrics.py

MSST is Music-Source-Separation-Training at commit ccc011abf7f89dd7922bb2888d48493b575c0289. The packages are not among
this project's: run it in an environment of their own, from the root of the repository.
"""

import importlib.util
import json
import sys
import warnings
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tests.evaluation.metric_signals import RATE_HZ, Case, cases, silent_reference

GOLDENS = Path(__file__).with_name("metric_goldens.json")
PACKAGES = ("museval", "torch-log-wmse", "torchmetrics", "librosa", "torch", "torchaudio", "numpy", "scipy")


def main() -> None:
    msst = load(Path(sys.argv[1]))
    goldens: dict[str, Any] = {"versions": {name: version(name) for name in PACKAGES}}
    for name, case in cases().items():
        print(name, file=sys.stderr)
        (frames,) = museval_frames([case])
        bleedless, fullness = msst.bleed_full(case.reference, case.estimate)
        goldens[name] = {
            "csdr_frames": frames,
            "sdr": float(msst.sdr(case.reference[None], case.estimate[None])[0]),
            "si_sdr": si_sdr(case),
            "bleedless": float(bleedless),
            "fullness": float(fullness),
            "l1_freq": msst.L1Freq_metric(case.reference, case.estimate),
            "log_wmse": log_wmse(case),
        }
    goldens["silent reference"] = {"log_wmse": log_wmse(silent_reference())}
    together = cases()
    goldens["together"] = museval_frames([together["noisy"], together["silent second"]])
    GOLDENS.write_text(json.dumps(goldens, indent=1) + "\n")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def museval_frames(stems: list[Case]) -> list[list[float | None]]:
    """SDR of every second of each stem, scored together; None for NaN."""
    package = importlib.util.find_spec("museval")
    assert package is not None and package.submodule_search_locations
    # the package itself cannot be imported without ffmpeg, which its metrics do not need
    museval = load(Path(package.submodule_search_locations[0]) / "metrics.py")
    length = min(case.reference.shape[-1] for case in stems)
    references = np.stack([case.reference[:, :length].T for case in stems])
    estimates = np.stack([case.estimate[:, :length].T for case in stems])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sdr, *_ = museval.bss_eval(references, estimates, window=RATE_HZ, hop=RATE_HZ)
    return [[None if np.isnan(frame) else float(frame) for frame in stem] for stem in sdr]


def si_sdr(case: Case) -> float:
    """All channels as one signal."""
    import torch

    torchmetrics = import_module("torchmetrics.functional.audio")
    estimate, reference = (torch.from_numpy(signal.ravel()).double() for signal in (case.estimate, case.reference))
    return float(torchmetrics.scale_invariant_signal_distortion_ratio(estimate, reference))


def log_wmse(case: Case) -> float:
    import torch

    package = import_module("torch_log_wmse")
    mix = torch.from_numpy(case.mix)[None]  # (batch, channels, samples)
    estimate, reference = (torch.from_numpy(signal)[None, :, None] for signal in (case.estimate, case.reference))
    return float(package.LogWMSE(sample_rate=RATE_HZ)(mix, estimate, reference))


if __name__ == "__main__":
    main()
