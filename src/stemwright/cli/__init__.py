"""The command line. Each command group has a module; what is heavy is imported when a command runs."""

from __future__ import annotations

import sys

from stemwright.cli.app import app
from stemwright.cli.streams import UNWRITABLE, discard, prepare_streams, tell
from stemwright.errors import StorageError

__all__ = ["main"]


def main() -> None:
    """What the ``stemwright`` command runs."""
    prepare_streams()
    try:
        app(prog_name="stemwright")
    except OSError as error:
        # errors of files are StorageErrors by now, with the name of the file
        if error.filename is not None or error.errno not in UNWRITABLE:
            raise
        discard(1)
        tell(f"error: Standard output cannot be written ({error.strerror}): send it elsewhere, or make room.")
        sys.exit(StorageError.exit_code)
