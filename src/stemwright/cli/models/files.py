"""``stemwright models download``, ``verify`` and ``remove``: the weights of models on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from stemwright.cli.models.model_options import License, Name

if TYPE_CHECKING:
    from stemwright.models.licences import Policy


def download(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Models or plans; for a plan, the preferred allowed model of each step."
        ),
    ],
    license: License = None,
) -> None:
    """Downloads the weights of models, resuming earlier downloads.

    They are downloaded from their publisher, or from STEMWRIGHT_MODEL_MIRROR, and verified by SHA-256.

    Examples:

      stemwright models download mel-band-roformer-kim scnet-large --license permissive

      stemwright models download best
    """
    from stemwright.cli.download_bar import download_bar
    from stemwright.models import licences, registry, weight_download, weight_store

    policy = licences.policy(license)
    models = [registry.find(name) for name in dict.fromkeys(_model_names(names, policy))]
    for model in models:
        licences.require(model, policy)
    with download_bar() as on_progress:
        for model in models:
            for file in model.files:
                if file.url or weight_store.find(file) is None:  # download replaces a damaged file
                    weight_download.download(file, weight_store.weights_folder(), on_progress=on_progress)
                weight_store.verify(file)
            typer.echo(f"{model.name}: installed.")


def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Models. Default: all installed ones.")
    ] = None,
) -> None:
    """Verifies installed weights: reads them and compares size and SHA-256 with the registry."""
    from stemwright.errors import ModelUnavailableError
    from stemwright.models import registry, weight_store

    wanted = [registry.find(name) for name in dict.fromkeys(names or ())]
    models = wanted or [model for model in registry.models() if weight_store.is_available(model)]
    damaged: ModelUnavailableError | None = None
    for model in models:
        try:
            for file in model.files:
                weight_store.verify(file, reread=True)
        except ModelUnavailableError as error:
            typer.echo(f"{model.name}: {error}")
            damaged = error
        else:
            typer.echo(f"{model.name}: verified.")
    if damaged is not None:
        raise typer.Exit(damaged.exit_code)


def remove(name: Name) -> None:
    """Deletes the weights of a model. A model that you added is removed from the list too."""
    from stemwright.errors import UsageError
    from stemwright.models import registry, user_models, weight_store

    model = registry.find(name)
    if not model.added and not any(file.url for file in model.files):
        raise UsageError(f"{model.name} is part of Stemwright and cannot be removed.")
    kept = {file.name for other in registry.models() if other.name != model.name for file in other.files}
    was_there = [weight_store.remove(file) for file in model.files if file.name not in kept]
    if model.added:
        user_models.remove_description(model)
        typer.echo(f"{model.name}: removed.")
    else:
        typer.echo(f"{model.name}: {'removed' if any(was_there) else 'was not installed'}.")


def _model_names(names: list[str], policy: Policy) -> Iterator[str]:
    """Names of models; a plan is replaced by the first allowed model of each of its steps."""
    from stemwright.models import licences, registry
    from stemwright.separation.plan import plans

    steps = {plan.name: plan.steps for plan in plans()}
    for name in names:
        if name not in steps:
            yield name
            continue
        for step in steps[name]:
            allowed = (
                model for model in step.models if policy == "any" or licences.is_permissive(registry.find(model))
            )
            yield from islice(allowed, 1)
