"""``stemwright maintenance``, ``tracks``, ``tasks`` and ``backup``: administration of a server."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from stemwright.cli.common_options import Json
from stemwright.cli.data_folder import Data, open_data_folder

AccountOption = Annotated[str | None, typer.Option(metavar="A", help="Only those of this account.")]
Limit = Annotated[int, typer.Option(metavar="N", min=1, help="How many, newest first.")]


def maintenance(
    state: Annotated[
        Literal["on", "off"],
        typer.Argument(metavar="on|off", help="on: refuse new tasks (455). off: accept them again."),
    ],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Switches maintenance on or off: new tasks are refused, running ones continue, and everything can be read."""
    from stemwright.service import server_state
    from stemwright.service.submissions import MAINTENANCE

    with open_data_folder(data) as (_, database), database.write() as session:
        server_state.put(session, MAINTENANCE, state)
    typer.echo(json.dumps({"maintenance": state}) if as_json else f"Maintenance is {state}.")


def tracks(account: AccountOption = None, limit: Limit = 20, data: Data = None, as_json: Json = False) -> None:
    """Lists the newest songs on the server, with the ids that kie.ai's and crun.ai's APIs use."""
    from stemwright.service.accounts import Accounts
    from stemwright.service.ids import dashed
    from stemwright.service.tracks import Tracks

    with open_data_folder(data) as (settings, database):
        owners = [Accounts(database).find(account)] if account else Accounts(database).all()
        found = [(owner, track) for owner in owners for track in Tracks(database, settings).list(owner.id, limit=limit)]
    found = sorted(found, key=lambda pair: -pair[1].created_at)[:limit]
    if as_json:
        typer.echo(json.dumps([asdict(track) | {"account": owner.name} for owner, track in found]))
        return
    from rich.text import Text

    from stemwright.cli.tables import console, table
    from stemwright.formatting import megabytes, moment, printable

    rows = table("title", "account", "taskId", "audioId", "from", "created", "size", left=6)
    for owner, track in found:
        size = megabytes(track.size_bytes) if track.size_bytes is not None else "–"
        names = Text(printable(track.title)), Text(printable(owner.name))
        rows.add_row(*names, track.task_id, dashed(track.id), track.origin, moment(track.created_at), size)
    console().print(rows)


def tasks(account: AccountOption = None, limit: Limit = 20, data: Data = None, as_json: Json = False) -> None:
    """Lists the newest tasks: kind, account, progress, and why a task failed."""
    from stemwright.service.accounts import Accounts
    from stemwright.service.task import newest_tasks

    with open_data_folder(data) as (_, database):
        accounts = Accounts(database)
        names = {owner.id: owner.name for owner in accounts.all()}
        owner_id = accounts.find(account).id if account else None
        with database.read() as session:
            found = newest_tasks(session, owner_id, limit)
    if as_json:
        typer.echo(json.dumps([asdict(task) | {"account": names[task.account_id]} for task in found]))
        return
    from rich.text import Text

    from stemwright.cli.tables import console, table
    from stemwright.formatting import moment, printable

    rows = table("task", "account", "API", "kind", "state", "created", "progress", "error", left=6)
    for task in found:
        why = Text(printable(task.error_message or ""))
        made, done = moment(task.created_at), f"{100 * task.progress:.0f} %"
        rows.add_row(
            task.id, Text(printable(names[task.account_id])), task.face, task.kind, task.state, made, done, why
        )
    console().print(rows)


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Destination folder; must not exist yet.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Backs up all data of a server, also while it runs. To restore: `stemwright serve --data DIR`."""
    from stemwright.service.backup import back_up

    with open_data_folder(data) as (settings, database):
        saved = back_up(settings, database, folder)
    if as_json:
        typer.echo(json.dumps(asdict(saved) | {"folder": str(folder)}))
    else:
        from stemwright.formatting import megabytes

        files = "1 file" if saved.files == 1 else f"{saved.files} files"
        typer.echo(f"{folder}: the database and {files}, {megabytes(saved.size_bytes)}.")
