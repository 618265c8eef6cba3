"""Addresses of the drill's machines: network namespaces behind a bridge, or loopback where this user may make none."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

ALONE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Namespaces for the whole drill. All that is in them ends with their first process, also after kill -9."""

BRIDGE = "machines"
SUBNET = "10.77.0"
FOLDER = Path("/run/netns")


class Network(Protocol):
    """Where machines are.

    Attributes:
        description: in words.
        own_address: of the drill itself.
    """

    description: str
    own_address: str

    def add(self, machine: str) -> str:
        """Gives a machine an address."""

    def within(self, machine: str) -> tuple[str, ...]:
        """A command that runs the command behind it on a machine."""

    def cut_off(self, machine: str) -> bool:
        """Takes a machine off the network; False if this network cannot."""

    def rejoin(self, machine: str) -> None:
        """Puts it back."""


class Namespaces:
    """A bridge, and a namespace for each machine. To be made in namespaces of the drill's own (``begin_alone``)."""

    description = "network namespaces"
    own_address = f"{SUBNET}.1"

    def __init__(self) -> None:
        FOLDER.mkdir(exist_ok=True)
        _run("mount", "-t", "tmpfs", "machines", str(FOLDER))  # nobody else sees this mount
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "address", "add", f"{self.own_address}/24", "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")
        self._n_machines = 1

    def add(self, machine: str) -> str:
        """See ``Network``."""
        self._n_machines += 1
        address = f"{SUBNET}.{self._n_machines}"
        _run("ip", "netns", "add", machine)
        _run("ip", "link", "add", machine, "type", "veth", "peer", "name", "eth0", "netns", machine)
        self.rejoin(machine)
        _run("ip", "link", "set", machine, "up")
        _run("ip", "-n", machine, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _run("ip", "-n", machine, "link", "set", device, "up")
        return address

    def within(self, machine: str) -> tuple[str, ...]:
        """See ``Network``."""
        return ("nsenter", f"--net={FOLDER / machine}", "--")

    def cut_off(self, machine: str) -> bool:
        """See ``Network``. Packets vanish in both directions, and nobody is told."""
        _run("ip", "link", "set", machine, "nomaster")
        return True

    def rejoin(self, machine: str) -> None:
        """See ``Network``."""
        _run("ip", "link", "set", machine, "master", BRIDGE)


class Loopback:
    """All machines on 127.0.0.1, apart by their ports only."""

    description = "loopback, for this user may make no network namespaces: who is cut off stands still instead"
    own_address = "127.0.0.1"

    def add(self, machine: str) -> str:
        """See ``Network``."""
        return self.own_address

    def within(self, machine: str) -> tuple[str, ...]:
        """See ``Network``."""
        return ()

    def cut_off(self, machine: str) -> bool:
        """See ``Network``."""
        return False

    def rejoin(self, machine: str) -> None:
        """See ``Network``."""


def may_be_alone() -> bool:
    """Whether this user may make the namespaces."""
    programs = ("unshare", "nsenter", "ip", "mount")
    if os.geteuid() != 0 or not all(shutil.which(program) for program in programs):
        return False
    trial = [*ALONE, "ip", "link", "add", BRIDGE, "type", "bridge"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


def begin_alone(module: str, arguments: Sequence[str]) -> None:
    """Replaces this process by one that runs a module in namespaces of its own. The shell buries what dies there."""
    shell = ("bash", "-c", '"$@"; exit $?', "drill")
    sys.stdout.flush()
    os.execvp(ALONE[0], [*ALONE, *shell, sys.executable, "-m", module, *arguments])


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on."""
    with socket.create_server((address, 0)) as listener:
        return int(listener.getsockname()[1])


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
