"""An installation of many machines: a database, a store, API servers and workers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from stemwright.errors import StorageError
from stemwright.service.service import Service
from stemwright.settings import read_settings
from tests.drills.machines.host import Host
from tests.drills.machines.network import Network
from tests.drills.tree import CREDITS
from tests.postgresql import PostgresqlServer, running_postgresql
from tests.seaweedfs import BUCKET, SeaweedFs
from tests.waiting import wait_until

APIS = ("api-1", "api-2")
WORKERS = ("worker-1", "worker-2", "worker-3")
STORE = "store"

SETTINGS = {
    "PRICES": '{"v1": 3}',
    "RATE_LIMIT": "0",
    "PLAN": "fast",
    "WEBHOOK_KEY": "the key of the drill",
    "CALLBACK_RETRY_S": ",".join(["1"] * 60),
    # A song that a killed worker had in hand has done nothing wrong, and here they are killed all the time.
    "ATTEMPTS": "1000",
    # Often, so that killed workers leave songs in their middle.
    "COPY_WORK_S": "1",
}
"""``STEMWRIGHT_*`` of all processes. All else is as it is by default: the lease, the store's patience, callbacks."""

HOLDER = text(
    """
    SELECT jobs.lock AS task, jobs.args ->> 'token' AS token, workers.pid
    FROM procrastinate_jobs AS jobs JOIN workers ON workers.id = jobs.worker_id WHERE jobs.status = 'doing'
    """
)
HEARD = text(
    """
    SELECT count(*) FROM workers JOIN procrastinate_workers USING (id)
    WHERE pid = :pid AND last_heartbeat > clock_timestamp() - interval '2 seconds'
    """
)


@dataclass(frozen=True)
class InHand:
    """A task that a worker has in hand, and the token of its lease."""

    task_id: str
    token: str
    pid: int


class Installation:
    """All parts of it; made by ``running``."""

    def __init__(
        self,
        folder: Path,
        service: Service,
        database: PostgresqlServer,
        store: SeaweedFs,
        hosts: list[Host],
        network: Network,
    ) -> None:
        self.folder = folder
        self.service = service
        self.database = database
        self.store = store
        self.hosts = hosts
        self.network = network

    @property
    def apis(self) -> list[Host]:
        """The API servers."""
        return [host for host in self.hosts if host.role == "api"]

    @property
    def workers(self) -> list[Host]:
        """The workers."""
        return [host for host in self.hosts if host.role == "worker"]

    def create_account(self, name: str) -> str:
        """Makes a metered account; returns its key."""
        return self.service.keys.create(name, credits_hundredths=CREDITS).key

    def in_hand(self) -> list[InHand]:
        """What the workers have in hand; nothing while the database does not answer."""
        try:
            with self.service.database.read() as session:
                return [InHand(row.task, row.token, row.pid) for row in session.execute(HOLDER)]
        except StorageError:
            return []

    def is_heard(self, pid: int) -> bool:
        """Whether a worker's process has given a sign of life to the database just now."""
        try:
            with self.service.database.read() as session:
                return bool(session.scalar(HEARD, {"pid": pid}))
        except StorageError:
            return False

    def has_ended(self, task_id: str) -> bool:
        """Whether a task has ended, as far as the database answers."""
        try:
            task = self.service.tasks.any(task_id)
        except StorageError:
            return False
        return task is not None and task.has_ended

    @contextmanager
    def without_store(self) -> Iterator[None]:
        """Nobody reaches the store."""
        if not self.network.cut_off(STORE):
            with self.store.frozen():
                yield
            return
        try:
            yield
        finally:
            self.network.rejoin(STORE)

    def wait_until_ready(self) -> None:
        """Waits until all API servers answer, and all workers take tasks."""
        with httpx.Client(trust_env=False) as client:
            for api in self.apis:
                wait_until(lambda: _is_ready(client, api), f"{api.name} is ready ({api.log})")  # noqa: B023
        wait_until(lambda: len(self.service.fleet.workers()) >= len(self.workers), "all workers are ready")


@contextmanager
def running(network: Network) -> Iterator[Installation]:
    """Starts everything; at the end nothing of it is left."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drill", ignore_cleanup_errors=True)))
        database = stack.enter_context(running_postgresql(network.own_address))
        url = database.create_database(template="template")
        (folder / STORE).mkdir()
        store = stack.enter_context(SeaweedFs(folder / STORE, address=network.add(STORE), within=network.within(STORE)))
        settings = SETTINGS | {
            "DATABASE_URL": url,
            "STORAGE_URL": f"s3://{BUCKET}/drill",
            "PUBLIC_URL": "http://stems.example.org",
            "ALLOWED_HOSTS": network.own_address,
        }
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("STEMWRIGHT_", "AWS_"))}
        environment = {**bare, **store.environment(), "XDG_DATA_HOME": str(folder / "no-weights")}
        environment |= {f"STEMWRIGHT_{name}": value for name, value in settings.items()}
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment.items():
            patch.setenv(name, value)
        service = Service.open(read_settings(data=folder / "operator"))
        stack.callback(service.close)
        service.keys.create("operator")  # without a key no server listens on another address than loopback
        hosts = [
            Host(name, "api" if name in APIS else "worker", network, folder, environment) for name in APIS + WORKERS
        ]
        for host in hosts:
            stack.callback(host.end)
            host.start()
        yield Installation(folder, service, database, store, hosts, network)


def _is_ready(client: httpx.Client, api: Host) -> bool:
    try:
        return client.get(f"{api.url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
