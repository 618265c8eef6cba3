"""What a plan takes is downloaded before the first song, with its size and licence said."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from stemwright.separation.separator import Separator


def prepare(
    separator: Separator, stems: str, *, quiet: bool = False, is_cancelled: Callable[[], bool] | None = None
) -> None:
    """Downloads what is missing for these stems, and says first what that is.

    Raises:
        ModelUnavailableError: a file cannot be had, or is not what the registry says.
        StorageError: there is no room for it.
        CancelledError: ``is_cancelled`` said so.
    """
    from stemwright.cli.download_bar import download_bar
    from stemwright.formatting import megabytes

    for model in separator.missing(stems):
        if not quiet:
            size = megabytes(model.size_bytes)
            typer.echo(f"{model.name} is downloaded once: {size}, licence of its weights: {model.licence}.", err=True)
    with download_bar(quiet=quiet) as bar:
        separator.prepare(stems, on_download=bar, is_cancelled=is_cancelled)
