"""A small real file system, which can be filled up and given room again."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MOUNT = 'mount -t tmpfs -o "size=$2m" small "$1" && echo mounted && exec cat'


@dataclass(frozen=True)
class Disk:
    """A file system that only some processes see.

    Attributes:
        folder: where they see it.
        within: a command that lets the command behind it see it.
        seen: where this process sees it.
    """

    folder: Path
    within: tuple[str, ...]
    seen: Path

    def fill(self, leave_bytes: int = 0) -> None:
        """Takes all room but some, while others write; again, what they gave back since."""
        with (self.seen / "ballast").open("ab") as ballast:
            step, taken = 1 << 24, ballast.tell()
            while step >= 4096:
                room = os.statvfs(self.seen)
                try:
                    if room.f_bavail * room.f_bsize - step < leave_bytes:
                        raise OSError(errno.ENOSPC, "that is too much")
                    os.posix_fallocate(ballast.fileno(), taken, step)
                    taken += step
                except OSError:
                    step //= 2

    def empty(self) -> None:
        """Gives the room back."""
        (self.seen / "ballast").unlink(missing_ok=True)


@contextmanager
def mounted(folder: Path, size_mb: int) -> Iterator[Disk | None]:
    """A small file system at a folder while the context lasts; None where nobody may mount one."""
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("nsenter") is None:
        yield None
        return
    command = [unshare, "-rm", "sh", "-c", MOUNT, "sh", str(folder), str(size_mb)]
    # The mount lives as long as this process, which waits for the end of its input.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        if holder.stdout.readline() != "mounted\n":
            yield None
            return
        within = ("nsenter", f"--target={holder.pid}", "--user", "--preserve-credentials", "--mount", "--")
        try:
            yield Disk(folder, within, Path(f"/proc/{holder.pid}/root{folder}"))
        finally:
            holder.stdin.close()
