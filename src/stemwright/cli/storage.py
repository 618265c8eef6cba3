"""``stemwright storage``: where a server's files are, whether it can use them, and the set-up of a bucket."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stemwright.cli.common_options import Json
from stemwright.cli.data_folder import Data, load_settings
from stemwright.errors import UsageError


def storage(
    setup: Annotated[
        bool,
        typer.Option(
            "--setup",
            help="Create the S3 bucket if it is missing, let pages of other origins read signed links (CORS), and have "
            "unfinished uploads deleted after a day (lifecycle). Run again, it changes nothing.",
        ),
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Says where the server's files are, and checks that it can write, read, list and delete there.

    STEMWRIGHT_STORAGE_URL names an object store; docs/operations.md says how to choose and set up one.

    Examples:

      STEMWRIGHT_STORAGE_URL=s3://stems stemwright storage --setup

      stemwright storage --data /srv/stemwright
    """
    settings = load_settings(data=data)
    done: list[str] = []
    if setup:
        if settings.storage_url is None:
            raise UsageError("A folder needs no set-up: set STEMWRIGHT_STORAGE_URL to use an object store.")
        from stemwright.storage.bucket_setup import set_up

        done = set_up(settings.storage_url)
    from stemwright.storage.store import backend_of

    backend = backend_of(settings)
    backend.check()
    if as_json:
        typer.echo(json.dumps({"storage": str(backend), "setup": done}))
        return
    for line in done:
        typer.echo(f"Done: {line}.")
    typer.echo(f"Files: {backend}. They can be written, read, listed and deleted.")
