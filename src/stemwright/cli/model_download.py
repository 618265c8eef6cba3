"""Downloads the weights that a plan needs before the first song, and prints their size and licence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from stemwright.separation.separator import Separator


def download_missing(
    separator: Separator, stems: str, *, quiet: bool = False, is_cancelled: Callable[[], bool] | None = None
) -> None:
    """Downloads the missing weights for these stems, after printing which they are.

    Raises:
        ModelUnavailableError: a file cannot be downloaded, or its digest is not that of the registry.
        StorageError: not enough disk space.
        CancelledError: ``is_cancelled`` returned true.
    """
    from stemwright.cli.download_bar import download_bar
    from stemwright.formatting import megabytes

    for model in separator.missing(stems):
        if not quiet:
            size = megabytes(model.size_bytes)
            line = f"Downloading {model.name}, once: {size}, licence of its weights: {model.licence}."
            if any(file.digest_reports == 1 for file in model.files):
                line += " Its SHA-256 is known from one report alone."
            typer.echo(line, err=True)
    with download_bar(quiet=quiet) as bar:
        separator.prepare(stems, on_download=bar, is_cancelled=is_cancelled)
