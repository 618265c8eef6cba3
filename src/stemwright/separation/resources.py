"""System resources: free disk space and memory use."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from stemwright.errors import StorageError


def peak_rss_mb() -> float:
    """Peak resident memory of this process, in MB of 10^6 bytes."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    status = Path("/proc/self/status")
    if status.exists():
        # not getrusage: on Linux its peak survives exec, so it may be that of the parent process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def check_disk_space(folder: Path, needed_bytes: int) -> None:
    """Checks the free disk space for a folder, which may not exist yet.

    Raises:
        StorageError: there is not enough.
    """
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise StorageError(
            f"{folder} has {free / 1e6:.0f} MB free and this needs {needed_bytes / 1e6:.0f} MB; "
            "make room, choose another --out, or a smaller --format."
        )
