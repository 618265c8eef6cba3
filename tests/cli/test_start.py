"""The command must answer before one wonders whether it hangs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("av", "matplotlib", "numpy", "onnxruntime", "scipy", "soundfile", "soxr", "torch")
HELP = "import sys; sys.argv = ['stemwright', '--help']; from stemwright.cli import main; main()"


def processor_seconds(code: str) -> float:
    """The least of several runs. Processor time, since the machine may be busy with other tests."""
    least = float("inf")
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        least = min(least, spent)
    return least


@pytest.mark.parametrize("code", [HELP, "import stemwright"])
def test_it_takes_less_than_0_3_s(code: str) -> None:
    assert processor_seconds(code) < 0.3


@pytest.mark.parametrize("code", [HELP, "import stemwright"])
def test_nothing_heavy_is_imported(code: str) -> None:
    message = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {code}"
    done = subprocess.run([sys.executable, "-c", message], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stderr.split())


def test_the_installed_command_is_there() -> None:
    command = Path(sys.executable).with_name("stemwright")
    assert subprocess.run([command, "--version"], capture_output=True, check=True).stdout.startswith(b"stemwright ")


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "stemwright", "--version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"stemwright ")
