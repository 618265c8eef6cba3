"""A server of a process of its own, as ``stemwright serve`` starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import httpx
import psutil

from tests.waiting import PATIENCE_S

COMMAND = (sys.executable, "-W", "error", "-m", "stemwright", "serve")


def workers_of(server: psutil.Process) -> list[psutil.Process]:
    """The worker processes of a server; the process that reads the headers of uploads is none."""
    return [process for process in server.children() if "worker_main" in command_of(process)]


def command_of(process: psutil.Process) -> str:
    """What a process runs; empty where it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


class Serving:
    """The process; a context manager that ends it gently.

    Args:
        data: its data folder; the log of the process lies beside it.
        arguments: more of the command line.
        settings: variables of its environment, without ``STEMWRIGHT_``.

    Attributes:
        url: where it listens.
        key: the key that it printed, if it made one.
    """

    def __init__(self, data: Path, *arguments: str, **settings: str) -> None:
        self.data = data
        self._errors = data.with_name(f"{data.name}.log")
        environment = os.environ | {f"STEMWRIGHT_{name.upper()}": value for name, value in settings.items()}
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*COMMAND, "--port", "0", "--data", str(data), *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.url = self._told(r"Stemwright listens on (\S+) ")
        self.key: str | None = None

    def read_key(self) -> str:
        """The key of a first start."""
        self.key = self._told(r"Your API key, shown this once: (sw_\w{40})$")
        return self.key

    def client(self, key: str | None = None) -> httpx.Client:
        """A client with the first key, or another."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key or self.key}"},
            timeout=PATIENCE_S,
            trust_env=False,
        )

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Ends it as a service manager does, or Ctrl-C, and gives its exit status."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE_S)

    @property
    def log(self) -> str:
        """What it wrote on standard error."""
        return self._errors.read_text()

    @property
    def output(self) -> IO[str]:
        """Its standard output, from where it was last read."""
        assert self.process.stdout is not None
        return self.process.stdout

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            try:
                self.stop()
            finally:
                self.process.kill()
                self.process.wait()
        self.output.close()

    def _told(self, pattern: str) -> str:
        line = self.output.readline()
        found = re.match(pattern, line)
        assert found is not None, f"it said {line!r}, and {self.log}"
        return found[1]
