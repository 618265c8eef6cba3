"""Addresses that lead inwards, and a source that takes for ever: through the faces and the worker's own handler."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from stemwright.service.ids import parse_id
from stemwright.service.separation_handler import SeparationHandler
from stemwright.service.task import Task
from tests.api.conftest import Server, starting
from tests.http_stub import HttpStub, StubHandler
from tests.service.stub_context import StubContext
from tests.waiting import PATIENCE_S

PUBLIC = "93.184.216.34"  # never reached: the tests' network refuses it
CREDITS_HUNDREDTHS = 100_000


class Inside(HttpStub):
    """A web server of the inner network: what it holds must never be had. It also sends visitors to other places."""

    def __init__(self) -> None:
        super().__init__(InsideHandler)
        self.visits: list[str] = []


class InsideHandler(StubHandler):
    server: Inside

    def answer(self) -> None:
        self.server.visits.append(self.path)
        if self.path.startswith("/to/"):
            self.start(302, {"Location": self.path.removeprefix("/to/")})
        elif self.path == "/drip":
            self.start(200)
            with contextlib.suppress(OSError):
                while not self.server.closing.wait(0.05):
                    self.wfile.write(b"\0")
        else:
            self.reply(404)


@pytest.fixture(scope="module")
def inside() -> Iterator[Inside]:
    with Inside() as inside:
        yield inside


@dataclass(frozen=True)
class Bench:
    """A server that strangers reach, an account that pays, and a worker's handler."""

    server: Server
    client: httpx.Client
    account_id: str
    handler: SeparationHandler

    def work(self) -> None:
        """Works off all that was ordered."""
        while (lease := self.server.service.queue.claim("local/0", 30)) is not None:
            self.handler.run(lease, StubContext())

    def balance(self) -> int | None:
        return self.server.service.ledger.balance(self.account_id)

    def task(self, task_id: str) -> Task:
        return self.server.task(parse_id(task_id) or "")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Bench]:
    with starting(tmp_path_factory.mktemp("sources"), mp3) as start:
        server = start(
            rate_limit="0",
            fetch_timeout_s=PATIENCE_S,
            public_url="https://stems.example.org",
            allowed_hosts="songs.example",
            prices={"separate_vocal": 10, "vocal": 10, "v1": 10},
        )
        with server.another("payer", credits_hundredths=CREDITS_HUNDREDTHS) as client:
            key = client.headers["authorization"].removeprefix("Bearer ")
            account_id = server.service.keys.authenticate(key).account_id
            yield Bench(server, client, account_id, SeparationHandler(server.service))


@dataclass(frozen=True)
class Network:
    """What was asked of the resolver, and where connections went."""

    asked: list[str]
    connected: list[tuple[str, int]]


