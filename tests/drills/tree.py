"""``stemwright serve`` as an operator runs it: a server, its workers, and a data folder that outlives them all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from sys import executable
from typing import Any

import httpx
import psutil

from stemwright.service.service import Service
from stemwright.settings import read_settings

CREDITS = 100_000_00
PATIENCE_S = 90.0
"""Machines are slow at times; a drill that goes well waits for nothing."""


def wait_until(fact: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Waits until something is true; fails, saying what did not happen, where it never is."""
    deadline = time.monotonic() + patience_s
    while not fact():
        assert time.monotonic() < deadline, f"{what}: not within {patience_s:g} s"
        time.sleep(0.01)


class Tree:
    """A server with its workers, which may be killed and started again on the same data folder.

    Args:
        data: its folder, with a metered account ``alice`` of ``CREDITS``.
        before: a command that runs the server's command, as ``nsenter`` does.
        settings: as in ``STEMWRIGHT_*``.
    """

    def __init__(self, data: Path, *, before: Sequence[str] = (), **settings: str) -> None:
        self.data = data
        self.log = data.with_name(f"{data.name}.log")
        self._before = before
        self._settings = {
            "callback_retry_s": ",".join(["0.3"] * 20),
            "rate_limit": "0",
            "prices": '{"v1": 3}',
        } | settings
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.key = ""

    def open(self) -> Service:
        """The domain on the folder, in this process: for what only an operator sees. Close it."""
        return Service.open(read_settings(data=self.data))

    def settle(self) -> None:
        """Makes the account."""
        service = self.open()
        self.key = service.keys.create("alice", credits_hundredths=CREDITS).key
        service.close()

    def start(self, *, ready: bool = True) -> None:
        """Starts the server; waits until a worker is ready, or only until it answers."""
        serve = [str(Path(executable).with_name("stemwright")), "serve", "--port", "0", "--data", str(self.data)]
        mine = {f"STEMWRIGHT_{name.upper()}": value for name, value in self._settings.items()}
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*self._before, *serve], stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | mine
            )
        assert self._process.stdout is not None
        said = re.search(r"http://\S+", self._process.stdout.readline())
        assert said, self.log.read_text()
        self.url = said[0]
        with httpx.Client() as client:
            wait_until(lambda: _answers(client, f"{self.url}/{'readyz' if ready else 'livez'}"), "the server is ready")

    def client(self, **options: Any) -> httpx.Client:
        """Speaks to the server with the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, **options)

    @property
    def server(self) -> psutil.Process:
        """The process of the server itself."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def workers(self) -> list[psutil.Process]:
        """The processes of its workers."""
        return self.server.children()

    def kill_worker(self) -> None:
        """kill -9 of every worker."""
        for worker in self.workers():
            worker.kill()

    def kill_server(self) -> None:
        """kill -9 of the server; its workers see that it is gone, and go."""
        workers = self.workers()
        self.server.kill()
        self._gone(workers)

    def kill_all(self) -> None:
        """kill -9 of the server and its workers, at one moment: none can see another's end."""
        workers = self.workers()
        for process in (everyone := [self.server, *workers]):
            process.suspend()
        for process in everyone:
            process.kill()
        self._gone(workers)

    def terminate(self) -> None:
        """SIGTERM to the server, without waiting."""
        self.server.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Waits for the end of the server and of its workers; gives its exit status."""
        assert self._process is not None and self._process.stdout is not None
        status = self._process.wait(PATIENCE_S)
        self._process.stdout.close()
        self._process = None
        return status

    def stop(self) -> None:
        """Ends it, if it runs."""
        if self._process is not None:
            if self._process.poll() is None:
                self.terminate()
            self.wait()

    def _gone(self, workers: list[psutil.Process]) -> None:
        self.wait()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive, "a worker outlived its server"


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.TransportError:
        return False
