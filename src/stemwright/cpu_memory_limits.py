"""CPU and memory limits of this process: CPU affinity and Linux control groups.

A container on a 64-core machine may have two cores. Extra threads are throttled for most of every 100 ms period, and
exceeding the memory limit kills the process. So size threads and batches by these limits, never by the machine.

Control groups are nested; the tightest limit applies. Versions 1 and 2 may both be mounted. Mounts are listed in
``/proc/self/mountinfo`` (proc(5)), and the group of this process in ``/proc/self/cgroup``
(cgroups(7)).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SELF = Path("/proc/self")

UNLIMITED = 1 << 60
"""Version 1 reports 2^63 minus one page for unlimited memory."""

WORKERS_MEMORY_SHARE = 0.85
"""Share of a control group's memory for all workers together; the rest is for the server."""

BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def cores(proc: Path = SELF) -> int:
    """Returns the number of CPUs that this process may use, at least 1; fractions are rounded up."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not available on macOS and Windows
        allowed = os.cpu_count() or 1
    limit = cpu_limit(proc)
    return allowed if limit is None else max(1, min(allowed, math.ceil(limit)))


def threads_per_worker(workers: int, n_cores: int) -> int:
    """Returns how many threads each of ``workers`` processes takes: one core is left to the server, at least 1 each."""
    return max(1, (n_cores - 1) // max(1, workers))


def memory_per_worker(most_bytes: float, workers: int, limit_bytes: int | None) -> float:
    """Returns the memory in bytes that a task of each of ``workers`` processes may take.

    In a control group with a memory limit it can be less than ``most_bytes``: otherwise the kernel would kill the worker
    or the server, and the task would restart in vain.
    """
    return most_bytes if limit_bytes is None else min(most_bytes, WORKERS_MEMORY_SHARE * limit_bytes / max(1, workers))


def memory_bytes(proc: Path = SELF) -> int:
    """Returns the memory limit in bytes: the machine's memory, or less if a control group limits it."""
    import psutil

    total = int(psutil.virtual_memory().total)
    limit = memory_limit(proc)
    return total if limit is None else min(total, limit)


def free_memory_bytes(proc: Path = SELF) -> int:
    """Returns the memory in bytes that this process can still allocate without swapping or evicting others."""
    import psutil

    free = [int(psutil.virtual_memory().available)]
    for group in control_groups(proc):
        limit, held = group.memory_limit, group.memory_held
        if limit is not None and held is not None:
            free.append(max(0, limit - held))
    return min(free)


def cpu_limit(proc: Path = SELF) -> float | None:
    """Returns the control-group CPU limit, e.g. 0.5 or 1.5; None if unlimited."""
    limits = [limit for group in control_groups(proc) if (limit := group.cpu_limit) is not None]
    return min(limits, default=None)


def memory_limit(proc: Path = SELF) -> int | None:
    """Returns the control-group memory limit in bytes; None if unlimited."""
    limits = [limit for group in control_groups(proc) if (limit := group.memory_limit) is not None]
    return min(limits, default=None)


def limit_blas(threads: int) -> None:
    """Sets the number of BLAS threads. Call it before NumPy is first imported, in our own programs only.

    BLAS libraries count the machine's cores themselves. Existing user settings are kept.
    """
    for name in BLAS_VARIABLES:
        os.environ.setdefault(name, str(threads))


@dataclass(frozen=True)
class ControlGroup:
    """One control group: that of this process, or a parent."""

    folder: Path

    @property
    def cpu_limit(self) -> float | None:
        """Returns the CPU limit; None if unlimited."""
        words = _read(self.folder / "cpu.max").split()  # version 2: "max 100000", or "150000 100000"
        if not words:
            words = [_read(self.folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]  # version 1: -1
        with suppress(ValueError, IndexError):
            quota, period = int(words[0]), int(words[1])
            if quota > 0 and period > 0:
                return quota / period
        return None

    @property
    def memory_limit(self) -> int | None:
        """Returns the limit in bytes; None if unlimited. Processes above ``memory.high`` are throttled severely."""
        names = ("memory.max", "memory.high", "memory.limit_in_bytes")
        limits = [limit for name in names if (limit := _number(self.folder / name)) is not None]
        return min((limit for limit in limits if 0 < limit < UNLIMITED), default=None)

    @property
    def memory_held(self) -> int | None:
        """Returns the bytes in use, without reclaimable file cache; None if unknown."""
        held = _number(self.folder / "memory.current")
        if held is None:
            held = _number(self.folder / "memory.usage_in_bytes")
        if held is None:
            return None
        stat = _read(self.folder / "memory.stat")
        match = re.search(r"^total_inactive_file (\d+)$", stat, re.MULTILINE) or re.search(
            r"^inactive_file (\d+)$", stat, re.MULTILINE
        )
        return max(0, held - (int(match[1]) if match else 0))


def control_groups(proc: Path = SELF) -> Iterator[ControlGroup]:
    """Yields the visible control groups of this process and their parents; empty outside Linux."""
    mounts = list(_mounts(proc))
    for line in _read(proc / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        wanted = set(controllers.split(",")) & {"cpu", "memory"}
        for mount in mounts:
            if (number == "0" and mount.is_version_2) or wanted & mount.controllers:
                yield from _with_parents(mount, PurePosixPath(path))


@dataclass(frozen=True)
class _Mount:
    """Mount of a control-group hierarchy: the group ``root`` is at ``folder``."""

    folder: Path
    root: PurePosixPath
    controllers: frozenset[str]
    is_version_2: bool


def _mounts(proc: Path) -> Iterator[_Mount]:
    for line in _read(proc / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        yield _Mount(
            folder=Path(_unescaped(fields[4])),
            root=PurePosixPath(_unescaped(fields[3])),
            controllers=frozenset(kind[2].split(",")) if kind[0] == "cgroup" else frozenset(),
            is_version_2=kind[0] == "cgroup2",
        )


def _with_parents(mount: _Mount, path: PurePosixPath) -> Iterator[ControlGroup]:
    """Yields the group at ``path`` and its parents, up to the mount point.

    In a container the path may be the host's, while only the container's own group is mounted, as root.
    """
    inside = path.relative_to(mount.root) if path.is_relative_to(mount.root) else PurePosixPath()
    if ".." in inside.parts:  # outside the namespace: only the mount itself is visible
        inside = PurePosixPath()
    for group in (inside, *inside.parents):
        yield ControlGroup(mount.folder / group)


def _unescaped(text: str) -> str:
    """Decodes a mountinfo path, in which a space is ``\\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):  # not Linux, not mounted, or no permission
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_read(path))
    except ValueError:  # "max", or no such file
        return None
