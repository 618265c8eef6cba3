"""A machine with a worker, for tests of several: it shares nothing with the others but the database."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.jobs.conftest import MODULES
from tests.jobs.handlers import Journal
from tests.waiting import PATIENCE_S

MACHINE = """
import sys, threading
from stemwright.database.engine import Database
from stemwright.jobs.open_queue import open_queue
from stemwright.jobs.supervisor import Supervisor
from stemwright.settings import read_settings
settings = read_settings(data=sys.argv[1], database_url=sys.argv[2], lease_s=float(sys.argv[3]))
supervisor = Supervisor(settings, open_queue(Database.open(settings)), "tests.jobs.handlers:trivial")
supervisor.start()
sys.stdin.read()
supervisor.drain()
"""


class Machine:
    """A supervisor and its worker, in a process group of their own.

    Args:
        data: its data folder.
        url: of the database.
        lease_s: see ``Settings``.
    """

    def __init__(self, data: Path, url: str, lease_s: float) -> None:
        data.mkdir()
        self.journal = Journal(data)
        self.process = subprocess.Popen(
            [sys.executable, "-c", MACHINE, str(data), url, str(lease_s)],
            env={**os.environ, "PYTHONPATH": MODULES},
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the supervisor and the worker at once."""
        os.killpg(self.process.pid, number)

    def has(self, what: str) -> list[list[str]]:
        """What its journal says; fails if it has died by itself."""
        assert self.process.poll() in (None, 0, -signal.SIGKILL)
        return self.journal.of(what)

    def stop(self) -> None:
        """Drains it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)
