"""``stemwright doctor``: describes this machine, and estimates how long a song takes on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from stemwright.cli.common_options import DeviceOption, Json, Plan, Threads
from stemwright.errors import ModelUnavailableError, StemwrightError, UsageError

if TYPE_CHECKING:
    from stemwright.separation.options import Device

SONG_S = 180.0


def doctor(plan: Plan = "auto", device: DeviceOption = "auto", threads: Threads = None, as_json: Json = False) -> None:
    """Checks the installation, and estimates how long a 3-minute song takes on this machine.

    The included network is measured: it separates 20 s of synthetic music. For plans of published networks the time is
    that of earlier separations, or estimated from their number of operations and the speed of a matrix product on the
    CPU. Nothing is downloaded.
    """
    from stemwright.cli.machine_facts import machine_facts
    from stemwright.formatting import json_text

    facts = machine_facts() | _storage()
    unavailable: ModelUnavailableError | None = None
    try:
        facts.update(_speed(plan, device, threads))
    except StemwrightError as error:
        facts["problem"] = str(error)
        unavailable = error if isinstance(error, ModelUnavailableError) else None
    if as_json:
        typer.echo(json_text(facts, indent=2))
    else:
        _print_facts(facts)
    if unavailable is not None:
        raise typer.Exit(unavailable.exit_code)


def _storage() -> dict[str, Any]:
    """The object store of a server here, and what is wrong with it; nothing where there is none."""
    from stemwright.cli.data_folder import load_settings

    try:
        settings = load_settings()
    except UsageError:  # no server is installed here, or its own commands say what is wrong with its settings
        return {}
    if settings.storage_url is None:
        return {}
    from stemwright.storage.store import backend_of

    try:
        backend = backend_of(settings)
        backend.check()
    except StemwrightError as error:
        return {"storage": settings.storage_url, "storage_problem": str(error)}
    return {"storage": str(backend), "storage_problem": None}


def _speed(plan: str, device: Device, threads: int | None) -> dict[str, Any]:
    """Measures a plan of the network in the wheel, and estimates one of published networks."""
    from math import isfinite

    from stemwright.cli.speed_test import measured_time_ratio
    from stemwright.cpu_memory_limits import cores
    from stemwright.models import licences, speed
    from stemwright.separation.auto_choice import resolved
    from stemwright.separation.model_choice import choose_models
    from stemwright.separation.plan import plan_of
    from stemwright.stems import select

    speed.gflop_per_s()  # measured for the estimates, here and later
    name = resolved(plan, "twelve", device, threads)
    choice = choose_models(plan_of(name), select("twelve"), licences.policy(), download=True)
    facts: dict[str, Any] = {"plan": name, "song_s": SONG_S}
    if choice.is_published:
        known = speed.known_speed()
        ratios = {model.name: known.time_ratio(model, device, threads or cores()) for model in choice.models}
        facts["counted_s"] = {name: round(SONG_S * ratio, 1) for name, ratio in ratios.items() if isfinite(ratio)}
        total_s = sum(facts["counted_s"].values())  # of one whose operations are not known nothing can be said
    else:
        total_s = SONG_S * measured_time_ratio(name, device, threads)
    return facts | {"realtime_factor": round(SONG_S / max(total_s, 0.1), 2), "estimate_s": round(total_s, 1)}


def _print_facts(facts: dict[str, Any]) -> None:
    from rich.text import Text

    from stemwright.cli.tables import console, table
    from stemwright.formatting import clock, megabytes, printable, speed

    lines = {
        "stemwright": f"{facts['stemwright']}, Python {facts['python']}, {facts['system']}",
        "runtime": f"{facts['runtime']} ({', '.join(facts['providers'])})",
        "torch": f"{facts['torch']} ({', '.join(facts['torch_devices'])})"
        if facts["torch"]
        else "not installed; most published networks need it: pip install 'stemwright[torch]'",
        "audio": f"PyAV {facts['pyav']} with FFmpeg's libavcodec {facts['ffmpeg'].get('libavcodec', '?')}",
        "cores": str(facts["cores"]),
        "memory": f"{megabytes(facts['memory_bytes'])}, {megabytes(facts['memory_available_bytes'])} of it free",
        "disk": f"{megabytes(facts['disk_free_bytes'])} free here",
        "cache": facts["cache_dir"]
        + ("" if facts["cache_writable"] else " - not writable: set STEMWRIGHT_CACHE_DIR to another folder"),
    }
    if "storage" in facts:
        lines["storage"] = facts["storage_problem"] or facts["storage"]
    if "estimate_s" in facts:
        estimated = ", estimated from its operations and earlier separations" if "counted_s" in facts else ""
        lines["speed"] = f"{speed(facts['realtime_factor'])} with plan {facts['plan']}{estimated}"
        lines["a 3-minute song"] = f"about {clock(facts['estimate_s'])} for twelve stems"
    else:
        lines["speed"] = f"not measured: {facts['problem']}"
    rows = table("", "", left=2)
    rows.show_header = False
    for name, value in lines.items():
        rows.add_row(name, Text(printable(value)))
    console().print(rows)
