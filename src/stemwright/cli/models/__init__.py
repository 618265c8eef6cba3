"""``stemwright models``: what can run, and the weights of it."""

from __future__ import annotations

import typer

from stemwright.cli.common_options import Json
from stemwright.cli.help_sections import Summarised
from stemwright.cli.models import add, files, listing
from stemwright.cli.models.model_options import License

app = typer.Typer(cls=Summarised)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: Json = False, license: License = None) -> None:
    """Lists models, brings their weights, and takes in models of your own.

    Examples:

      stemwright models                         what there is, and how fast

      stemwright models show scnet-large        all that is known of one

      stemwright models download best           weights, before they are needed

      stemwright models add --config x.yaml --checkpoint x.ckpt --name mine
    """
    if context.invoked_subcommand is None:
        listing.list_models(as_json, license)


app.command("list")(listing.list_models)
app.command("show")(listing.show)
app.command("download")(files.download)
app.command("verify")(files.verify)
app.command("remove")(files.remove)
app.command("add")(add.add)
