"""Options and arguments that the commands about models share."""

from __future__ import annotations

from typing import Annotated

import typer

License = Annotated[
    str | None,
    typer.Option(
        "--license",
        metavar="any|permissive",
        help="permissive: only weights whose licence allows any use, also commercial. Default: STEMWRIGHT_LICENSE, or any.",
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a model; see 'stemwright models'.")]
