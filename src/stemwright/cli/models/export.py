"""``stemwright models export``: writes a model of PyTorch as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stemwright.cli.models.model_options import Name


def export(
    name: Name,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The ONNX file. Default: NAME.onnx in this folder.")
    ] = None,
    half: Annotated[
        bool, typer.Option("--half/--full", help="Store weights in half precision: half the size, the same speed.")
    ] = False,
) -> None:
    """Writes a model that runs in PyTorch as an ONNX file, with a TOML beside it, for machines without PyTorch.

    One chunk is run through both; the files are kept if the results agree to 0.0001 of the peak. This takes some minutes.

    Examples:

      stemwright models export scnet-large --half

      stemwright models add --config scnet-large.toml --checkpoint scnet-large.onnx --name scnet-onnx
    """
    from stemwright.cpu_memory_limits import cores
    from stemwright.errors import ModelUnavailableError
    from stemwright.formatting import megabytes
    from stemwright.models import onnx_export, registry, weight_store
    from stemwright.models.engine_loading import fetch_weights

    model = registry.find(name)
    if not weight_store.is_available(model):
        raise ModelUnavailableError(f"{name} is not installed; run `stemwright models download {name}` first.")
    onnx_export.check_packages()
    path = out or Path(f"{model.name}.onnx")
    done = onnx_export.export(model, fetch_weights(model), path, half=half, threads=cores())
    typer.echo(
        f"{model.name}: exported to {done.graph} ({megabytes(done.graph.stat().st_size)}) and {done.config}. "
        f"The largest difference from PyTorch is {done.error:.1e} of the peak."
    )
