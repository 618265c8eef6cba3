"""``stemwright setup``: shows the plans and what they cost on this machine, and installs one."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemwright.cli.common_options import OUTPUT_PANEL, DeviceOption, Json, License, MaxMinutes, Threads
from stemwright.errors import StemwrightError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stemwright.models.licences import Policy
    from stemwright.separation.ladder import Rung, TimeLimit


def setup(
    plan: Annotated[
        str | None,
        typer.Option(metavar="fast|good|best", help="Plan to install. Default: the one that is recommended."),
    ] = None,
    stems: Annotated[
        str,
        typer.Option(
            metavar="two|twelve|NAME[,NAME...]",
            help="Stems that the plan shall separate; fewer may need fewer downloads.",
        ),
    ] = "twelve",
    yes: Annotated[bool, typer.Option("--yes", help="Download without a question.")] = False,
    license: License = None,
    max_minutes: MaxMinutes = None,
    device: DeviceOption = "auto",
    threads: Threads = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.", rich_help_panel=OUTPUT_PANEL)] = False,
) -> None:
    """Shows the plans with their sizes, licences and times on this machine, recommends one, and downloads it after a yes.

    The speed of this machine is measured, which takes a few seconds, and kept for later. Without a terminal and without
    --yes nothing is asked and nothing is downloaded.

    Examples:

      stemwright setup

      stemwright setup --plan good --yes

      stemwright setup --license permissive --json
    """
    from stemwright.cli.machine_facts import machine_facts
    from stemwright.cpu_memory_limits import cores
    from stemwright.formatting import json_text
    from stemwright.models import licences, speed
    from stemwright.separation.ladder import LADDER, TimeLimit, ladder
    from stemwright.stems import select

    selection = select(stems)
    policy = licences.policy(license)
    if plan is not None:
        _check_name(plan, LADDER)
    speed.gflop_per_s()  # measured and kept, for the estimates of all commands
    rungs = ladder(selection, policy, device, threads or cores())
    limit = TimeLimit(max_minutes)
    recommended = _recommended(rungs, limit)
    wanted = recommended if plan is None else next(rung for rung in rungs if rung.name == plan)
    facts: dict[str, Any] = {
        "machine": machine_facts() | _place(wanted),
        "stems": selection.mode,
        "plans": _plan_facts(rungs, limit, device, threads),
        "recommended": recommended.name,
    }
    if not (as_json or quiet):
        _print(facts)
    free_bytes = facts["machine"]["weights_free_bytes"]
    if _is_wanted(wanted, policy, free_bytes, yes=yes, quiet=quiet or as_json):
        _install(wanted, quiet=quiet)
        rungs = ladder(selection, policy, device, threads or cores())
        facts["plans"] = _plan_facts(rungs, limit, device, threads, facts["plans"][0]["song_minutes"])
        if not (as_json or quiet):
            typer.echo(_what_next(next(rung for rung in rungs if rung.name == wanted.name), limit))
    if as_json:
        typer.echo(json_text(facts, indent=2))


def _check_name(plan: str, names: Sequence[str]) -> None:
    from stemwright.errors import UsageError
    from stemwright.formatting import short_name

    if plan not in names:
        raise UsageError(
            f"--plan is '{short_name(plan)}'; choose one of {', '.join(names)}. `stemwright models download NAME` "
            "installs single models."
        )


def _recommended(rungs: Sequence[Rung], limit: TimeLimit) -> Rung:
    """The best plan that this machine can run and that is worth its time."""
    return next(
        rung for rung in reversed(rungs) if rung is rungs[0] or (rung.can_run and rung.time_ratio <= limit.time_ratio)
    )


def _place(rung: Rung) -> dict[str, Any]:
    """Where the weights would go, and whether they can be had."""
    import shutil

    from stemwright.cli.weight_host import host_state, is_switched_off
    from stemwright.models.weight_store import weights_folder

    folder = weights_folder()
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    files = [file for model in rung.missing for file in model.files if file.url]
    return {
        "weights_dir": str(folder),
        "weights_free_bytes": shutil.disk_usage(existing).free,
        "network": host_state(files[0]) if files else "switched off" if is_switched_off() else "not needed",
    }


def _plan_facts(
    rungs: Sequence[Rung], limit: TimeLimit, device: Any, threads: int | None, first_minutes: float | None = None
) -> list[dict[str, Any]]:
    """The plans for JSON. The first one, of the network in the wheel, is measured unless its minutes are given."""
    from stemwright.cli.speed_test import measured_time_ratio
    from stemwright.models.speed import SONG_S
    from stemwright.models.weight_store import is_available

    if first_minutes is None:
        with suppress(StemwrightError):  # a full disk, or no such device: the ladder is shown all the same
            first_minutes = round(measured_time_ratio(rungs[0].name, device, threads) * SONG_S / 60, 2)
    return [
        {
            "plan": rung.name,
            "title": rung.plan.title,
            "installed": rung.installed is not None,
            "models": [
                {"name": model.name, "licence": model.licence, "installed": is_available(model)}
                for model in rung.models
            ],
            "download_bytes": rung.download_bytes,
            "licences": list(rung.licences),
            "song_minutes": first_minutes if rung is rungs[0] else _minutes(rung.time_ratio),
            "worth_its_time": rung is rungs[0] or rung.time_ratio <= limit.time_ratio,
            "memory_bytes": rung.memory_bytes,
            "needs_torch": rung.needs_torch,
            "can_run": rung.can_run,
            "scores": [asdict(score) for score in rung.scores],
        }
        for rung in rungs
    ]


def _minutes(time_ratio: float) -> float | None:
    import math

    from stemwright.models.speed import SONG_S

    return round(time_ratio * SONG_S / 60, 1) if math.isfinite(time_ratio) else None


def _print(facts: dict[str, Any]) -> None:
    from rich.text import Text

    from stemwright.cli.tables import console, table
    from stemwright.formatting import megabytes, printable, rounded_minutes

    machine = facts["machine"]
    devices = machine["torch_devices"][1:] or ["none that is usable"]
    torch = f"PyTorch {machine['torch']}" if machine["torch"] else "no PyTorch"
    typer.echo(
        f"{machine['cores']} cores, {megabytes(machine['memory_bytes'])} of memory, GPU: {', '.join(devices)}, {torch}; "
        f"{megabytes(machine['weights_free_bytes'])} free in {printable(machine['weights_dir'])}; "
        f"network: {machine['network']}."
    )
    none = (
        "none while STEMWRIGHT_OFFLINE is set" if machine["network"] == "switched off" else "none with such a licence"
    )
    rows = table(
        "plan", "models", "licence of the weights", "to download", "3 minutes here", "published scores", left=3
    )
    for one in facts["plans"]:
        scores = ", ".join(f"{score['stem']} {score['db']:.2f}" for score in one["scores"])
        rows.add_row(
            one["plan"] + (" (recommended)" if one["plan"] == facts["recommended"] else ""),
            Text("\n".join(model["name"] for model in one["models"]) or none),
            Text("\n".join(one["licences"])),
            _download_cell(one),
            rounded_minutes(one["song_minutes"]),
            f"{scores} dB, {one['scores'][0]['protocol']}" if scores else "–",
        )
    console().print(rows)
    for one in facts["plans"]:
        if one["needs_torch"]:
            typer.echo(f"{one['plan']} needs PyTorch: pip install 'stemwright[torch]'.")
        if one["memory_bytes"] > machine["memory_bytes"]:
            typer.echo(f"{one['plan']} needs about {megabytes(one['memory_bytes'])} of memory, more than there is.")


def _download_cell(one: dict[str, Any]) -> str:
    from stemwright.formatting import megabytes

    if not one["models"]:
        return "–"
    return megabytes(one["download_bytes"]) if one["download_bytes"] else "installed"


def _is_wanted(rung: Rung, policy: Policy, free_bytes: int, *, yes: bool, quiet: bool) -> bool:
    """Whether to download now. Checks that the plan could run, and asks on a terminal.

    Raises:
        ModelUnavailableError: the plan has no model that is allowed, or no runtime.
        StorageError: the disk has too little room.
    """
    from stemwright.cli.weight_host import is_switched_off
    from stemwright.errors import ModelUnavailableError, StorageError
    from stemwright.formatting import megabytes
    from stemwright.models.weight_store import weights_folder

    if not rung.models:
        barrier = "STEMWRIGHT_OFFLINE" if is_switched_off() else f"the licence setting '{policy}'"
        raise ModelUnavailableError(
            f"No published network of '{rung.name}' can be had, for {barrier} does not allow it; change that, or choose "
            "another plan."
        )
    if not rung.missing:
        if not quiet:
            typer.echo(f"Nothing is to be downloaded: {rung.name} is installed.")
        return False
    if rung.needs_torch:
        raise ModelUnavailableError(f"{rung.name} needs PyTorch: pip install 'stemwright[torch]', then run this again.")
    if free_bytes < rung.download_bytes:
        raise StorageError(
            f"{weights_folder()} has {megabytes(free_bytes)} free and {rung.name} takes {megabytes(rung.download_bytes)}; "
            "make room, or set STEMWRIGHT_MODELS_DIR to another folder."
        )
    cost = f"{megabytes(rung.download_bytes)}, licence of the weights {', '.join(rung.licences)}"
    if yes:
        return True
    if quiet or not (sys.stdin.isatty() and sys.stdout.isatty()):
        if not quiet:
            typer.echo(f"To download {rung.name} ({cost}): stemwright setup --plan {rung.name} --yes")
        return False
    return typer.confirm(f"Download {rung.name} ({cost})?")


def _install(rung: Rung, *, quiet: bool) -> None:
    from stemwright.cli.download_bar import download_bar
    from stemwright.cli.interrupt import InterruptHandler
    from stemwright.models.engine_loading import fetch_weights

    with InterruptHandler(quiet=True) as interrupt, download_bar(quiet=quiet) as bar, interrupt.deferred():
        for model in rung.missing:
            fetch_weights(model, bar, interrupt.is_set)


def _what_next(rung: Rung, limit: TimeLimit) -> str:
    if rung.installed_time_ratio <= limit.time_ratio:
        return f"{rung.name} is installed: `stemwright separate SONG` uses it from now on."
    return (
        f"{rung.name} is installed: `stemwright separate SONG --plan {rung.name}` uses it. Without --plan it is not used, "
        f"since a song takes about {rung.installed_time_ratio:.0f} times its length; --max-minutes allows more."
    )
