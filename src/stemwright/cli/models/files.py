"""``stemwright models download``, ``verify`` and ``remove``: the weights of models on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from stemwright.cli.models.model_options import License, Name

if TYPE_CHECKING:
    from stemwright.models.licences import Policy
    from stemwright.models.registry import Model


def download(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Models or plans; for a plan, the preferred model of each step that is allowed."
        ),
    ],
    license: License = None,
    accept_digest: Annotated[
        str | None,
        typer.Option(
            "--accept-digest",
            metavar="SHA256",
            help="Take a file with this SHA-256, which its author has put in place of the one that the registry knows.",
        ),
    ] = None,
) -> None:
    """Downloads the weights of models, resuming earlier downloads.

    They are downloaded from their publisher or a mirror, or from STEMWRIGHT_MODEL_MIRROR, and verified by SHA-256.

    With --accept-digest the first file of the model that is not installed may have that digest. It is recorded, and
    `stemwright models show` says so; `stemwright models remove` forgets it.

    Examples:

      stemwright models download mel-band-roformer-kim scnet-large --license permissive

      stemwright models download best
    """
    from stemwright.cli.download_bar import download_bar
    from stemwright.models import licences, registry, replaced_file, weight_download, weight_store

    policy = licences.policy(license)
    models = [registry.find(name) for name in dict.fromkeys(_model_names(names, policy))]
    for model in models:
        licences.require(model, policy)
    accepted = _accepted_digest(accept_digest, names, models)
    folder = weight_store.weights_folder()
    with download_bar() as on_progress:
        for model in models:
            for file in model.files:
                if accepted and weight_store.find(file) is None:
                    file = replaced_file.fetch(file, folder, accepted, model_name=model.name, on_progress=on_progress)
                    accepted = ""
                elif file.url or weight_store.find(file) is None:  # download replaces a damaged file
                    weight_download.download(file, folder, model_name=model.name, on_progress=on_progress)
                weight_store.verify(file)
            typer.echo(f"{model.name}: installed.{_digest_note(model)}")


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
    from stemwright.models import accepted_digests, registry, user_models, weight_store

    model = registry.find(name)
    if not model.added and not any(file.url for file in model.files):
        raise UsageError(f"{model.name} is part of Stemwright and cannot be removed.")
    kept = {file.name for other in registry.models() if other.name != model.name for file in other.files}
    was_there = [weight_store.remove(file) for file in model.files if file.name not in kept]
    for file in model.files:
        accepted_digests.forget(file)
    if model.added:
        user_models.remove_description(model)
        typer.echo(f"{model.name}: removed.")
    else:
        typer.echo(f"{model.name}: {'removed' if any(was_there) else 'was not installed'}.")


def _accepted_digest(digest: str | None, names: list[str], models: list[Model]) -> str:
    from stemwright.errors import UsageError
    from stemwright.formatting import short_name
    from stemwright.models import weight_store

    if digest is None:
        return ""
    lower = digest.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", lower):
        raise UsageError(f"--accept-digest is '{short_name(digest)}'; give a SHA-256, 64 hexadecimal digits.")
    if names != [model.name for model in models] or len(models) != 1:
        raise UsageError("--accept-digest is for one file of one model; name that model alone.")
    (model,) = models
    if not any(file.url for file in model.files):
        raise UsageError(f"{model.name} is not downloaded, so --accept-digest cannot be for it; name another model.")
    if weight_store.is_available(model):
        raise UsageError(
            f"{model.name} is installed, so there is nothing to accept; to replace it, first run "
            f"`stemwright models remove {model.name}`."
        )
    return lower


def _digest_note(model: Model) -> str:
    """What there is to know of the digests, if not several listings agree on each."""
    from stemwright.models import registry

    files = registry.find(model.name).files  # with what was just accepted
    noted = [file for file in files if file.digest_reports == 1 or file.registry_sha256]
    return "".join(f" The SHA-256 of {file.name} is {file.digest_origin}." for file in noted)


def _model_names(names: list[str], policy: Policy) -> Iterator[str]:
    """Names of models; a plan is replaced by the models that its steps have for all stems."""
    from stemwright.errors import UsageError
    from stemwright.separation.auto_choice import AUTO
    from stemwright.separation.model_choice import choose_models
    from stemwright.separation.plan import plans
    from stemwright.stems import select

    known = {plan.name: plan for plan in plans()}
    for name in names:
        if name == AUTO:
            raise UsageError("The plan auto takes what is installed; `stemwright setup` says what is worth installing.")
        if name in known:
            choice = choose_models(known[name], select("twelve"), policy, download=True)
            yield from (model.name for model in choice.models)
        else:
            yield name
