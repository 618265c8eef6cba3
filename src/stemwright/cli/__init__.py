"""The command line. Each command group has a module; heavy libraries are imported when a command runs."""

from __future__ import annotations

import sys

from stemwright.cli.app import app
from stemwright.cli.streams import UNWRITABLE_ERRNOS, prepare_streams, print_error_line, redirect_to_null
from stemwright.errors import StorageError

__all__ = ["main"]


def main() -> None:
    """Entry point of the ``stemwright`` command."""
    prepare_streams()
    try:
        app(prog_name="stemwright")
    except OSError as error:
        # errors of files were converted to StorageError with the file's name
        if error.filename is not None or error.errno not in UNWRITABLE_ERRNOS:
            raise
        redirect_to_null(1)
        print_error_line(
            f"error: Standard output cannot be written ({error.strerror}): redirect it elsewhere, or free disk space."
        )
        sys.exit(StorageError.exit_code)
