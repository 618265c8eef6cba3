"""``stemwright models``: what can run."""

from __future__ import annotations

import json

import typer

from stemwright.cli.choices import Json


def models(as_json: Json = False) -> None:
    """Lists the models that can separate: stems, size, licence, and whether they are installed."""
    from stemwright.models import registry, weights
    from stemwright.separation.plan import PLANS

    plans = {model.name: [plan for plan, name in PLANS.items() if name == model.name] for model in registry.models()}
    known = [
        {
            "name": model.name,
            "title": model.title,
            "plans": plans[model.name],
            "stems": list(model.stems),
            "size_bytes": model.size_bytes,
            "licence": model.licence,
            "runtime": model.runtime,
            "installed": weights.is_available(model),
            "url": model.url,
        }
        for model in registry.models()
    ]
    if as_json:
        typer.echo(json.dumps(known, indent=2))
        return
    from stemwright.cli.tables import console, table
    from stemwright.words import megabytes

    rows = table("name", "plan", "title", "stems", "runtime", "licence", "installed", "size", left=7)
    for model, facts in zip(registry.models(), known, strict=True):
        rows.add_row(
            model.name,
            ", ".join(plans[model.name]),
            model.title,
            " ".join(model.stems),
            model.runtime,
            model.licence,
            "yes" if facts["installed"] else "no",
            megabytes(model.size_bytes),
        )
    console().print(rows)