@pytest.fixture
def network(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Network:
    """A resolver of the test's own; nothing but this machine is reached."""
    network = Network([], [])
    ask, connect = socket.getaddrinfo, socket.create_connection
    turns = itertools.count()
    names: dict[str, Callable[[], Sequence[str]]] = {
        "songs.example": lambda: ["127.0.0.1"],
        "inner.example": lambda: ["10.0.0.1"],
        "mapped.example": lambda: ["::ffff:127.0.0.1"],
        "nat64.example": lambda: ["64:ff9b::7f00:1"],
        "mixed.example": lambda: [PUBLIC, "127.0.0.1"],
        "rebinding.example": lambda: [PUBLIC] if next(turns) % 2 == 0 else ["127.0.0.1"],
    }

    def getaddrinfo(host: str, port: int, *rest: Any, **more: Any) -> Any:
        if host not in names:
            return ask(host, port, *rest, **more)
        network.asked.append(host)
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in names[host]()
        ]

    def create_connection(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
        if address[1] != bench.server.service.settings.port:  # where the tests' own client goes
            network.connected.append(address)
        if not address[0].startswith("127."):
            raise ConnectionRefusedError
        return connect(address, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", create_connection)
    return network


INWARDS = [
    "http://127.0.0.1:PORT/",
    "http://localhost:PORT/",
    "http://[::1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://2130706433:PORT/",
    "http://017700000001:PORT/",
    "http://0x7f000001:PORT/",
    "http://127.1:PORT/",
    "http://0.0.0.0:PORT/",
    "http://169.254.169.254/latest/meta-data/",
    "http://user:word@songs.invalid:PORT/",
    "http://inner.example:PORT/",
    "http://mapped.example:PORT/",
    "http://nat64.example:PORT/",
    "http://mixed.example:PORT/",
]


@pytest.mark.parametrize("face", ["kie", "crun", "ours"])
def test_sources_that_lead_inwards_fail_their_task_and_cost_nothing(
    bench: Bench, inside: Inside, network: Network, face: str
) -> None:
    before, visits = bench.balance(), len(inside.visits)
    urls = [url.replace("PORT", str(inside.port)) for url in INWARDS]
    tasks = {url: ordered(bench, face, url) for url in urls}
    assert bench.balance() == (before or 0) - 1000 * len(urls)
    bench.work()
    for url, task_id in tasks.items():
        task = bench.task(task_id)
        assert (task.state, task.error_code) == ("failed", 451), url
        assert task.error_message is not None and "word" not in task.error_message.replace("password", "")
    assert bench.balance() == before
    assert len(inside.visits) == visits and network.connected == []


@pytest.mark.parametrize("face", ["kie", "crun", "ours"])
@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:PORT/secret.wav", "http://169.254.169.254/", "file:///etc/passwd", "//[::1]:PORT/"]
)
def test_a_redirect_inwards_is_not_followed(
    bench: Bench, inside: Inside, network: Network, face: str, target: str
) -> None:
    before, visits = bench.balance(), len(inside.visits)
    url = f"http://songs.example:{inside.port}/to/{target.replace('PORT', str(inside.port))}"
    task_id = ordered(bench, face, url)
    bench.work()
    assert (bench.task(task_id).state, bench.task(task_id).error_code) == ("failed", 451)
    assert bench.balance() == before
    assert len(inside.visits) == visits + 1 and network.connected == [("127.0.0.1", inside.port)]


def test_a_name_that_turns_inwards_is_asked_once(bench: Bench, inside: Inside, network: Network) -> None:
    visits = len(inside.visits)
    task_id = ordered(bench, "kie", f"http://rebinding.example:{inside.port}/")
    bench.work()
    assert bench.task(task_id).error_code == 451
    assert network.asked == ["rebinding.example"]
    assert network.connected == [(PUBLIC, inside.port)] and len(inside.visits) == visits


def test_an_upload_by_url_goes_nowhere_inwards(bench: Bench, inside: Inside, network: Network) -> None:
    visits, files = len(inside.visits), blobs(bench)
    for url in INWARDS:
        asked = {"fileUrl": url.replace("PORT", str(inside.port)), "uploadPath": "audio"}
        reply = bench.client.post("/api/file-url-upload", json=asked).json()
        assert (reply["success"], reply["code"], reply["data"]) == (False, 400, None), url
    assert len(inside.visits) == visits and network.connected == [] and blobs(bench) == files


@pytest.mark.parametrize("face", ["kie", "crun", "ours"])
def test_callbacks_that_lead_inwards_are_blocked(bench: Bench, inside: Inside, network: Network, face: str) -> None:
    visits = len(inside.visits)
    for url in INWARDS:
        callback = url.replace("PORT", str(inside.port))
        task = bench.task(ordered(bench, face, "http://10.0.0.1/", callback))
        bench.work()
        bench.server.deliver()
        log = bench.server.service.callbacks.log(task.account_id, task.id)
        assert [(row.attempt, row.state, row.status_code) for row in log] == [(1, "blocked", None)], url
    assert len(inside.visits) == visits and network.connected == []


def test_a_redirect_of_a_callback_is_not_followed(bench: Bench, inside: Inside, network: Network) -> None:
    hook = f"http://songs.example:{inside.port}/to/http://songs.example:{inside.port}/secret"
    task = bench.task(ordered(bench, "kie", "http://10.0.0.1/", hook))
    bench.work()
    bench.server.deliver()
    log = bench.server.service.callbacks.log(task.account_id, task.id)
    assert log[0].status_code == 302 and log[0].state != "delivered"
    assert "/secret" not in inside.visits


def test_a_source_that_drips_is_given_up(
    bench: Bench, inside: Inside, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = bench.server.service
    monkeypatch.setattr(service.fetcher, "_settings", service.settings.model_copy(update={"fetch_timeout_s": 0.5}))
    before, files = bench.balance(), blobs(bench)
    task_id = ordered(bench, "kie", f"http://songs.example:{inside.port}/drip")
    bench.work()
    task = bench.task(task_id)
    assert (task.state, task.error_code) == ("failed", 451)
    assert task.error_message is not None and "did not answer in time" in task.error_message
    assert bench.balance() == before and blobs(bench) == files


def ordered(bench: Bench, face: str, url: str, callback: str | None = None) -> str:
    """Orders a separation; gives its id."""
    if face == "kie":
        reply = bench.client.post("/api/v1/vocal-removal/generate", json={"audioUrl": url, "callBackUrl": callback})
        return str(reply.json()["data"]["taskId"])
    if face == "crun":
        order = {"model": "suno/vocal-separation", "input": {"audio_url": url}, "callback_url": callback}
        reply = bench.client.post("/api/v1/client/job/CreateTask", json=order)
        return str(reply.json()["data"]["task_id"])
    reply = bench.client.post("/v1/separations", json={"url": url, "callback_url": callback})
    return str(reply.json()["id"])


def blobs(bench: Bench) -> set[str]:
    folder = bench.server.service.settings.data / "files"
    return {str(path) for path in folder.rglob("*") if path.is_file()}
