from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from stemwright.cpu_memory_limits import cores
from stemwright.models import registry, speed

MODEL = registry.find("htdemucs")


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of measurements, in a cache folder that does not exist yet; a machine without a GPU."""
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("stemwright.models.devices.likely_gpu", lambda: None)
    return tmp_path / "cache" / "speed.json"


@pytest.fixture
def no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure() -> float:
        raise AssertionError("a separation must not wait for a measurement")

    monkeypatch.setattr(speed, "_measure", measure)


def keep(kept: Path, **facts: object) -> None:
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps({"machine": speed._machine(), **facts}))


@pytest.mark.usefixtures("no_measuring")
def test_without_a_measurement_a_bound_is_taken_and_nothing_is_written(kept: Path) -> None:
    expected = MODEL.gflop_per_s / (speed.EFFICIENCY * speed.LEAST_CORE_GFLOP_PER_S * cores())
    assert speed.known_speed().time_ratio(MODEL, "cpu", cores()) == pytest.approx(expected)
    assert not speed.is_measured()
    assert not kept.parent.exists()


@pytest.mark.usefixtures("no_measuring")
def test_the_measured_speed_counts_unless_the_machine_was_busy_then(kept: Path) -> None:
    keep(kept, gflop_per_s=1e4)
    assert speed.is_measured()
    assert speed.known_speed().time_ratio(MODEL, "auto", cores()) == pytest.approx(
        MODEL.gflop_per_s / speed.EFFICIENCY / 1e4
    )
    keep(kept, gflop_per_s=0.5)
    assert speed.known_speed().gflop_per_s == speed.LEAST_CORE_GFLOP_PER_S * cores()


@pytest.mark.usefixtures("no_measuring")
def test_fewer_threads_take_longer_and_more_do_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "cores", lambda: 8)
    whole = speed.known_speed().time_ratio(MODEL, "cpu", 8)
    assert speed.known_speed().time_ratio(MODEL, "cpu", 2) == pytest.approx(4 * whole)
    assert speed.known_speed().time_ratio(MODEL, "cpu", 64) == whole


def test_the_least_time_of_a_model_is_kept_for_its_device_and_threads() -> None:
    for ratio in (0.5, 0.7, 0.4):
        speed.record_time_ratio(MODEL, "auto", 2, ratio)
    assert speed.known_speed().time_ratio(MODEL, "cpu", 2) == 0.4
    assert speed.known_speed().time_ratio(MODEL, "cuda", 2) == MODEL.gflop_per_s / speed.LEAST_GPU_GFLOP_PER_S
    assert speed.known_speed().time_ratio(MODEL, "cpu", 1) != 0.4
    speed.record_time_ratio(MODEL, "cuda", 2, 0.01)
    assert speed.known_speed().time_ratio(MODEL, "cuda", 16) == 0.01, "threads do not matter on a GPU"


def test_both_kinds_of_measurements_are_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speed.record_time_ratio(MODEL, "cpu", 2, 0.5)
    speed.record_time_ratio(registry.find("htdemucs-6s"), "cpu", 2, 0.4)
    monkeypatch.setattr(speed, "_measure", lambda: 300.0)
    speed.gflop_per_s.cache_clear()
    assert speed.gflop_per_s() == 300.0
    speed.gflop_per_s.cache_clear()
    assert speed.known_speed().time_ratio(MODEL, "cpu", 2) == 0.5
    assert len(json.loads(kept.read_text())["models"]) == 2
    assert [path.name for path in kept.parent.iterdir()] == ["speed.json"]


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.inf, math.nan])
def test_what_is_no_time_is_not_kept(kept: Path, ratio: float) -> None:
    speed.record_time_ratio(MODEL, "cpu", 2, ratio)
    assert not kept.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"gflop_per_s": 1000.0}',
        b'{"machine": "another", "gflop_per_s": 1000.0}',
        b'{"machine": "THIS", "gflop_per_s": "fast", "models": [1]}',
        b'{"machine": "THIS", "gflop_per_s": true, "models": {"KEY": null}}',
        b'{"machine": "THIS", "gflop_per_s": NaN, "models": {"KEY": -1}}',
    ],
)
def test_a_file_that_makes_no_sense_counts_as_none(kept: Path, content: bytes) -> None:
    kept.parent.mkdir()
    key = speed._key(MODEL, "cpu", 2)
    kept.write_bytes(content.replace(b"THIS", speed._machine().encode()).replace(b"KEY", key.encode()))
    expected = MODEL.gflop_per_s / (speed.EFFICIENCY * speed.LEAST_CORE_GFLOP_PER_S * cores())
    assert speed.known_speed().time_ratio(MODEL, "cpu", cores()) == pytest.approx(expected)
    speed.record_time_ratio(MODEL, "cpu", 2, 0.5)
    assert speed.known_speed().time_ratio(MODEL, "cpu", 2) == 0.5


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    speed.record_time_ratio(MODEL, "cpu", 2, 0.5)
    assert speed.known_speed().time_ratio(MODEL, "cpu", 2) > 0


def test_of_a_model_of_unknown_work_nothing_is_promised() -> None:
    unknown = replace(MODEL, name="unknown", gflop_per_s=0.0)
    assert speed.known_speed().time_ratio(unknown, "cpu", 2) == math.inf
    assert speed.known_speed().time_ratio(registry.find("stemwright-12"), "cpu", 2) == 0.0
