"""``stemwright models``: what can run, and the weights of it."""

from __future__ import annotations

import typer

from stemwright.cli.choices import Json
from stemwright.cli.models import adding, files, listing
from stemwright.cli.models.choices import License

app = typer.Typer(help="Lists models, brings their weights, and takes in models of your own.")


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: Json = False, license: License = None) -> None:
    """Lists the models that can separate, brings and checks their weights, and takes in models of your own.

    [bold]Examples[/]

      stemwright models                                    what there is: stems, size, licence, time on this machine

      stemwright models show scnet-large                   all that is known of one model, with sources

      stemwright models download mel-band-roformer-kim     its weights, before they are needed

      stemwright models add --config x.yaml --checkpoint x.ckpt --name mine
    """
    if context.invoked_subcommand is None:
        listing.list_models(as_json, license)


app.command("list")(listing.list_models)
app.command("show")(listing.show)
app.command("download")(files.download)
app.command("verify")(files.verify)
app.command("remove")(files.remove)
app.command("add")(adding.add)
