"""Errors that a user can do something about. Each message is one sentence of what is wrong and what helps."""

from __future__ import annotations

import errno
from pathlib import Path

from stemwright.formatting import printable


class StemwrightError(Exception):
    """Base of every error that Stemwright raises on purpose; ``exit_code`` is what the command line ends with."""

    exit_code = 1

    def __str__(self) -> str:
        """The message on one line, safe for a terminal and a log, whatever the names in it contain."""
        return printable(super().__str__())


class UsageError(StemwrightError):
    """The request itself cannot be met: an unknown stem, a bit depth that the format has not got."""

    exit_code = 2


class UnreadableInputError(StemwrightError):
    """The input is missing, empty, not audio, or cannot be decoded."""

    exit_code = 3


class ModelUnavailableError(StemwrightError):
    """The model, its runtime or the device asked for cannot be had."""

    exit_code = 4


class StorageError(StemwrightError):
    """No room on the disk, or no permission to write where the output or a cache should go."""

    exit_code = 5


class DatabaseUnavailableError(StorageError):
    """The database server cannot be reached or cannot take more; a later attempt may succeed."""


class TransactionConflictError(DatabaseUnavailableError):
    """Another transaction changed the same rows first. Nothing was written, and the transaction may be run again."""


class CancelledError(StemwrightError):
    """The caller cancelled, or the user interrupted. Working files stay, so that the run can be resumed."""

    exit_code = 130


def storage_error(error: OSError, path: Path) -> StorageError:
    """The error to raise when writing ``path`` failed with ``error``; the whole project uses it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageError(f"No room is left to write {path}: free some space, or choose another folder.")
    reason = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(f"{path} cannot be written ({reason}): choose another folder, or change its permissions.")
    return StorageError(f"{path} could not be written ({reason}): choose another folder, or try again.")
