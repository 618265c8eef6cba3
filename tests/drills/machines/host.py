"""A machine of the drill: one API server or worker, which is started again whenever it dies, as systemd would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import psutil

from tests.drills.machines.network import Network, free_port
from tests.serving import workers_of
from tests.waiting import PATIENCE_S

Role = Literal["api", "worker"]
Victim = Literal["server", "supervisor", "computing process", "machine"]

RESTART_S = 2.0
"""``RestartSec`` of deploy/systemd."""


class Host:
    """A machine and its processes, which are a process group.

    Args:
        name: such as ``worker-1``.
        role: what runs there.
        network: where it gets an address.
        folder: takes its data folder and its log.
        environment: of its processes.

    Attributes:
        is_spared: it is killed by no accident for now.
        clock: more variables of its environment, from its next start on (``clock.WrongClock``).
    """

    def __init__(self, name: str, role: Role, network: Network, folder: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.role: Role = role
        self.address = network.add(name)
        self.data = folder / name
        self.log = folder / f"{name}.log"
        self.is_spared = False
        self.clock: dict[str, str] = {}
        self._network = network
        self._environment = environment
        self._port = free_port(self.address if self.address == network.own_address else "127.0.0.1")
        self._process: subprocess.Popen[bytes] | None = None
        self._starts_at = 0.0

    @property
    def url(self) -> str:
        """Where an API server listens."""
        return f"http://{self.address}:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def victims(self) -> tuple[Victim, ...]:
        """What can be killed there."""
        return ("server",) if self.role == "api" else ("supervisor", "computing process", "machine")

    def has(self, pid: int) -> bool:
        """Whether a process is one of this machine's."""
        try:
            return self._process is not None and os.getpgid(pid) == self._process.pid
        except ProcessLookupError:
            return False

    def start(self) -> None:
        """Starts its process."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._network.within(self.name), sys.executable, "-m", "stemwright", *self._arguments()],
                env=self._environment | self.clock,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def supervise(self) -> None:
        """Starts its process again if it is dead for long enough. Call it often."""
        if self.is_running:
            self._starts_at = 0.0
        elif not self._starts_at:
            self._starts_at = time.monotonic() + RESTART_S
        elif time.monotonic() >= self._starts_at:
            self.start()

    def kill(self, victim: Victim) -> bool:
        """kill -9; False if there is no such process at this moment."""
        assert self._process is not None
        match victim:
            case "server" | "supervisor":
                self._process.kill()
                self._process.wait(PATIENCE_S)
            case "computing process":
                try:
                    computing = workers_of(psutil.Process(self._process.pid))
                except psutil.NoSuchProcess:
                    return False
                if not computing:
                    return False
                with suppress(psutil.NoSuchProcess):
                    computing[0].kill()
            case "machine":
                self.end()
        return True

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """It is off the network, and works on."""
        if self._network.cut_off(self.name):
            try:
                yield
            finally:
                self._network.rejoin(self.name)
            return
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM, as a service manager does; returns the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def end(self) -> None:
        """Ends all of its processes at once."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(PATIENCE_S)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _arguments(self) -> list[str]:
        if self.role == "worker":
            return ["worker", "--device", "cpu", "--plans", "fast", "--data", str(self.data)]
        listens = ["--host", self.address, "--port", str(self._port)]
        return ["serve", "--workers", "0", *listens, "--data", str(self.data)]
