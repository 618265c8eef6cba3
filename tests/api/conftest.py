"""A server on a free port of this machine, with a key, a song, and methods that end its tasks as a worker would."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from sqlalchemy import text

from stemwright.api.app import callback_bodies, create_app
from stemwright.api.http_protocol import StrictHttpProtocol
from stemwright.audio.encode import Encoder, Tags
from stemwright.audio.formats import OutputFormat
from stemwright.database import tables
from stemwright.jobs.queue import Lease
from stemwright.service import server_state
from stemwright.service.clock import steady_time
from stemwright.service.ids import new_id
from stemwright.service.keys import Caller
from stemwright.service.service import Service
from stemwright.service.submissions import MAINTENANCE
from stemwright.service.task import Stem, Task
from stemwright.service.tracks import Track
from stemwright.settings import read_settings
from stemwright.stems import select
from stemwright.storage.store import StoredBlob
from stemwright.wire_names import SONG
from tests.server_state import NewState, in_data_folder
from tests.stand_in import StandIn
from tests.waiting import PATIENCE_S

SECONDS = 0.3


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        service: what it works on; key: of the account ``alice``, which may do everything and pays for nothing.
        url: where it listens; also what its links begin with.
        client: speaks to it with the key.
        mp3: a small real song.
    """

    service: Service
    url: str
    key: str
    client: httpx.Client
    mp3: bytes

    @property
    def caller(self) -> Caller:
        return self.service.keys.authenticate(self.key)

    def another(self, name: str | None = None, **options: Any) -> httpx.Client:
        """A client with a new key, by default of an account of its own; ``options`` are those of ``Keys.create``."""
        key = self.service.keys.create(name or f"bob-{new_id()}", **options).key
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_S)

    def store(self, content: bytes) -> StoredBlob:
        with self.service.store.writer() as writer:
            writer.write(content)
            return writer.commit()

    def add_track(self, title: str = "song") -> Track:
        """An uploaded song of alice's."""
        blob = self.store(self.mp3)
        return self.service.tracks.add_stored(
            self.caller.account_id,
            blob,
            title=title,
            file_name=f"{title}.mp3",
            media_type="audio/mpeg",
            seconds=SECONDS,
        )

    def stored_files(self) -> list[str]:
        """Names of the files that it stores, and of those that are coming in."""
        service = self.service
        names = [path.name for path in (service.settings.data / "files").rglob("*") if path.is_file()]
        return [*names, *service.store.digests()] if service.store.is_remote else names

    def hold(self, task_id: str) -> Lease:
        """Takes the task from the queue and begins it."""
        with self.service.database.write() as session:
            # Others may wait before it.
            if self.service.database.is_sqlite:
                session.get_one(tables.Job, task_id).priority = 1_000_000
            else:
                first = text("UPDATE procrastinate_jobs SET priority = 1000000 WHERE lock = :task")
                session.execute(first, {"task": task_id})
        lease = self.service.queue.claim("a worker of the tests", 30.0)
        assert lease is not None and lease.task_id == task_id
        assert self.service.worker_tasks.begin(task_id, lease.token) is not None
        return lease

    def succeed(self, task_id: str, *, seconds: float = SECONDS, lease: Lease | None = None) -> Task:
        """Ends the task well, with the stems that it asks for; each is the small song."""
        lease = lease or self.hold(task_id)
        task = self.task(task_id)
        blob = self.store(self.mp3)
        stems = [
            Stem(new_id(), name, position, blob.digest, task.format, blob.size_bytes, seconds, True, 0.9, -3.0, -20.0)
            for position, name in enumerate([task.stem_name or SONG] if task.is_wav else select(task.stems_asked).names)
        ]
        assert self.service.worker_tasks.succeed(task_id, lease.token, stems, seconds=seconds, cache_key=None, facts={})
        return self.task(task_id)

    def fail(self, task_id: str, code: int, message: str, *, lease: Lease | None = None) -> Task:
        """Ends the task badly."""
        lease = lease or self.hold(task_id)
        assert self.service.worker_tasks.fail(task_id, lease.token, code, message)
        return self.task(task_id)

    def task(self, task_id: str) -> Task:
        task = self.service.tasks.any(task_id)
        assert task is not None
        return task

    def maintain(self) -> None:
        """Takes no new tasks from now on."""
        with self.service.database.write() as session:
            server_state.put(session, MAINTENANCE, "on")

    def deliver(self) -> int:
        """Delivers the callbacks that are due."""
        return self.service.callbacks.run_due(callback_bodies(self.service))


