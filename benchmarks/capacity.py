"""What a number of songs a day needs, and what breaks first: ``python -m benchmarks.capacity``.

A day is simulated song by song: they arrive at random around a daily curve, wait for a worker, and are separated; workers
die, and the database is away once. Beside it stands how much of each part is in use in the busiest minute. The rates are
those of docs/benchmarks.md; ``--measure`` measures the database's on this machine. Network, store and lengths of songs are
assumptions: give your own.
"""

from __future__ import annotations

import argparse
import heapq
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Load:
    """What comes in.

    Attributes:
        songs_per_day: of all accounts.
        song_s: mean length of a song; lengths are log-normal with ``spread`` as the sigma of their logarithm.
        peak: arrivals in the busiest minute over the mean; the daily curve is a sine.
        polls: requests for a task's state until it has ended.
        song_mb, stems_mb: of an uploaded song, and of all its stems.
    """

    songs_per_day: float = 1e6
    song_s: float = 210.0
    spread: float = 0.35
    peak: float = 2.0
    polls: int = 5
    song_mb: float = 8.0
    stems_mb: float = 40.0

    @property
    def songs_per_s(self) -> float:
        """In the mean of the day."""
        return self.songs_per_day / DAY_S


@dataclass(frozen=True)
class Parts:
    """What serves it.

    Attributes:
        workers: each separates one song at a time.
        real_time_factor: seconds of song that a worker separates in a second.
        overhead_s: of each task, beside the separation: fetching the song, storing the stems.
        api_servers: each answers on one core.
        submit_s, poll_s: processor time of an API server for one request.
        orders_per_s, leases_per_s, ends_per_s: what the database serves (``capacity_rates.Rates``). The defaults are
            of SQLite on two cores: 1,000 orders in 6.9 s, then ended one after another within 29 s (docs/benchmarks.md).
        network_mbit: between the store and the rest.
        store_tb: room in the store; kept_days: how long files stay.
        worker_lives_s: mean time until a worker dies of something; found_s: until its task runs elsewhere;
            lost_s: work that is done again then.
        database_away_s: once a day, at its busiest.
    """

    workers: int = 180
    real_time_factor: float = 34.8
    overhead_s: float = 1.0
    api_servers: int = 2
    submit_s: float = 0.0072
    poll_s: float = 0.0030
    orders_per_s: float = 145.0
    leases_per_s: float = 45.0
    ends_per_s: float = 45.0
    network_mbit: float = 25_000.0
    store_tb: float = 800.0
    kept_days: float = 14.0
    worker_lives_s: float = 7 * DAY_S
    found_s: float = 15.0
    lost_s: float = 10.0
    database_away_s: float = 60.0


@dataclass(frozen=True)
class Day:
    """A simulated day.

    Attributes:
        arrived_s, waited_s: of each song, in order.
        work_s: seconds of work of all workers.
        restarts: songs whose worker died.
    """

    arrived_s: Float
    waited_s: Float
    work_s: float
    restarts: int

    def waited(self, percent: float) -> float:
        """That percentile of the waits, in seconds."""
        return float(np.percentile(self.waited_s, percent))


def simulate(load: Load, parts: Parts, seed: int = 0) -> Day:
    """A day with one queue, in order of arrival."""
    rng = np.random.default_rng(seed)
    arrived = _arrivals(load, rng)
    lengths = load.song_s * np.exp(rng.normal(-(load.spread**2) / 2, load.spread, arrived.size))
    work = lengths / parts.real_time_factor + parts.overhead_s
    dies = rng.random(arrived.size) < work / parts.worker_lives_s
    away = (DAY_S / 2, DAY_S / 2 + parts.database_away_s)
    free = [0.0] * parts.workers  # when each worker is free again
    waited = np.empty(arrived.size)
    for index, (arrival, seconds, died) in enumerate(zip(arrived, work, dies, strict=True)):
        begin = max(arrival, free[0])
        if away[0] <= begin < away[1]:
            begin = away[1]
        waited[index] = begin - arrival
        heapq.heapreplace(free, begin + seconds + (parts.found_s + parts.lost_s if died else 0.0))
    return Day(arrived, waited, float(work.sum()), int(dies.sum()))


