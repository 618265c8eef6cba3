"""``stemwright keys``: the API keys of a server."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from stemwright.cli.common_options import Json, credit_hundredths
from stemwright.cli.data_folder import Data, open_data_folder
from stemwright.cli.help_sections import SummaryGroup

app = typer.Typer(cls=SummaryGroup, no_args_is_help=True, help="Creates, lists and revokes the API keys of a server.")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Your name for the key.")],
    account: Annotated[
        str | None,
        typer.Option(
            metavar="A", help="Account of the key; created if missing. Default: an account with the key's name."
        ),
    ] = None,
    credits: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=credit_hundredths,
            help="Grant N credits; the account then pays for tasks. Default: tasks are free.",
        ),
    ] = None,
    scopes: Annotated[
        str, typer.Option(help="Any of read, write and operator (administer the server), separated by commas.")
    ] = "read,write",
    rate_limit: Annotated[
        str | None,
        typer.Option(
            metavar="COUNT/SECONDS", help="Limit of new tasks with this key, such as 20/10. Default: the server's."
        ),
    ] = None,
    max_running: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Limit of unfinished tasks with this key. Default: the server's."),
    ] = None,
    form: Annotated[
        Literal["stemwright", "crun"],
        typer.Option(help="Format of the key. crun: ak_ and 32 characters, which crun's own command line requires."),
    ] = "stemwright",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Creates an API key and prints it. It is shown only this once.

    Examples:

      stemwright keys create website

      stemwright keys create phone --account website --scopes read

      stemwright keys create customer --credits 500 --json

      stemwright keys create agent --form crun
    """
    from stemwright.service.keys import Keys

    with open_data_folder(data, create=True) as (_, database):
        made = Keys(database).create(
            name,
            account=account,
            credits_hundredths=credits,
            scopes=tuple(scope.strip() for scope in scopes.split(",") if scope.strip()),
            rate_limit=rate_limit,
            max_running=max_running,
            form=form,
        )
    if as_json:
        typer.echo(json.dumps({"name": made.name, "key": made.key}))
    else:
        typer.echo(f"{made.key}\n\nThis is the key '{made.name}' of account '{made.account}'. It is not shown again.")


@app.command("list")
def list_keys(data: Data = None, as_json: Json = False) -> None:
    """Lists all keys: name, account, first characters, scopes."""
    from stemwright.service.keys import Keys

    with open_data_folder(data) as (_, database):
        keys = Keys(database).all()
    if as_json:
        typer.echo(json.dumps([asdict(key) for key in keys]))
        return
    from rich.text import Text

    from stemwright.cli.tables import console, table
    from stemwright.formatting import moment, printable

    rows = table("name", "account", "key", "scopes", "created", "revoked", left=6)
    for key in keys:
        rows.add_row(
            Text(printable(key.name)),
            Text(printable(key.account)),
            f"{key.hint}…",
            ", ".join(key.scopes),
            moment(key.created_at),
            moment(key.revoked_at),
        )
    console().print(rows)


@app.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")],
    account: Annotated[
        str | None, typer.Option(metavar="A", help="Account of the key, where several have a key of that name.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Revokes a key at once. This cannot be undone."""
    from stemwright.service.keys import Keys

    with open_data_folder(data) as (_, database):
        Keys(database).revoke(name, account)
    typer.echo(json.dumps({"name": name, "revoked": True}) if as_json else f"The key '{name}' is revoked.")
