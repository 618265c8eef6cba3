"""The command line. Each command group has a module; what is heavy is imported when a command runs."""

from __future__ import annotations

import io
import sys

from stemwright.cli.app import app

__all__ = ["main"]


def main() -> None:
    """What the ``stemwright`` command runs."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a song's name may hold what the terminal's encoding has not got
    app(prog_name="stemwright")
