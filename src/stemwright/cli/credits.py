"""``stemwright credits``: the credit balance of accounts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from stemwright.cli.common_options import Json, credit_hundredths
from stemwright.cli.data_folder import Data, open_data_folder
from stemwright.cli.help_sections import SummaryGroup

app = typer.Typer(
    cls=SummaryGroup, no_args_is_help=True, help="Grants credits to accounts, and shows how they were spent."
)

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account name or id; see `stemwright keys list`.")]


@app.command("grant")
def grant(
    account: Account,
    credits: Annotated[
        int,
        typer.Argument(
            metavar="N", parser=credit_hundredths, help="Credits to add; a negative number removes credits."
        ),
    ],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Adds credits to an account. From its first grant on, the account pays the server's prices.

    Examples:

      stemwright credits grant website 500

      stemwright credits grant website -- -20
    """
    from stemwright.service.credit_ledger import Ledger

    with open_data_folder(data) as (_, database):
        balance = Ledger(database).grant(account, credits) / 100
    typer.echo(
        json.dumps({"account": account, "balance": balance}) if as_json else f"{account} has {balance:g} credits."
    )


@app.command("show")
def show(account: Account, data: Data = None, as_json: Json = False) -> None:
    """Shows an account's balance and every entry of its ledger."""
    from stemwright.service.accounts import Accounts
    from stemwright.service.credit_ledger import Ledger

    with open_data_folder(data) as (_, database):
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
    rows = table("time", "reason", "task", "credits", left=3)
    for entry in entries:
        rows.add_row(moment(entry.created_at), entry.reason, entry.task_id or "", f"{entry.amount / 100:+g}")
    console().print(rows)
    typer.echo(f"{found.name} has {found.balance / 100:g} credits.")
