"""``stemwright credits``: what accounts may spend."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from stemwright.cli.common_options import Json, hundredths
from stemwright.cli.data_folder import Data, opened
from stemwright.cli.help_sections import Summarised

app = typer.Typer(
    cls=Summarised, no_args_is_help=True, help="Grants credits to accounts, and shows what became of them."
)

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name or id; `stemwright keys list` names them.")]


@app.command("grant")
def grant(
    account: Account,
    credits: Annotated[
        int, typer.Argument(metavar="N", parser=hundredths, help="How many; below zero takes them away.")
    ],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Gives an account credits. From then on its tasks cost what the server's prices say.

    Examples:

      stemwright credits grant website 500

      stemwright credits grant website -- -20
    """
    from stemwright.service.ledger import Ledger

    with opened(data) as (_, database):
        balance = Ledger(database).grant(account, credits) / 100
    typer.echo(
        json.dumps({"account": account, "balance": balance}) if as_json else f"{account} has {balance:g} credits."
    )


@app.command("show")
def show(account: Account, data: Data = None, as_json: Json = False) -> None:
    """Shows an account's balance and every entry of its ledger."""
    from stemwright.service.accounts import Accounts
    from stemwright.service.ledger import Ledger

    with opened(data) as (_, database):
        found = Accounts(database).find(account)
        entries = Ledger(database).entries(found.id)
    if as_json:
        lines = [asdict(entry) | {"amount": entry.amount / 100} for entry in entries]
        balance = found.balance / 100 if found.metered else None
        typer.echo(json.dumps({"account": found.name, "metered": found.metered, "balance": balance, "entries": lines}))
        return
    from stemwright.cli.tables import console, table
    from stemwright.formatting import moment

    if not found.metered:
        typer.echo(f"{found.name} is not metered: its tasks cost nothing. Granting it credits changes that.")
        return
    rows = table("when", "what", "task", "credits", left=3)
    for entry in entries:
        rows.add_row(moment(entry.created_at), entry.reason, entry.task_id or "", f"{entry.amount / 100:+g}")
    console().print(rows)
    typer.echo(f"{found.name} has {found.balance / 100:g} credits.")
