"""The data folder that an operator's command works on."""

from __future__ import annotations

import shlex
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
        data: the folder that a flag names.
        make: whether a missing one is made where a flag names it. By default or by the environment none is: the command
            was then likely started in another folder than the server.

    Raises:
        UsageError: there is none.
        StorageError: it cannot be used.
    """
    settings = settings_of(data=data)
    from stemwright.database.engine import DATABASE_FILE, Database
    from stemwright.settings import SETTINGS_FILE

    folder = settings.data.absolute()
    known = settings.database_url or (settings.data / DATABASE_FILE).exists()
    prepared = any((settings.data / name).exists() for name in (SETTINGS_FILE, "server.lock"))  # or is just starting
    if not known and not (make and (data is not None or prepared)):
        remedy = "name the folder with --data DIR"
        if make:
            remedy += f"; for a new server write --data {shlex.quote(str(folder))}, and the folder is made"
        raise UsageError(f"{folder} holds no server's data: {remedy}.")
    if not known and not prepared:
        typer.echo(f"{folder} is new: start the server with the same --data.", err=True)
    database = Database(settings.database_url) if settings.database_url else Database.in_folder(settings.data)
    try:
        database.migrate()
        yield settings, database
    finally:
        database.close()
