"""Speed and memory of the server on this machine: ``make bench-server``.

A server with one worker is started as ``stemwright serve`` starts it, limits off. While the worker separates a long song:
orders at 50 a second, polls at 200 a second, an upload of 200 MB. Before that, with a worker that separates nothing: polls
with 500 streams of events open and without, how long a thousand orders take, and how soon after a task's end its callback
arrives.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil

from benchmarks.load import TimedResponse, at_rate, http, percentile_ms
from benchmarks.separate import write_song

REAL = "stemwright.service.separation_handler:create_handler"
TRIVIAL = "benchmarks.trivial:handler"
ENDLESS = "benchmarks.trivial:endless"
ORDERS = 1000
READY_S = 600
STREAMS = 500
TURNS = 5
POLLS, POLLS_PER_S = 500, 50
"""Beside streams. The server, its clients and its worker share two cores: at 200 a second, what is measured is chance."""
WARM_UP = 50
"""Polls before each measurement, which are not counted: connections are opened with them."""


@dataclass(frozen=True)
class Server:
    """A server in a separate process."""

    port: int
    key: str
    process: psutil.Process

    def client(self) -> httpx.Client:
        """A client with the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=120)

    def memory_mb(self) -> float:
        """Memory of the server's own process."""
        return float(self.process.memory_info().rss) / 1e6


@contextmanager
def serving(data: Path, handler: str) -> Iterator[Server]:
    """A server on a free port, ended by SIGTERM."""
    command = [sys.executable, "-m", "benchmarks.server", str(data), handler]
    root = Path(__file__).parent.parent  # workers import their handler by name, not from the current directory
    modules = os.pathsep.join([str(root), str(root / "src")])
    log = (data.parent / f"{data.name}.log").open("w")
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | {"PYTHONPATH": modules}
    )
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(2)]
    port = int(said[0].split("http://127.0.0.1:")[1].split()[0])
    try:
        server = Server(port, said[1].split()[-1], psutil.Process(child.pid))
        with server.client() as client:
            deadline = time.monotonic() + READY_S
            while client.get("/readyz").status_code != 200:
                if time.monotonic() > deadline:
                    raise SystemExit(f"The server is not ready after {READY_S} s:\n{Path(log.name).read_text()}")
                time.sleep(0.1)
        yield server
    finally:
        child.terminate()
        child.wait()
        log.close()


def upload(client: httpx.Client, song: Path) -> tuple[str, str]:
    """Uploads a song; returns its ids."""
    with song.open("rb") as file:
        answer = client.post("/v1/tracks", files={"file": (song.name, file, "audio/wav")})
    answer.raise_for_status()
    ids = answer.json()
    return ids["task_id"], ids["audio_id"]


def order_request(server: Server, ids: tuple[str, str], hook: str) -> bytes:
    """A request for a separation in kie's API."""
    body = {"taskId": ids[0], "audioId": ids[1], "type": "separate_vocal", "callBackUrl": hook}
    return http("POST", "/api/v1/vocal-removal/generate", server.key, json.dumps(body).encode())


def print_latencies(what: str, answers: list[TimedResponse]) -> list[str]:
    """Prints the latencies; returns the task ids, if any."""
    bodies = [json.loads(answer.body) for answer in answers]
    assert all(body["code"] == 200 for body in bodies), bodies[0]
    print(f"{what}: p50 {percentile_ms(answers, 50):.1f} ms, p99 {percentile_ms(answers, 99):.1f} ms", flush=True)
    return [body["data"]["taskId"] for body in bodies]


def under_load(folder: Path) -> None:
    """Requests while a worker separates, and the memory of a large upload."""
    write_song(folder / "long.wav", 20)
    write_song(folder / "short.wav", 0.1)
    with serving(folder / "busy", REAL) as server, server.client() as client:
        long = upload(client, folder / "long.wav")
        client.post(
            "/api/v1/vocal-removal/generate",
            json={"taskId": long[0], "audioId": long[1], "type": "split_stem", "callBackUrl": "http://127.0.0.1:9/"},
        ).raise_for_status()
        time.sleep(3)
        measure_upload(server, client, folder)
        request = order_request(server, upload(client, folder / "short.wav"), "http://127.0.0.1:9/")
        answers = at_rate("127.0.0.1", server.port, 50, ORDERS, lambda _: request)
        made = print_latencies(f"submit, 50 a second, {ORDERS} times", answers)
        polls = [http("GET", f"/api/v1/vocal-removal/record-info?taskId={task}", server.key) for task in made]
        answers = at_rate("127.0.0.1", server.port, 200, 4000, lambda index: polls[index % len(polls)])
        print_latencies("record-info, 200 a second, 4000 times", answers)
        print(f"server after all this: {server.memory_mb():.0f} MB")