@pytest.fixture(scope="session")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real song of 0.3 s."""
    path = tmp_path_factory.mktemp("mp3") / "song"
    samples = np.random.default_rng(0).standard_normal((2, int(44_100 * SECONDS))).astype(np.float32) * np.float32(0.1)
    fmt = OutputFormat("mp3", "mp3", None, 128, lossless=False)
    with Encoder(path, fmt, sample_rate=44_100, channels=2, tags=Tags(None, None, None, "song")) as encoder:
        encoder.write(samples)
    return path.read_bytes()


OpenServer = Callable[..., Server]


@pytest.fixture
def open_server(tmp_path: Path, mp3: bytes, new_state: NewState) -> Iterator[OpenServer]:
    """Starts a server with settings of the test's own; ``loops=True`` lets it deliver callbacks and sweep by
    itself, ``key`` is one of another server on the same database.
    """
    with starting(tmp_path, mp3, new_state) as start:
        yield start


@pytest.fixture
def server(open_server: OpenServer) -> Server:
    """A server with the settings that it has from nothing."""
    return open_server()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, mp3: bytes, new_state: NewState) -> Iterator[Server]:
    """As the vendor answers, with nothing added."""
    with starting(tmp_path_factory.mktemp("strict"), mp3, new_state) as start:
        yield start(lenient=False, rate_limit="0")


@pytest.fixture
def world() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, mp3: bytes, new_state: NewState) -> Iterator[Server]:
    """One server for all tests of a module that leave others alone; it has no limit of rate."""
    with starting(tmp_path_factory.mktemp("shared"), mp3, new_state) as start:
        yield start(rate_limit="0")


@contextlib.contextmanager
def starting(folder: Path, mp3: bytes, new_state: NewState = in_data_folder) -> Iterator[OpenServer]:
    with contextlib.ExitStack() as stack:
        count = 0

        def start(
            *, loops: bool = False, clock: Callable[[], float] = time.time, key: str | None = None, **settings: object
        ) -> Server:
            nonlocal count
            count += 1
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            # asyncio does this to sockets of its own only, and a reply would wait 40 ms for an acknowledgement.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            port = listener.getsockname()[1]
            named: dict[str, object] = {"data": folder / f"data-{count}", "host": "127.0.0.1", "port": port}
            if "database_url" not in settings:
                named |= stack.enter_context(new_state())
            service = Service.open(
                read_settings(**{**named, **settings}),
                clock,
                steady_time if clock is time.time else clock,  # a clock of the test moves both, so it does not jump
            )
            stack.callback(service.close)
            stack.enter_context(_serving(service, listener, loops=loops))
            key = key or service.keys.create("alice").key
            url = f"http://127.0.0.1:{port}"
            client = stack.enter_context(
                httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_S)
            )
            return Server(service, url, key, client, mp3)

        yield start


@contextlib.contextmanager
def _serving(service: Service, listener: socket.socket, *, loops: bool) -> Iterator[None]:
    config = uvicorn.Config(
        create_app(service),
        http=StrictHttpProtocol,
        lifespan="on" if loops else "off",
        ws="none",
        log_level="error",
        access_log=False,
    )
    process = uvicorn.Server(config)
    thread = threading.Thread(target=process.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not process.started and thread.is_alive():
            time.sleep(0.005)
        yield
    finally:
        process.should_exit = True
        thread.join()
