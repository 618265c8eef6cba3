"""``stemwright migrate``: from SQLite in a data folder to PostgreSQL."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stemwright.cli.common_options import Json
from stemwright.cli.data_folder import Data, load_settings
from stemwright.errors import UsageError


def migrate(
    source: Annotated[Path, typer.Argument(metavar="SQLITE_DIR", help="Data folder of the server on SQLite, stopped.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Carries a server's data from SQLite over to the PostgreSQL database of STEMWRIGHT_DATABASE_URL.

    Files are copied to STEMWRIGHT_STORAGE_URL, or to the data folder given by --data; if that is SQLITE_DIR itself, they
    stay where they are. All is compared afterwards. The source is not changed. After a kill, run it again.

    Examples:

      STEMWRIGHT_DATABASE_URL=postgresql://… stemwright migrate stemwright-data --data stemwright-data

      STEMWRIGHT_DATABASE_URL=postgresql://… STEMWRIGHT_STORAGE_URL=s3://… stemwright migrate stemwright-data
    """
    settings = load_settings(data=data)
    from stemwright.database.engine import DATABASE_FILE, Database
    from stemwright.formatting import counted
    from stemwright.jobs.open_queue import open_queue
    from stemwright.jobs.supervisor import lock_data_folder
    from stemwright.service.installation_move import InstallationMove
    from stemwright.storage.store import Store

    if settings.database_url is None:
        raise UsageError(
            "STEMWRIGHT_DATABASE_URL is not set: set it to postgresql://USER:PASSWORD@HOST/DATABASE, where all is to go."
        )
    if not (source / DATABASE_FILE).exists():
        raise UsageError(f"{source} is not a server's data folder: it has no {DATABASE_FILE}.")
    before = settings.model_copy(update={"data": source, "database_url": None, "storage_url": None})
    with lock_data_folder(source):
        source_database, target = Database.open(before), Database.open(settings)
        try:
            source_database.migrate()
            stays = settings.storage_url is None and settings.data.resolve() == source.resolve()
            move = InstallationMove(
                source_database,
                target,
                Store.open(before),
                None if stays else Store.open(settings),
                open_queue(target),
            )
            moved = move.run(_Progress())
        finally:
            source_database.close()
            target.close()
    if as_json:
        typer.echo(json.dumps(asdict(moved)))
        return
    typer.echo(
        f"Moved {counted(moved.rows, 'row')} and {counted(moved.files, 'file')} to {target.name}; "
        f"{counted(moved.queued, 'unfinished task')} will go on there."
    )
    if moved.missing:
        typer.echo(f"{counted(moved.missing, 'file')} were missing in {source} before.", err=True)
    typer.echo(f"Start servers with the same STEMWRIGHT_DATABASE_URL; do not start one on {source} alone again.")


class _Progress:
    """One line for each kind of thing, rewritten in a terminal."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._is_terminal:
            typer.echo(f"\r{what}: {done} of {total}", err=True, nl=done == total)
        elif done == total:
            typer.echo(f"{what}: {total}", err=True)
