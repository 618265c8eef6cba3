"""The queue of many machines, on PostgreSQL: ``make bench-machines``.

Measures how long a lease takes while many tasks wait, how many orders a second an API server accepts, how the number of
workers changes what is done, how soon another machine has the task of one that dies, and how soon a cancellation reaches a
worker. The database is Debian's PostgreSQL in a temporary folder, with a sync for every commit, or
the empty one of STEMWRIGHT_DATABASE_URL.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from benchmarks.load import at_rate, percentile_ms
from benchmarks.separate import write_song
from benchmarks.serve import TRIVIAL, order_request, serving, upload
from stemwright.database.engine import Database
from stemwright.jobs.procrastinate_queue import ProcrastinateQueue
from stemwright.jobs.supervisor import Supervisor
from stemwright.logs import configure_logs
from stemwright.service.service import Service
from stemwright.service.task import Submission
from stemwright.settings import SHARED_LEASE_S, read_settings
from tests.jobs.conftest import enqueue
from tests.jobs.machine import Machine
from tests.postgresql import running_postgresql
from tests.waiting import wait_until

WAITING = (0, 1000, 100_000)
ACCOUNTS = (50, 1000)
LEASES = 300
ORDER_RATES = (50, 100, 200, 500)
ORDERS_S = 5
N_WORKERS = (1, 2, 4, 8)
TASKS = 200
DEATHS = 5
PACED = "benchmarks.trivial:paced"

FILL = text(
    """
    SELECT procrastinate_defer_jobs_v1(array_agg(ROW('separation', 'task', 0, 'waiting-' || n, 'waiting-' || n,
        jsonb_build_object('task', 'waiting-' || n, 'account', 'account-' || n % :accounts, 'plan', 'fast'), NULL
    )::procrastinate_job_to_defer_v1)) FROM generate_series(1, :tasks) AS n
    """
)


@dataclass(frozen=True)
class Times:
    """Times in milliseconds."""

    median_ms: float
    p99_ms: float

    @classmethod
    def of(cls, seconds: list[float]) -> Times:
        """Those of single measurements, in seconds."""
        ordered = sorted(1000 * each for each in seconds)
        return cls(statistics.median(ordered), ordered[int(len(ordered) * 0.99)])

    def __str__(self) -> str:
        return f"p50 {self.median_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"


def main() -> None:
    """Prints the figures."""
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.0f} before", flush=True)
    configure_logs("bench")  # to standard error
    leases()
    orders()
    throughput()
    deaths()


@contextlib.contextmanager
def an_empty_database() -> Iterator[str]:
    """The URL of a database without tables."""
    if "STEMWRIGHT_DATABASE_URL" in os.environ:
        yield os.environ["STEMWRIGHT_DATABASE_URL"]
        return
    with running_postgresql() as server:
        server.execute("ALTER SYSTEM SET fsync = on")
        server.execute("SELECT pg_reload_conf()")
        yield server.create_database()


def leases() -> None:
    """How long it takes to be given a task, and to complete it, while others wait."""
    for accounts in ACCOUNTS:
        for tasks in WAITING:
            with an_empty_database() as url:
                database = Database(url)
                database.migrate()
                queue = ProcrastinateQueue(database)
                with database.write() as session:
                    session.execute(FILL, {"tasks": tasks + LEASES, "accounts": accounts})
                with database.engine.connect() as connection:
                    connection.execute(text("ANALYZE procrastinate_jobs"))
                    connection.commit()
                taken, completed = [], []
                for _ in range(LEASES):
                    begun = time.perf_counter()
                    lease = queue.claim("bench/0", 600)
                    given = time.perf_counter()
                    assert lease is not None
                    queue.complete(lease)
                    taken.append(given - begun)
                    completed.append(time.perf_counter() - given)
                database.close()
            print(
                f"{tasks:,} tasks of {accounts:,} accounts wait: lease {Times.of(taken)}; complete {Times.of(completed)}",
                flush=True,
            )


def orders() -> None:
    """How soon orders are accepted, by one API server without workers."""
    with tempfile.TemporaryDirectory(prefix="bench") as name, an_empty_database() as url:
        write_song(Path(name) / "song.wav", 0.1)
        os.environ |= {"STEMWRIGHT_DATABASE_URL": url, "STEMWRIGHT_WORKERS": "0"}
        try:
            with serving(Path(name) / "api", TRIVIAL) as server, server.client() as client:
                order = order_request(server, upload(client, Path(name) / "song.wav"), "http://127.0.0.1:9/")
                for rate in ORDER_RATES:
                    begun, cpu_s = time.perf_counter(), sum(server.process.cpu_times()[:2])
                    answers = at_rate("127.0.0.1", server.port, rate, rate * ORDERS_S, lambda _: order)
                    took = time.perf_counter() - begun
                    cpu_ms = 1000 * (sum(server.process.cpu_times()[:2]) - cpu_s) / len(answers)
                    assert all(answer.status == 200 for answer in answers)
                    print(
                        f"{rate} orders a second for {ORDERS_S} s: p50 {percentile_ms(answers, 50):.0f} ms, "
                        f"p99 {percentile_ms(answers, 99):.0f} ms; {len(answers) / took:.0f} a second accepted, "
                        f"{cpu_ms:.1f} ms of the server's processor time each",
                        flush=True,
                    )
        finally:
            del os.environ["STEMWRIGHT_DATABASE_URL"], os.environ["STEMWRIGHT_WORKERS"]


def throughput() -> None:
    """Tasks a second with workers whose engine takes a tenth of a second for each."""
    root = Path(__file__).parent.parent
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), str(root / "src")])
    for workers in N_WORKERS:
        with tempfile.TemporaryDirectory(prefix="bench") as name, an_empty_database() as url:
            settings = read_settings(data=Path(name), database_url=url, workers=workers, rate_limit="0", lease_s=120)
            service = Service.open(settings)
            caller = service.keys.authenticate(service.keys.create("bench").key)
            supervisor = Supervisor(settings, service.queue, PACED)
            supervisor.start()
            while supervisor.n_ready < workers:
                time.sleep(0.1)
            order = Submission("native", "v1", "two", "fast", "wav", source_url="http://127.0.0.1:9/song.wav")
            for _ in range(TASKS):
                service.tasks.submit(caller, order)
            before, begun = service.statistics.read(), time.perf_counter()
            while (now := service.statistics.read()).waiting + now.running:
                time.sleep(0.2)
            took = time.perf_counter() - begun
            done = before.waiting + before.running
            print(f"{workers} workers: {done / took:.1f} tasks a second", flush=True)
            supervisor.drain()
            service.close()


def deaths() -> None:
    """How soon another machine has the task of one that dies, and how soon its worker hears of a cancellation."""
    with tempfile.TemporaryDirectory(prefix="bench") as name, an_empty_database() as url:
        database = Database(url)
        database.migrate()
        times = [_death(database, Path(name) / str(number), f"long-{number}") for number in range(DEATHS)]
        database.close()
    for what, seconds in zip(
        ("another machine has a dead one's task", "a worker hears of a cancellation"),
        zip(*times, strict=True),
        strict=True,
    ):
        print(f"{what} after {min(seconds):.2f} to {max(seconds):.2f} s")


def _death(database: Database, folder: Path, task: str) -> tuple[float, float]:
    """Seconds until the second machine has the task of the first, and until it hears that the task is cancelled."""
    folder.mkdir()
    queue = ProcrastinateQueue(database)
    enqueue(database, queue, task)
    first = Machine(folder / "first", database.url, SHARED_LEASE_S)
    wait_until(lambda: first.has("begin"), "the first machine has the task")
    second = Machine(folder / "second", database.url, SHARED_LEASE_S)
    wait_until(lambda: _registered(database) == 2, "the second machine is ready")
    first.send(signal.SIGKILL)
    died_at = time.perf_counter()
    wait_until(lambda: second.has("begin"), "the second machine has the task")
    begun_at = time.perf_counter()
    with database.write() as session:
        queue.request_cancel(session, task)
    asked_at = time.perf_counter()
    wait_until(lambda: second.has("cancelled"), "the worker hears of it")
    heard_at = time.perf_counter()
    second.stop()
    first.process.communicate()
    return begun_at - died_at, heard_at - asked_at


def _registered(database: Database) -> int:
    with database.read() as session:
        return session.scalar(text("SELECT count(*) FROM workers")) or 0


if __name__ == "__main__":
    main()
