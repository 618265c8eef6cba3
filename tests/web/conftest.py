"""A server with a finished separation, and a browser. Without Chromium these tests skip."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.service.ids import dashed, new_id
from stemwright.service.task import Stem, Task
from stemwright.stems import select
from tests.api.conftest import Server, starting
from tests.web.browser import Browser, Page, browsing, chromium

__all__ = ["mp3"]

from tests.api.conftest import mp3

RATE = 44_100
SECONDS = 11.3
TITLE = "<img src=x onerror=alert(1)> & “song”"


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("there is no chromium; make test-web installs it")
    # First the server, so that the browser is closed before it: a page that follows a task holds a stream open.
    request.getfixturevalue("server")
    with browsing(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(autouse=True)
def _no_tab_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tabs that are open go on asking their server, and slow down all that follows."""
    yield
    if "browser" in request.fixturenames:
        request.getfixturevalue("browser").close_pages()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Server]:
    with starting(tmp_path_factory.mktemp("web"), mp3) as start:
        yield start(rate_limit="0")


@dataclass(frozen=True)
class Finished:
    """A separation that has ended: its id, and the samples ``(samples, channels)`` of its stems."""

    id: str
    parts: dict[str, NDArray[np.int16]]

    @property
    def song(self) -> NDArray[np.int16]:
        return added(self.parts)


def sounds(names: tuple[str, ...], channels: int = 2) -> dict[str, NDArray[np.int16]]:
    """Noise for each stem but the last, which is silent."""
    length = int(RATE * SECONDS)
    rng = np.random.default_rng(5)
    parts = {name: rng.integers(-2500, 2500, (length, channels)).astype(np.int16) for name in names[:-1]}
    return {**parts, names[-1]: np.zeros((length, channels), np.int16)}


def added(parts: dict[str, NDArray[np.int16]]) -> NDArray[np.int16]:
    return sum(parts.values(), np.zeros_like(next(iter(parts.values()))))


def as_file(samples: NDArray[np.int16], form: str) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format=form, subtype="PCM_16")
    return content.getvalue()


def finish(server: Server, task_id: str, parts: dict[str, NDArray[np.int16]]) -> Task:
    """Ends a task with these stems, as a worker would."""
    lease = server.hold(task_id)
    length, channels = next(iter(parts.values())).shape
    seconds = length / RATE
    stems = []
    for position, (name, samples) in enumerate(parts.items()):
        blob = server.store(as_file(samples, "FLAC"))
        plays = bool(samples.any())
        level = -25.0 if plays else None
        stems.append(
            Stem(new_id(), name, position, blob.digest, "flac", blob.size_bytes, seconds, plays, 0.9, level, level)
        )
    facts = {"sample_rate": RATE, "channels": channels, "samples": length, "gain_db": 0.0}
    assert server.service.worker_tasks.succeed(
        task_id, lease.token, stems, seconds=seconds, cache_key=None, facts=facts
    )
    return server.task(task_id)


@pytest.fixture(scope="module")
def finished(server: Server) -> Finished:
    """Drums, bass and a silent rest."""
    return finished_song(server, sounds(select("drums,bass").names))


def finished_song(server: Server, parts: dict[str, NDArray[np.int16]]) -> Finished:
    song = added(parts)
    blob = server.store(as_file(song, "WAV"))
    track = server.service.tracks.add_stored(server.caller.account_id, blob, title=TITLE, seconds=len(song) / RATE)
    names = [name for name in parts if name != "residual"]
    made = server.client.post("/v1/separations", json={"track_id": track.id, "stems": names, "format": "flac"}).json()
    task = finish(server, made["id"].replace("-", ""), parts)
    return Finished(dashed(task.id), parts)


@pytest.fixture
def page(browser: Browser, server: Server) -> Page:
    """A tab that has the key."""
    page = browser.new_page()
    page.open(f"{server.url}/#key={server.key}")
    page.wait_for("document.querySelector('.drop-zone')")
    return page


@pytest.fixture
def sound_file(tmp_path: Path) -> Path:
    path = tmp_path / "A song of the tests.wav"
    path.write_bytes(as_file(added(sounds(("a", "b"))), "WAV"))
    return path
