"""``python -m tests.drills.machines``: see ``make drill`` in docs/operations.md."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import pytest

from tests.drills.machines.drill import DrillOptions, drill
from tests.drills.machines.network import Loopback, Namespaces, begin_alone, may_be_alone

MODULE = "tests.drills.machines"
INTERRUPTED = 130
LEFT_OUT = 77
"""Exit status where a part of the installation is not there, as test harnesses have it."""


def main(arguments: list[str]) -> int:
    """Runs the drill; returns 0 where nothing was lost."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--seconds", type=float, default=120.0, help="how long accidents happen")
    parser.add_argument(
        "--kill-every",
        type=float,
        default=1.0,
        metavar="S",
        help="more on a machine that takes long to start processes",
    )
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keeps the logs of all processes there")
    parser.add_argument("--loopback", action="store_true", help="makes no network namespaces")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if not (given.alone or given.loopback) and may_be_alone():
        begin_alone(MODULE, [*arguments, "--seed", str(given.seed), "--alone"])
    options = DrillOptions(given.seed, given.seconds, given.kill_every, given.tasks, given.logs)
    try:
        return 0 if drill(options, Namespaces() if given.alone else Loopback()) else 1
    except pytest.skip.Exception as reason:
        print(reason, file=sys.stderr)
        return LEFT_OUT
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
