"""``stemwright quota``: the storage limit of an account."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stemwright.cli.common_options import Json
from stemwright.cli.data_folder import Data, open_data_folder
from stemwright.errors import UsageError


def quota(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Account name or id; see `stemwright keys list`.")],
    megabytes: Annotated[
        int | None, typer.Argument(metavar="[MB]", min=0, help="New limit of its files in MB; 0: no limit.")
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Use the server's default limit again (STEMWRIGHT_QUOTA_MB).")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Shows how much disk space an account's songs, uploads and stems take, and sets the limit.

    Examples:

      stemwright quota website

      stemwright quota website 5000

      stemwright quota website --default
    """
    from stemwright.service.accounts import Accounts
    from stemwright.service.storage_quota import MB, StorageQuota

    if default and megabytes is not None:
        raise UsageError("Give a number of MB or --default, not both.")
    with open_data_folder(data) as (settings, database):
        quotas = StorageQuota(database, settings)
        if default or megabytes is not None:
            quotas.set(account, megabytes)
        found = Accounts(database).find(account)
        usage = quotas.usage(found.id)
    if as_json:
        limits = {"used_bytes": usage.used_bytes, "limit_bytes": usage.limit_bytes}
        typer.echo(json.dumps({"account": found.name} | limits))
        return
    limit = "there is no limit" if usage.limit_bytes is None else f"the limit is {usage.limit_bytes / MB:g} MB"
    typer.echo(f"The files of {found.name} take {usage.used_bytes / MB:.1f} MB; {limit}.")
