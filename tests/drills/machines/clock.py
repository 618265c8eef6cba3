"""A wrong clock for all processes of a machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class WrongClock:
    """The library that moves a clock; made where there is a C compiler.

    Args:
        folder: takes the library.
    """

    def __init__(self, folder: Path) -> None:
        self._library = folder / "clock.so"
        compiler = shutil.which("cc")
        if compiler is not None:
            subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", self._library, SOURCE], check=True)

    @property
    def exists(self) -> bool:
        """Whether clocks can be moved here."""
        return self._library.exists()

    def environment(self, ahead_s: int) -> dict[str, str]:
        """Variables of a process whose clock is ahead by so many seconds, or behind."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_AHEAD_S": str(ahead_s)} if ahead_s else {}
