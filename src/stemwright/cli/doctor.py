"""``stemwright doctor``: describes this machine, and estimates how long a song takes on it."""

from __future__ import annotations

import platform
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from stemwright.cli.common_options import DeviceOption, Json, Plan, Threads
from stemwright.errors import ModelUnavailableError, StemwrightError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stemwright.separation.options import Device

SONG_S = 180.0
TEST_MUSIC_S = 20.0
"""Seconds of music that are separated to measure the speed: two full chunks of the network in the wheel."""

RATE_HZ = 44_100


def doctor(plan: Plan = "fast", device: DeviceOption = "auto", threads: Threads = None, as_json: Json = False) -> None:
    """Checks the installation, and estimates how long a 3-minute song takes on this machine.

    The included network is measured: it separates 20 s of synthetic music. For plans of published networks the time is
    estimated from their number of operations and the speed of a matrix product on the CPU. Nothing is downloaded.
    """
    from stemwright.formatting import json_text

    facts = _system_facts()
    unavailable: ModelUnavailableError | None = None
    try:
        counted = _speed_from_operations(plan)
        facts.update(counted or _measured_speed(plan, device, threads))
    except StemwrightError as error:
        facts["problem"] = str(error)
        unavailable = error if isinstance(error, ModelUnavailableError) else None
    if as_json:
        typer.echo(json_text(facts, indent=2))
    else:
        _print_facts(facts)
    if unavailable is not None:
        raise typer.Exit(unavailable.exit_code)


def _system_facts() -> dict[str, Any]:
    import av
    import onnxruntime

    import stemwright
    from stemwright.cache import cache_folder, writable_cache_folder
    from stemwright.cpu_memory_limits import cores, free_memory_bytes, memory_bytes

    try:
        writable = bool(writable_cache_folder())
    except StemwrightError:
        writable = False
    return {
        "stemwright": stemwright.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "runtime": f"ONNX Runtime {onnxruntime.__version__}",
        "providers": list(onnxruntime.get_available_providers()),
        "torch": _version("torch"),
        "torch_devices": _torch_devices(),
        "pyav": av.__version__,
        "ffmpeg": {name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()},
        "cores": cores(),
        "memory_bytes": memory_bytes(),
        "memory_available_bytes": free_memory_bytes(),
        "disk_free_bytes": shutil.disk_usage(Path()).free,
        "cache_dir": str(cache_folder()),
        "cache_writable": writable,
    }


def _speed_from_operations(plan: str) -> dict[str, Any] | None:
    """Estimates the speed of a plan of published networks on the CPU; None for plans that can be measured directly."""
    from stemwright.cli.models.speed import minutes_for_a_song
    from stemwright.models import registry
    from stemwright.separation.plan import plan_of

    names = dict.fromkeys(step.models[0] for step in plan_of(plan).steps)
    models = [registry.find(name) for name in names]
    if all(model.runtime == "onnx" for model in models):
        return None
    seconds = {model.name: round(60 * (minutes_for_a_song(model) or 0.0), 1) for model in models}
    total_s = sum(seconds.values())
    return {
        "plan": plan,
        "counted_s": seconds,
        "realtime_factor": round(SONG_S / max(total_s, 0.1), 2),
        "song_s": SONG_S,
        "estimate_s": round(total_s, 1),
    }


def _measured_speed(plan: str, device: Device, threads: int | None) -> dict[str, Any]:
    """Times ``stemwright separate --stems twelve`` on a short song, from disk to disk."""
    import tempfile

    import soundfile

    from stemwright.separation.options import Options
    from stemwright.separation.separator import Separator

    separator = Separator(plan, device=device, threads=threads)
    with tempfile.TemporaryDirectory(prefix="stemwright-doctor-") as folder:
        song = Path(folder) / "song.wav"
        soundfile.write(song, _test_music(TEST_MUSIC_S).T, RATE_HZ, "PCM_16")
        started = time.monotonic()
        separator.separate_file(song, Options(stems="twelve", out=Path(folder) / "stems"))
        elapsed_s = time.monotonic() - started
    return {
        "plan": plan,
        "realtime_factor": round(TEST_MUSIC_S / elapsed_s, 2),
        "song_s": SONG_S,
        "estimate_s": round(elapsed_s * SONG_S / TEST_MUSIC_S, 1),
    }


def _test_music(length_s: float) -> NDArray[np.float32]:
    """Chords, a bass, a beat and a lead with vibrato, ``(2, samples)``: every stage of the separation has work to do."""
    import numpy as np

    rng = np.random.default_rng(0)
    t = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    beat = t % 0.5
    noise = rng.standard_normal(t.size)
    roots_hz = np.array([110.0, 146.8, 98.0, 130.8])[(t // 2.0).astype(int) % 4]
    phase = 2 * np.pi * np.cumsum(roots_hz) / RATE_HZ
    lead = np.sin(4 * phase + 3 * np.sin(2 * np.pi * 5.5 * t)) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.7 * t))
    chord = sum(np.sin(ratio * phase) / (1 + index) for index, ratio in enumerate((2.0, 2.5, 3.0, 5.0)))
    drums = np.sin(2 * np.pi * 60 * beat) * np.exp(-12 * beat) + 0.3 * noise * np.exp(-40 * ((t + 0.25) % 0.5))
    bass = np.sign(np.sin(phase)) * np.exp(-2 * beat)
    left = 0.20 * lead + 0.12 * chord + 0.3 * drums + 0.10 * bass
    right = 0.20 * lead + 0.08 * np.roll(chord, 441) + 0.3 * drums + 0.10 * bass
    return np.stack([left, right]).astype(np.float32)


def _torch_devices() -> list[str]:
    """The devices that PyTorch can use; empty if it is not installed."""
    if _version("torch") is None:
        return []
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # a tenth of the time that --help takes

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _print_facts(facts: dict[str, Any]) -> None:
    from rich.text import Text

    from stemwright.cli.tables import console, table
    from stemwright.formatting import clock, megabytes, printable, speed

    lines = {
        "stemwright": f"{facts['stemwright']}, Python {facts['python']}, {facts['system']}",
        "runtime": f"{facts['runtime']} ({', '.join(facts['providers'])})",
        "torch": f"{facts['torch']} ({', '.join(facts['torch_devices'])})"
        if facts["torch"]
        else "not installed; published networks need it: pip install 'stemwright[torch]'",
        "audio": f"PyAV {facts['pyav']} with FFmpeg's libavcodec {facts['ffmpeg'].get('libavcodec', '?')}",
        "cores": str(facts["cores"]),
        "memory": f"{megabytes(facts['memory_bytes'])}, {megabytes(facts['memory_available_bytes'])} of it free",
        "disk": f"{megabytes(facts['disk_free_bytes'])} free here",
        "cache": facts["cache_dir"]
        + ("" if facts["cache_writable"] else " - not writable: set STEMWRIGHT_CACHE_DIR to another folder"),
    }
    if "estimate_s" in facts:
        estimated = ", estimated from its operations, on the CPU" if "counted_s" in facts else ""
        lines["speed"] = f"{speed(facts['realtime_factor'])} with plan {facts['plan']}{estimated}"
        lines["a 3-minute song"] = f"about {clock(facts['estimate_s'])} for twelve stems"
    else:
        lines["speed"] = f"not measured: {facts['problem']}"
    rows = table("", "", left=2)
    rows.show_header = False
    for name, value in lines.items():
        rows.add_row(name, Text(printable(value)))
    console().print(rows)
