"""The walk-through of docs/operations.md, run as it stands there: PostgreSQL, a store, API servers, a proxy and workers.

It has the ports of a machine to itself: it runs in a network of its own, in which nothing but loopback is there. All of its
processes end with it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import unprivileged_user
from tests.seaweedfs import weed
from tests.test_readme import commands

ROOT = Path(__file__).parents[1]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()

LIMIT_S = 600
ALONE = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def as_user() -> tuple[str, ...]:
    """Who runs it if we are root: PostgreSQL refuses to. This user reads the same files, wherever Python is installed."""
    user = unprivileged_user()
    if user is None:
        return ()
    reads = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    return ("setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups", *reads)


@pytest.fixture
def clone() -> Iterator[Path]:
    """What the lines use of a clone of the repository. Not in pytest's folder, which only its owner may enter."""
    for program in ("unshare", "setpriv", "ip", "curl", "pgrep", "nginx"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{program} is not installed")
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    weed()
    if subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a network of their own")
    with tempfile.TemporaryDirectory(prefix="walk-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for part in ("examples", "deploy"):
            shutil.copytree(ROOT / part, folder / part)
        user = unprivileged_user()
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        yield folder


def lines_of(folder: Path, pattern: str) -> list[dict[str, object]]:
    """What logs say of tasks."""
    lines = [line for log in sorted(folder.glob(pattern)) for line in log.read_text().splitlines()]
    return [entry for line in lines if line.startswith("{") and "task" in (entry := json.loads(line))]


@pytest.mark.long
def test_the_lines_of_the_walk_through_work_when_pasted(clone: Path) -> None:
    script = commands(OPERATIONS, "Walk-through on one machine")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("STEMWRIGHT_", "AWS_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    alone = ["bash", "-c", 'PATH="$PATH:/usr/sbin:/sbin" ip link set lo up && exec "$@"', "alone", *as_user()]
    done = subprocess.run(
        [*ALONE, *alone, "bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=clone,
        env=bare | {"PATH": path, "HOME": str(clone), "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    folder = clone / "walk-through"
    print(done.stdout, done.stderr, *(log.read_text()[-4000:] for log in sorted(folder.glob("*.log"))), sep="\n")
    assert done.returncode == 0
    assert sorted(path.stem for path in (folder / "calm").iterdir()) == ["instrumental", "vocals"]
    assert "the same bytes" in done.stdout

    accepted = [line["task"] for line in lines_of(folder, "api-*.log") if line["event"] == "task accepted"]
    worked = lines_of(folder, "worker-*.log")
    assert len(accepted) == 2
    for task, attempts in zip(sorted(accepted, key=lambda task: _began(worked, task)), (1, 2), strict=True):
        of_task = sorted((line for line in worked if line["task"] == task), key=lambda line: str(line["timestamp"]))
        began = [line for line in of_task if line["event"] == "task begun"]
        ended = [line for line in of_task if line["event"] == "task succeeded"]
        assert len({line["role"] for line in began}) == len(began) == attempts  # the second was begun by two workers
        assert len(ended) == 1 and ended[0]["role"] == began[-1]["role"]


def _began(lines: list[dict[str, object]], task: object) -> str:
    return min(str(line["timestamp"]) for line in lines if line["task"] == task)
