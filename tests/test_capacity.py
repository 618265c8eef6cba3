"""The capacity model: its queue against the textbook, and what it says breaks first."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.capacity import DAY_S, Load, Parts, first_to_break, simulate, use, workers_needed
from benchmarks.capacity_rates import measure

EVEN = Load(songs_per_day=20_000, spread=0.0, peak=1.0)
CALM = Parts(database_away_s=0.0, worker_lives_s=math.inf, overhead_s=0.0, real_time_factor=100.0)


def test_one_worker_waits_as_the_formula_says() -> None:
    """M/D/1: the mean wait is utilisation x service time / (2 x (1 - utilisation))."""
    parts = replace(CALM, workers=1)
    service_s = EVEN.song_s / parts.real_time_factor
    busy = EVEN.songs_per_s * service_s
    waits = [simulate(EVEN, parts, seed).waited_s.mean() for seed in range(10)]
    assert sum(waits) / len(waits) == pytest.approx(busy * service_s / (2 * (1 - busy)), rel=0.1)


def test_a_queue_that_gets_more_than_it_can_do_grows_all_day() -> None:
    parts = replace(CALM, workers=1, real_time_factor=30.0)  # 1.6 times as much as it can do
    day = simulate(EVEN, parts)
    surplus = EVEN.songs_per_s * EVEN.song_s / parts.real_time_factor - 1
    assert day.waited_s[-1] == pytest.approx(surplus * DAY_S, rel=0.1)


def test_an_outage_of_the_database_delays_and_loses_nothing() -> None:
    calm = replace(CALM, workers=4)
    away = replace(calm, database_away_s=300.0)
    assert simulate(EVEN, away).waited_s.max() == pytest.approx(300, abs=10)
    assert simulate(EVEN, away).waited_s.size == simulate(EVEN, calm).waited_s.size


def test_a_dead_worker_delays_its_song_alone() -> None:
    parts = replace(CALM, workers=4, worker_lives_s=3600.0)
    day = simulate(EVEN, parts)
    assert day.restarts == pytest.approx(day.work_s / 3600, rel=0.5)
    assert day.waited(50) < 1


def test_the_part_that_is_full_first_is_named() -> None:
    load = Load(songs_per_day=1e6)
    assert first_to_break(load, Parts(workers=10))[0] == "workers"
    rich = Parts(workers=10_000, store_tb=1e5, network_mbit=1e6, api_servers=100)
    part, songs = first_to_break(load, replace(rich, leases_per_s=1000.0, orders_per_s=1000.0, ends_per_s=30.0))
    assert part == "database"
    assert use(
        replace(load, songs_per_day=songs), replace(rich, leases_per_s=1000.0, orders_per_s=1000.0, ends_per_s=30.0)
    )[part] == pytest.approx(1)


def test_as_many_workers_as_needed_and_no_more() -> None:
    load = replace(EVEN, peak=2.0)
    needed = workers_needed(load, CALM, wait_s=1.0)
    assert simulate(load, replace(CALM, workers=needed)).waited(99) <= 1.0
    assert simulate(load, replace(CALM, workers=needed - 1)).waited(99) > 1.0


def test_the_rates_are_measured_on_a_real_database() -> None:
    name, rates = measure(tasks=8)
    assert name == "sqlite"
    assert min(rates.orders_per_s, rates.leases_per_s, rates.ends_per_s) > 0


def test_it_prints_what_breaks_first_and_draws_the_day(tmp_path: Path) -> None:
    picture = tmp_path / "day.png"
    command = [sys.executable, "-m", "benchmarks.capacity", "--songs-per-day", "20000", "--workers", "3"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1] / "src"), "."])}
    done = subprocess.run(
        [*command, "--picture", str(picture)],
        cwd=Path(__file__).parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "first to break: workers, at " in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
