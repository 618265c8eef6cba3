"""``stemwright serve`` as an operator runs it: a server, its workers, and a data folder that outlives them all."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from sys import executable

import httpx
import psutil

from stemwright.service.service import Service
from stemwright.settings import read_settings
from tests.drills.disk import Disk
from tests.serving import workers_of
from tests.waiting import PATIENCE_S, wait_until

CREDITS = 100_000_00


class Tree:
    """A server with its workers, which may be killed and started again on the same data folder.

    Args:
        folder: takes the log, and the data unless that lies on a disk of its own.
        disk: that disk.
        settings: as in ``STEMWRIGHT_*``.
    """

    def __init__(self, folder: Path, *, disk: Disk | None = None, **settings: str) -> None:
        self.data = folder / "data"
        self._disk = disk
        self.log = folder / "server.log"
        self._settings = {
            "callback_retry_s": ",".join(["0.3"] * 20),
            "callback_timeout_s": "240",
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
        """Makes a metered account ``alice`` of ``CREDITS``, and takes the folder to its disk."""
        service = self.open()
        self.key = service.keys.create("alice", credits_hundredths=CREDITS).key
        service.close()
        if self._disk is not None:
            self.data = Path(shutil.move(self.data, self._disk.seen / "data"))

    def bring_home(self, folder: Path) -> None:
        """Stops the server, and copies its data from its disk, for SQLite opens no file where this process sees it."""
        self.stop()
        self.data = shutil.copytree(self.data, folder)

    def start(self, *, ready: bool = True) -> None:
        """Starts the server; waits until a worker is ready, or only until it answers."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment()
            )
        assert self._process.stdout is not None
        said = re.search(r"http://\S+", self._process.stdout.readline())
        assert said, self.log.read_text()
        self.url = said[0]
        with httpx.Client() as client:
            wait_until(lambda: _answers(client, f"{self.url}/{'readyz' if ready else 'livez'}"), "the server is ready")

    def fail_to_start(self) -> tuple[int, str]:
        """Starts a server that cannot work; gives its exit status and what it says."""
        done = subprocess.run(
            self._command(), capture_output=True, text=True, env=self._environment(), timeout=PATIENCE_S, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def client(self) -> httpx.Client:
        """Speaks to the server with the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_S)

    @property
    def server(self) -> psutil.Process:
        """The process of the server itself."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def workers(self) -> list[psutil.Process]:
        """The processes of its workers."""
        return workers_of(self.server)

    def kill_worker(self) -> None:
        """kill -9 of every worker."""
        _signal(self.workers(), signal.SIGKILL)

    def kill_worker_when(self, fact: Callable[[], object], what: str) -> None:
        """kill -9 of every worker while something is true, however briefly: they stand still while it is asked."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            workers = self.workers()
            _signal(workers, signal.SIGSTOP)
            if fact():
                _signal(workers, signal.SIGKILL)
                return
            _signal(workers, signal.SIGCONT)
            assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:g} s"
            time.sleep(0.002)

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

    def _command(self) -> list[str]:
        within, data = (self._disk.within, self._disk.folder / "data") if self._disk else ((), self.data)
        return [*within, str(Path(executable).with_name("stemwright")), "serve", "--port", "0", "--data", str(data)]

    def _environment(self) -> dict[str, str]:
        return os.environ | {f"STEMWRIGHT_{name.upper()}": value for name, value in self._settings.items()}

    def _gone(self, workers: list[psutil.Process]) -> None:
        self.wait()
        _, alive = psutil.wait_procs(workers, timeout=PATIENCE_S)
        assert not alive, "a worker outlived its server"


def _signal(workers: list[psutil.Process], number: signal.Signals) -> None:
    for worker in workers:
        with suppress(psutil.NoSuchProcess):  # it was killed just now, and its server has not noticed
            worker.send_signal(number)


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.TransportError:
        return False
