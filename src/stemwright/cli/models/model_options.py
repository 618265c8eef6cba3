"""Options and arguments that the commands about models share."""

from __future__ import annotations

from typing import Annotated

import typer

License = Annotated[
    str | None,
    typer.Option(
        "--license",
        metavar="any|permissive",
        help="permissive leaves out weights whose licence does not allow any use. Default: STEMWRIGHT_LICENSE, or any.",
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A model; 'stemwright models' lists them.")]
