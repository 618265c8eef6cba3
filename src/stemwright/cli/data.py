"""The data folder that an operator's command works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemwright.errors import UsageError

if TYPE_CHECKING:
    from stemwright.database.engine import Database
    from stemwright.settings import Settings

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="The server's data folder. Default: STEMWRIGHT_DATA, or stemwright-data."
    ),
]


def settings_of(**flags: object) -> Settings:
    """The settings, with flags on top; a sentence where the server's packages are not installed."""
    try:
        from stemwright.settings import read_settings
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The server needs packages that are not installed ({error.name}): pip install 'stemwright[server]'."
        ) from error
    return read_settings(**flags)


@contextmanager
def opened(data: Path | None, *, make: bool = False) -> Iterator[tuple[Settings, Database]]:
    """The settings and the database of a data folder.

    Args:
        make: whether a missing one is made.

    Raises:
        UsageError: there is none.
        StorageError: it cannot be used.
    """
    settings = settings_of(data=data)
    from stemwright.database.engine import FILE, Database

    if not make and not settings.database_url and not (settings.data / FILE).exists():
        raise UsageError(
            f"{settings.data} holds no server's data: name its --data folder, or make a key there first "
            "(stemwright keys create NAME)."
        )
    database = Database(settings.database_url) if settings.database_url else Database.in_folder(settings.data)
    try:
        database.migrate()
        yield settings, database
    finally:
        database.close()
