"""``stemwright models list`` and ``show``: the models and their details."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from stemwright.cli.common_options import Json
from stemwright.cli.models.model_options import License, Name

if TYPE_CHECKING:
    from stemwright.models.registry import Model


def list_models(as_json: Json = False, license: License = None) -> None:
    """Lists models: stems, licence of the weights, best published score, size, memory, estimated time of a 3-minute song."""
    from stemwright.models import licences, registry

    policy = licences.policy(license)
    found = [model for model in registry.models() if policy == "any" or licences.is_permissive(model)]
    facts = [_facts(model) for model in found]
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    from rich.text import Text

    from stemwright.cli.tables import console, table
    from stemwright.formatting import megabytes, printable, rounded_minutes

    rows = table("name", "plans", "stems", "licence", "installed", "best score", "size", "RAM", "3 minutes", left=6)
    rows.columns[0].no_wrap = True  # a name is to be copied
    for model, fact in zip(found, facts, strict=True):
        rows.add_row(
            Text(printable(model.name)),
            ", ".join(fact["plans"]),
            " ".join(model.stems),
            Text(printable(model.licence), style="" if fact["permissive"] else "yellow"),
            "yes" if fact["installed"] else "no",
            _best_score(model),
            megabytes(model.size_bytes),
            Text(_gigabytes(fact["ram_mb"]), style="red" if fact["ram_is_short"] else ""),
            rounded_minutes(fact["minutes_for_3_minutes"]),
        )
    console().print(rows)
    if any(not fact["permissive"] for fact in facts):
        typer.echo(
            "Licences other than MIT, Apache, BSD and the like restrict what you may use the weights for: "
            "'stemwright models show NAME' has details, --license permissive hides these models."
        )


def show(name: Name, as_json: Json = False) -> None:
    """Shows the details of a model: files, licences, labels, published scores and their sources."""
    from stemwright.models import registry

    model = registry.find(name)
    facts = _facts(model)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    from rich.text import Text

    from stemwright.cli.tables import console, table
    from stemwright.formatting import printable

    rows = table("", "", left=2)
    rows.show_header = False
    for key, value in _detail_rows(model, facts):
        rows.add_row(key, Text(printable(value)))
    console().print(rows)


def _facts(model: Model) -> dict[str, Any]:
    from stemwright.cpu_memory_limits import memory_bytes
    from stemwright.models import devices, licences, weight_store
    from stemwright.models.speed import minutes_for_a_song
    from stemwright.separation.plan import plans

    ram_bytes = devices.memory_bytes_of(model)
    minutes = minutes_for_a_song(model)
    return {
        "name": model.name,
        "title": model.title,
        "plans": [plan.name for plan in plans() if any(model.name in step.models for step in plan.steps)],
        "stems": list(model.stems),
        "removes": model.removes,
        "labels": list(model.labels),
        "sources": {stem: list(labels) for stem, labels in model.sources.items()},
        "runtime": model.runtime,
        "runtimes": list(devices.runtimes_of(model)),
        "architecture": model.architecture,
        "licence": model.licence,
        "licence_code": model.licence_code,
        "licence_note": model.licence_note,
        "permissive": licences.is_permissive(model),
        "installed": weight_store.is_available(model),
        "files": [asdict(file) for file in model.files],
        "size_bytes": model.size_bytes,
        "ram_mb": round(ram_bytes / 1e6) or None,
        "ram_is_short": ram_bytes > memory_bytes(),
        "gflop_per_s": model.gflop_per_s,
        "minutes_for_3_minutes": None if minutes is None else round(minutes, 1),
        "scores": [asdict(score) for score in model.scores],
        "page": model.page,
        "added": model.added,
    }


def _detail_rows(model: Model, facts: dict[str, Any]) -> list[tuple[str, str]]:
    from stemwright.formatting import megabytes, rounded_minutes

    where = "added by you" if model.added else "from Stemwright's registry"
    chunk = f"{model.chunk_samples} samples, {model.overlap:.0%} overlap" if model.chunk_samples else ""
    minutes = rounded_minutes(facts["minutes_for_3_minutes"])
    lines = [
        ("name", f"{model.name}, {where}"),
        ("title", model.title),
        ("plans", "before any plan, with --denoise" if model.removes else ", ".join([*facts["plans"], model.name])),
        ("stems", " ".join(model.stems)),
        ("from labels", "; ".join(f"{stem} = {' + '.join(labels)}" for stem, labels in model.sources.items())),
        ("labels", " ".join(model.labels)),
        ("runtime", f"{' or '.join(facts['runtimes'])} {model.architecture}".strip()),
        ("licence", f"weights {model.licence}, code {model.licence_code}"),
        ("", model.licence_note),
        ("chunk", chunk),
        ("memory", "" if facts["ram_mb"] is None else f"about {_gigabytes(facts['ram_mb'])}"),
        ("3 minutes", "" if minutes == "–" else f"{minutes} on this machine's CPU"),
        ("page", model.page),
    ]
    for file in model.files:
        lines += [
            ("file", f"{file.name}, {megabytes(file.size_bytes)}"),
            ("", file.url or ("added by you" if model.added else "included in Stemwright")),
            *(("", f"or from {url}") for url in file.mirrors),
            ("", f"SHA-256 {file.sha256}"),
            ("", file.digest_origin),
        ]
    lines.append(("installed", "yes" if facts["installed"] else f"no; `stemwright models download {model.name}`"))
    lines += [("score", f"{one.stem} {one.db:.2f} dB, {one.protocol}: {one.source}") for one in model.scores]
    return [(key, value) for key, value in lines if value]


def _best_score(model: Model) -> str:
    best = max(model.scores, key=lambda score: score.db, default=None)
    return "" if best is None else f"{best.stem} {best.db:.2f} dB, {best.protocol}"


def _gigabytes(ram_mb: int | None) -> str:
    return "–" if ram_mb is None else f"{ram_mb / 1000:.1f} GB"
