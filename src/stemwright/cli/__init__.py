"""The command line. Each command group has a module; what is heavy is imported when a command runs."""

from __future__ import annotations

from stemwright.cli.app import app

__all__ = ["main"]


def main() -> None:
    """What the ``stemwright`` command runs."""
    app(prog_name="stemwright")
