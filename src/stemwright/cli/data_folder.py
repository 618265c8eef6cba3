"""The data folder of a server, for commands that administer it."""

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


def load_settings(**flags: object) -> Settings:
    """The settings, overridden by flags.

    Raises:
        UsageError: the server's packages are not installed.
    """
    try:
        from stemwright.settings import read_settings
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The server needs packages that are not installed ({error.name}): pip install 'stemwright[server]'."
        ) from error
    return read_settings(**flags)


@contextmanager
def open_data_folder(data: Path | None, *, create: bool = False) -> Iterator[tuple[Settings, Database]]:
    """Opens the database of a data folder, and gives it with the settings.

    Args:
        data: the folder given by a flag.
        create: create a missing folder if a flag names it. A missing default folder is never created: the command was
            then probably started in another directory than the server.

    Raises:
        UsageError: the folder is not a server's data folder.
        StorageError: the folder cannot be used.
    """
    settings = load_settings(data=data)
    from stemwright.database.engine import DATABASE_FILE, Database
    from stemwright.settings import SETTINGS_FILE

    folder = settings.data.absolute()
    has_database = settings.database_url or (settings.data / DATABASE_FILE).exists()
    # a settings file, or the lock of a server that is starting
    has_server = any((settings.data / name).exists() for name in (SETTINGS_FILE, "server.lock"))
    if not has_database and not (create and (data is not None or has_server)):
        remedy = "give the folder with --data DIR"
        if create:
            remedy += f"; to create it for a new server give --data {shlex.quote(str(folder))}"
        raise UsageError(f"{folder} is not a server's data folder: {remedy}.")
    if not has_database and not has_server:
        typer.echo(f"{folder} is new: start the server with the same --data.", err=True)
    database = Database.open(settings)
    try:
        database.migrate()
        yield settings, database
    finally:
        database.close()