def _arrivals(load: Load, rng: np.random.Generator) -> Float:
    """Moments of a Poisson process whose rate is a sine over the day, busiest at noon."""
    minutes = np.arange(DAY_S // 60)
    curve = 1 - (load.peak - 1) * np.cos(2 * math.pi * minutes / minutes.size)
    counts = rng.poisson(load.songs_per_s * 60 * curve)
    return np.sort(np.repeat(minutes * 60.0, counts) + rng.uniform(0, 60, counts.sum()))


def use(load: Load, parts: Parts) -> dict[str, float]:
    """How much of each part is in use in the busiest minute; above 1 it cannot keep up. The store: once it is full."""
    songs_per_s = load.songs_per_s * load.peak
    work_s = load.song_s / parts.real_time_factor + parts.overhead_s
    written_mb = load.song_mb + load.stems_mb
    moved_mb = written_mb + load.song_mb + load.stems_mb  # uploaded, fetched by a worker, stored, downloaded once
    return {
        "workers": songs_per_s * work_s / parts.workers,
        "API servers": songs_per_s * (parts.submit_s + load.polls * parts.poll_s) / parts.api_servers,
        "leases of the queue": songs_per_s / parts.leases_per_s,
        "database": songs_per_s * (1 / parts.orders_per_s + 1 / parts.ends_per_s),
        "network of the store": songs_per_s * moved_mb * 8 / parts.network_mbit,
        "room in the store": load.songs_per_day * parts.kept_days * written_mb / 1e6 / parts.store_tb,
    }


def first_to_break(load: Load, parts: Parts) -> tuple[str, float]:
    """The part that is full first as more songs come, and at how many songs a day."""
    shares = use(load, parts)
    part = max(shares, key=lambda name: shares[name])
    return part, load.songs_per_day / shares[part]


def workers_needed(load: Load, parts: Parts, wait_s: float, seed: int = 0) -> int:
    """The fewest workers with which 99 songs of 100 wait no longer than ``wait_s`` on a day without an outage."""
    calm = replace(parts, database_away_s=0.0)
    low, high = 1, 2 + math.ceil(2 * use(load, parts)["workers"] * parts.workers)
    while low < high:
        middle = (low + high) // 2
        if simulate(load, replace(calm, workers=middle), seed).waited(99) <= wait_s:
            high = middle
        else:
            low = middle + 1
    return low


def main() -> None:
    """Simulates, and prints what is in use."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    load, parts = Load(), Parts()
    parser.add_argument("--songs-per-day", type=float, default=load.songs_per_day)
    parser.add_argument("--song-s", type=float, default=load.song_s, help="mean length of a song")
    parser.add_argument("--peak", type=float, default=load.peak, help="busiest minute over the mean, 1 to 2")
    parser.add_argument("--workers", type=int, default=parts.workers)
    parser.add_argument("--real-time-factor", type=float, default=parts.real_time_factor, help="of one worker")
    parser.add_argument("--api-servers", type=int, default=parts.api_servers)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--find-workers", type=float, metavar="S", help="how many, so that 99 of 100 wait at most S")
    parser.add_argument("--measure", type=int, metavar="TASKS", help="measure this database with so many tasks first")
    parser.add_argument("--picture", type=Path, help="draw the waits of the day for some numbers of workers")
    given = parser.parse_args()
    load = replace(load, songs_per_day=given.songs_per_day, song_s=given.song_s, peak=given.peak)
    parts = replace(
        parts, workers=given.workers, real_time_factor=given.real_time_factor, api_servers=given.api_servers
    )
    if given.measure:
        from benchmarks.capacity_rates import measure

        name, rates = measure(given.measure)
        print(
            f"{name}: {rates.orders_per_s:.0f} orders, {rates.leases_per_s:.0f} leases, {rates.ends_per_s:.0f} ends a"
        )
        print(f"second; an ended task keeps {rates.task_bytes / 1000:.1f} KB in the database")
        parts = replace(
            parts,
            orders_per_s=rates.orders_per_s,
            leases_per_s=rates.leases_per_s,
            ends_per_s=rates.ends_per_s,
        )
    if given.find_workers is not None:
        parts = replace(parts, workers=workers_needed(load, parts, given.find_workers, given.seed))
    report(load, parts, given.seed)
    if given.picture:
        draw(load, parts, given.seed, given.picture)


def report(load: Load, parts: Parts, seed: int) -> None:
    """Prints the day."""
    day = simulate(load, parts, seed)
    what = f"{parts.workers} workers of {parts.real_time_factor:g} x"
    print(f"{load.songs_per_day:,.0f} songs a day of {load.song_s:.0f} s, {what}")
    print(f"waits: p50 {day.waited(50):.1f} s, p99 {day.waited(99):.1f} s, longest {day.waited_s.max():.0f} s")
    print(f"workers busy {day.work_s / parts.workers / DAY_S:.0%} of the day; {day.restarts} songs begun again")
    print("in use in the busiest minute:")
    for part, share in sorted(use(load, parts).items(), key=lambda pair: -pair[1]):
        print(f"  {part:22} {share:6.0%}")
    part, songs = first_to_break(load, parts)
    print(f"first to break: {part}, at {songs:,.0f} songs a day")


def draw(load: Load, parts: Parts, seed: int, path: Path) -> None:
    """Draws the longest wait of each five minutes, for 90, 100 and 110 % of the workers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for share in (0.9, 1.0, 1.1):
        workers = round(parts.workers * share)
        day = simulate(load, replace(parts, workers=workers), seed)
        bins = (day.arrived_s // 300).astype(int)
        longest = np.zeros(DAY_S // 300)
        np.maximum.at(longest, bins, day.waited_s)
        axes.plot(np.arange(longest.size) / 12, np.maximum(longest, 0.1), label=f"{workers} workers")
    axes.set_yscale("log")
    axes.set_xlim(0, 24)
    axes.set_xlabel("hour of the day")
    axes.set_ylabel("longest wait, s")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
