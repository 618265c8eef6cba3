"""``stemwright models``: the known models and their weights."""

from __future__ import annotations

import typer

from stemwright.cli.common_options import Json
from stemwright.cli.help_sections import SummaryGroup
from stemwright.cli.models import add, export, files, listing
from stemwright.cli.models.model_options import License

app = typer.Typer(cls=SummaryGroup)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: Json = False, license: License = None) -> None:
    """Lists models, downloads their weights, and adds checkpoints of your own.

    Examples:

      stemwright models                         all models, with their speed here

      stemwright models show scnet-large        details of one model

      stemwright models download best           download weights in advance

      stemwright models add --config x.yaml --checkpoint x.ckpt --name mine

      stemwright models export mine             an ONNX file of it, for machines without PyTorch
    """
    if context.invoked_subcommand is None:
        listing.list_models(as_json, license)


app.command("list")(listing.list_models)
app.command("show")(listing.show)
app.command("download")(files.download)
app.command("verify")(files.verify)
app.command("remove")(files.remove)
app.command("add")(add.add)
app.command("export")(export.export)
