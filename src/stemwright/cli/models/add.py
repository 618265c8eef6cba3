"""``stemwright models add``: adds a user's own checkpoint or ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _label_and_stem(text: str) -> tuple[str, str]:
    label, equals, stem = text.rpartition("=")
    if not (label and equals and stem):
        raise typer.BadParameter(f"'{text}' is not LABEL=STEM; give one such as piano=keyboard.")
    return label, stem


def add(
    config: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="YAML configuration of the checkpoint, as used by Music-Source-Separation-Training; TOML of an ONNX file.",
        ),
    ],
    checkpoint: Annotated[
        Path, typer.Option(metavar="FILE", help="Weights: .ckpt, .th, .pt, .pth, .bin, .safetensors or .onnx.")
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="New name, for --plan.")],
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="bs_roformer, mel_band_roformer, scnet, scnet_masked, htdemucs or mdx23c. Default: as the YAML implies.",
        ),
    ] = None,
    stem: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=STEM", help="The stem for an output label of the model. May be repeated."),
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="One-line description.")] = "",
    licence: Annotated[
        str, typer.Option("--licence", metavar="SPDX", help="Licence of the weights, such as MIT or CC-BY-NC-4.0.")
    ] = "unstated",
    link: Annotated[bool, typer.Option("--link/--copy", help="Link to the checkpoint instead of copying it.")] = False,
) -> None:
    """Adds a checkpoint or an ONNX file of your own as a plan NAME, after checking that it matches its configuration.

    An ONNX file needs no PyTorch. docs/models.md describes its TOML, and 'stemwright models export' writes both.

    Examples:

      stemwright models add --config strings.yaml --checkpoint strings.ckpt --name strings --stem bowed=strings

      stemwright models add --config strings.toml --checkpoint strings.onnx --name strings-onnx

      stemwright separate song.mp3 --plan strings
    """
    from stemwright.models import user_models
    from stemwright.separation.plan import plans

    model = user_models.add(
        name,
        config,
        checkpoint,
        architecture=architecture,
        stems=dict(_label_and_stem(text) for text in stem or ()),
        title=title,
        licence=licence,
        link=link,
        reserved={plan.name for plan in plans()},
    )
    typer.echo(f"{model.name}: added, {model.architecture or 'ONNX'}, separates {', '.join(model.stems)}.")
