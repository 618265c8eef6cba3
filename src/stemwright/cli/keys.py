"""``stemwright keys``: who may use the server."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from stemwright.cli.common_options import Json, hundredths
from stemwright.cli.data_folder import Data, opened
from stemwright.cli.help_sections import Summarised

app = typer.Typer(cls=Summarised, no_args_is_help=True, help="Makes, lists and revokes the API keys of a server.")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call the key.")],
    account: Annotated[
        str | None,
        typer.Option(metavar="A", help="Account that it opens. Default: one of the key's name, made if it is missing."),
    ] = None,
    credits: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=hundredths, help="Meters the account and gives it N credits. Default: not metered."
        ),
    ] = None,
    scopes: Annotated[str, typer.Option(help="read, write or both.")] = "read,write",
    rate_limit: Annotated[
        str | None, typer.Option(metavar="COUNT/SECONDS", help="New tasks of this key. Default: the server's limit.")
    ] = None,
    max_running: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Tasks under way at once. Default: the server's limit.")
    ] = None,
    form: Annotated[
        Literal["stemwright", "crun"],
        typer.Option(help="crun: ak_ and 32 characters, the only keys that crun's own command line sends."),
    ] = "stemwright",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Makes a key and shows it, this once.

    Examples:

      stemwright keys create website

      stemwright keys create phone --account website --scopes read

      stemwright keys create customer --credits 500 --json

      stemwright keys create agent --form crun
    """
    from stemwright.service.keys import Keys

    with opened(data, make=True) as (_, database):
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
    """Lists all keys by name, account and first characters."""
    from stemwright.service.keys import Keys

    with opened(data) as (_, database):
        keys = Keys(database).all()
    if as_json:
        typer.echo(json.dumps([asdict(key) for key in keys]))
        return
    from rich.text import Text

    from stemwright.cli.tables import console, table
    from stemwright.formatting import moment, printable

    rows = table("name", "account", "key", "scopes", "made", "revoked", left=6)
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
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Closes a key for good, at once."""
    from stemwright.service.keys import Keys

    with opened(data) as (_, database):
        Keys(database).revoke(name)
    typer.echo(json.dumps({"name": name, "revoked": True}) if as_json else f"The key '{name}' opens nothing any more.")
