"""Files in an S3-compatible store: ``make bench-storage``.

Measures how fast files go there and come back, how long a redirect takes, and what a download costs the server with
redirects and without. The store is SeaweedFS, started here; or that of STEMWRIGHT_STORAGE_URL and ``AWS_*``, if they
are set.
"""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks.load import at_rate, http, percentile_ms
from benchmarks.serve import TRIVIAL, Server, serving
from stemwright.settings import read_settings
from stemwright.storage.bucket_setup import set_up
from stemwright.storage.store import Store
from tests.seaweedfs import BUCKET, SeaweedFs

SIZE = 200_000_000
PIECE = 1_000_000
REDIRECTS, REDIRECTS_PER_S = 2000, 100


def main() -> None:
    """Prints the figures."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, files of {SIZE / 1e6:.0f} MB", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench") as name, a_store(Path(name)):
        folder = Path(name)
        content = folder / "content"
        with content.open("wb") as file:
            for _ in range(SIZE // PIECE):
                file.write(os.urandom(PIECE))
        set_up(os.environ["STEMWRIGHT_STORAGE_URL"])
        without_a_server(folder, content)
        for links in ("redirect", "serve"):
            os.environ["STEMWRIGHT_STORAGE_LINKS"] = links
            with serving(folder / links, TRIVIAL) as server:
                through_a_server(server, content, links)


@contextlib.contextmanager
def a_store(folder: Path) -> Iterator[None]:
    """Has the environment name a store."""
    if "STEMWRIGHT_STORAGE_URL" in os.environ:
        yield
        return
    with SeaweedFs(folder) as server:
        os.environ |= server.environment() | {"STEMWRIGHT_STORAGE_URL": f"s3://{BUCKET}/bench"}
        yield


def without_a_server(folder: Path, content: Path) -> None:
    """What a worker does: a file goes there whole, and comes back."""
    store = Store.open(read_settings(data=folder / "worker"))
    copy = folder / "copy"
    copy.write_bytes(content.read_bytes())
    begun = time.perf_counter()
    blob = store.put_file(copy)
    print_rate("a worker stores a file", begun)
    begun = time.perf_counter()
    for _ in store.read(blob.digest):
        pass
    print_rate("a worker reads it", begun)


def through_a_server(server: Server, content: Path, links: str) -> None:
    """An upload, downloads, and answers that redirect."""
    most, ends = [0.0], threading.Event()
    before = server.memory_mb()

    def watch() -> None:
        while not ends.wait(0.02):
            most[0] = max(most[0], server.memory_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    with server.client() as client, content.open("rb") as file:
        form = {"file": ("song.wav", file, "audio/wav")}
        made = client.post("/api/file-stream-upload", data={"uploadPath": "bench"}, files=form, timeout=600)
    made.raise_for_status()
    ends.set()
    watcher.join()
    print_rate(f"{links}: an upload; the server has {before:.0f} MB before and {most[0]:.0f} MB at most", begun)
    url = made.json()["data"]["downloadUrl"]
    cpu, begun = cpu_s(server), time.perf_counter()
    with httpx.stream("GET", url, follow_redirects=True, timeout=600) as answer:
        assert sum(len(piece) for piece in answer.iter_raw()) == SIZE
    used = cpu_s(server) - cpu
    print_rate(f"{links}: a download, for which the server works {1000 * used:.0f} ms", begun)
    if links == "redirect":
        request = http("GET", urlsplit(url).path, server.key)
        answers = at_rate("127.0.0.1", server.port, REDIRECTS_PER_S, REDIRECTS, lambda _: request)
        assert {one.status for one in answers} == {307}
        print(
            f"redirects, {REDIRECTS_PER_S} a second, {REDIRECTS} times: p50 {percentile_ms(answers, 50):.1f} ms, "
            f"p99 {percentile_ms(answers, 99):.1f} ms",
            flush=True,
        )


def cpu_s(server: Server) -> float:
    """Processor time of the server's own process."""
    times = server.process.cpu_times()
    return float(times.user + times.system)


def print_rate(what: str, begun: float) -> None:
    """Prints how fast it was."""
    print(f"{what}: {SIZE / 1e6 / (time.perf_counter() - begun):.0f} MB/s", flush=True)


if __name__ == "__main__":
    main()