def measure_upload(server: Server, client: httpx.Client, folder: Path) -> None:
    """Uploads 200 MB while a thread samples the server's memory."""
    big = folder / "big.wav"
    write_song(big, 200e6 / (44_100 * 4 * 60))
    before, most, ends = server.memory_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not ends.wait(0.02):
            most[0] = max(most[0], server.memory_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.monotonic()
    upload(client, big)
    ends.set()
    watcher.join()
    seconds, size = time.monotonic() - begun, big.stat().st_size / 1e6
    print(
        f"upload of {size:.0f} MB: {seconds:.1f} s, server {before:.0f} MB before, {most[0]:.0f} MB at most", flush=True
    )


def through_the_queue(folder: Path) -> None:
    """A thousand orders and their callbacks, with a worker that separates nothing."""
    write_song(folder / "short.wav", 0.1)
    with (
        callback_receiver() as (hook, arrived),
        serving(folder / "quick", TRIVIAL) as server,
        server.client() as client,
    ):
        request = order_request(server, upload(client, folder / "short.wav"), hook)
        begun = time.monotonic()
        made = print_latencies(
            "submit, as fast as it goes", at_rate("127.0.0.1", server.port, 1e6, ORDERS, lambda _: request)
        )
        accepted = time.monotonic() - begun
        while len(arrived) < ORDERS:
            time.sleep(0.05)
        ended = time.monotonic() - begun
        delays = []
        for task in made:
            answer = client.get("/api/v1/vocal-removal/record-info", params={"taskId": task}).json()["data"]
            assert answer["successFlag"] == "SUCCESS"
            delays.append(TimedResponse(arrived[task] - answer["completeTime"] / 1000, 200, b""))
    print(f"{ORDERS} tasks: accepted in {accepted:.1f} s, ended and called back in {ended:.1f} s")
    slow = max(delay.seconds for delay in delays)
    print(f"callback after the end: p50 {percentile_ms(delays, 50):.0f} ms, slowest {1000 * slow:.0f} ms")


def with_streams(folder: Path) -> None:
    """Polls with and without 500 open event streams of a task with progress once a second, alternately."""
    write_song(folder / "short.wav", 0.1)
    with serving(folder / "streams", ENDLESS) as server, server.client() as client:
        request = order_request(server, upload(client, folder / "short.wav"), "http://127.0.0.1:9/")
        (task,) = print_latencies("submit, once", at_rate("127.0.0.1", server.port, 1, 1, lambda _: request))
        poll = http("GET", f"/api/v1/vocal-removal/record-info?taskId={task}", server.key)
        answers: dict[int, list[TimedResponse]] = {0: [], STREAMS: []}
        for _ in range(TURNS):
            for n_streams, taken in answers.items():
                with listening(server, task, n_streams):
                    at_rate("127.0.0.1", server.port, POLLS_PER_S, WARM_UP, lambda _: poll)
                    taken += at_rate("127.0.0.1", server.port, POLLS_PER_S, POLLS, lambda _: poll)
                wait_until_closed(client)  # what closing them takes belongs to neither
        for n_streams, taken in answers.items():
            print_latencies(
                f"record-info, {POLLS_PER_S} a second, {TURNS} times {POLLS}, {n_streams} streams open", taken
            )
        without, beside = (percentile_ms(taken, 99) for taken in answers.values())
        print(f"p99 with {STREAMS} streams: {beside / without:.2f} times that without", flush=True)
        print(f"server after all this: {server.memory_mb():.0f} MB")


def wait_until_closed(client: httpx.Client) -> None:
    """Waits until the server has no event stream open."""
    deadline = time.monotonic() + READY_S
    while "\nstemwright_event_streams 0" not in client.get("/metrics").text:
        if time.monotonic() > deadline:
            raise SystemExit(f"The server still has event streams open after {READY_S} s.")
        time.sleep(0.1)


@contextmanager
def listening(server: Server, task: str, n_streams: int) -> Iterator[None]:
    """Opens event streams of a task in a separate process."""
    if not n_streams:
        yield
        return
    command = [sys.executable, "-m", "benchmarks.listeners", str(server.port), server.key, task, str(n_streams)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        if child.stdout.readline() != "open\n":
            raise SystemExit("The streams of events could not be opened.")
        yield
        if child.poll() is not None:
            raise SystemExit("The streams of events ended early.")
        child.stdin.close()


@contextmanager
def callback_receiver() -> Iterator[tuple[str, dict[str, float]]]:
    """A receiver of callbacks that records their arrival times."""
    arrived: dict[str, float] = {}

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            arrived.setdefault(body["data"]["task_id"], time.time())
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{receiver.server_address[1]}/hook", arrived
    finally:
        receiver.shutdown()


def main() -> None:
    """Measures and prints."""
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        with_streams(Path(folder))
        through_the_queue(Path(folder))
        under_load(Path(folder))


if __name__ == "__main__":
    main()
