"""What networks answer: ours, and a peer's in an environment of its own."""

from __future__ import annotations

import math
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[3]


def separated(network: nn.Module, audio: Tensor) -> Tensor:
    """Give the stems of a mix, ``(batch, stems, channels, samples)``."""
    with torch.inference_mode():
        stems: Tensor = network(audio)
    return stems


def snr_db(exact: Tensor, other: Tensor) -> float:
    """Give how far the difference of two answers lies under the first."""
    return 10 * math.log10(float(exact.square().sum() / (other - exact).square().sum()))


def peers_answer(variable: str, script: str, case: str, folder: Path) -> Tensor:
    """Give what a golden script makes of one case in the interpreter that a variable names; skip where none is named."""
    if variable not in os.environ:
        pytest.skip(f"set {variable} to an interpreter that {script}.py can run in")
    path = folder / f"{case}.npz"
    module = f"tests.models.architectures.{script}"
    subprocess.run([os.environ[variable], "-W", "ignore", "-m", module, case, str(path)], cwd=ROOT, check=True)
    return torch.from_numpy(np.load(path)["output"])
