"""``stemwright models add``: a model of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _stem(text: str) -> tuple[str, str]:
    label, equals, stem = text.rpartition("=")
    if not (label and equals and stem):
        raise typer.BadParameter(f"'{text}' names no stem; write LABEL=STEM, such as piano=keyboard.")
    return label, stem


def add(
    config: Annotated[
        Path, typer.Option(metavar="FILE", help="The YAML published with the checkpoint, as MSST has them.")
    ],
    checkpoint: Annotated[
        Path, typer.Option(metavar="FILE", help="The weights: .ckpt, .th, .pt, .pth, .bin or .safetensors.")
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="What --plan shall call it.")],
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="bs_roformer, mel_band_roformer, scnet, scnet_masked, htdemucs or mdx23c, where the YAML does not tell.",
        ),
    ] = None,
    stem: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=STEM", help="Which of the twelve stems a label is. May be given several times."),
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="One line that says what it is.")] = "",
    licence: Annotated[
        str, typer.Option("--licence", metavar="SPDX", help="Licence of the weights, such as MIT or CC-BY-NC-4.0.")
    ] = "unstated",
    link: Annotated[
        bool, typer.Option("--link/--copy", help="Leave the checkpoint where it is, and only point to it.")
    ] = False,
) -> None:
    """Takes in a checkpoint of your own, after proof that it fits its configuration; then NAME is a plan.

    Examples:

      stemwright models add --config strings.yaml --checkpoint strings.ckpt --name strings --stem bowed=strings

      stemwright separate song.mp3 --plan strings
    """
    from stemwright.models import user_models
    from stemwright.separation.plan import plans

    model = user_models.add(
        name,
        config,
        checkpoint,
        architecture=architecture,
        stems=dict(_stem(text) for text in stem or ()),
        title=title,
        licence=licence,
        link=link,
        reserved={plan.name for plan in plans()},
    )
    typer.echo(f"{model.name}: added, a {model.architecture} that separates {', '.join(model.stems)}.")
