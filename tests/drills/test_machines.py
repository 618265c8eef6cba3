"""Many machines, and nothing lost: the short form of ``make drill``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.drills.machines.__main__ import INTERRUPTED, LEFT_OUT, MODULE
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", MODULE)


@pytest.mark.long
def test_nothing_is_lost() -> None:
    command = [*COMMAND, "--seed", "25", "--seconds", "30", "--tasks", "50"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    if done.returncode == LEFT_OUT:
        pytest.skip(done.stderr)
    assert done.returncode == 0
    assert "kill -9: " in done.stdout
    assert done.stdout.splitlines()[-1] == "lost: nothing"


@pytest.mark.long
@pytest.mark.parametrize("options", [(), ("--loopback",)], ids=["namespaces", "loopback"])
def test_nothing_is_left_after_ctrl_c(options: tuple[str, ...]) -> None:
    command = [*COMMAND, "--seed", "25", "--tasks", "5", *options]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_take_ctrl_c,
    ) as process:
        assert process.stdout is not None
        try:
            assert any("kill -9: " in line for line in process.stdout), "customers are ordering"
            started = psutil.Process(process.pid).children(recursive=True)
            assert len(started) >= 5
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            assert process.wait(PATIENCE_S) == INTERRUPTED
        finally:
            process.kill()  # does nothing to one that has ended
    _, alive = psutil.wait_procs(started, timeout=PATIENCE_S)
    assert not alive


def _take_ctrl_c() -> None:
    """A shell makes its background jobs ignore it, and what they start: the tests may be one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
