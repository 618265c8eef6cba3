"""Hostile files, sent to a real server and taken by its real worker: each is told of, and nobody is the worse for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from stemwright.database.engine import Database
from stemwright.service.keys import Keys
from tests.api import hostile_songs as songs
from tests.http_stub import HttpStub, StubHandler
from tests.serving import Serving, workers_of
from tests.waiting import PATIENCE_S

LONGEST_MINUTES = 0.5
CREDITS = 1000
NO_SOUND = "The song is not an audio file that can be read"
HOLDS_NOTHING = "The song holds no sound"
TOO_LONG = f"The song is longer than {LONGEST_MINUTES:g} minutes, the limit of this server: shorten it."


class Canary(HttpStub):
    """A web server that only counts who comes."""

    def __init__(self) -> None:
        super().__init__(CanaryHandler)
        self.visits: list[str] = []


class CanaryHandler(StubHandler):
    server: Canary

    def answer(self) -> None:
        self.server.visits.append(self.path)
        self.reply(404)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("hostile")
    settings = {"rate_limit": "0", "max_song_minutes": str(LONGEST_MINUTES), "worker_memory_mb": "2000"}
    with Serving(folder / "data", **settings) as serving:
        serving.read_key()
        yield serving


@pytest.fixture(scope="module")
def client(serving: Serving) -> Iterator[httpx.Client]:
    """Of an account that pays."""
    database = Database.in_folder(serving.data)
    key = Keys(database).create("payer", credits_hundredths=100 * CREDITS).key
    database.close()
    with serving.client(key) as client:
        yield client


@pytest.fixture(scope="module")
def warm(client: httpx.Client) -> None:
    """The worker has its model loaded, and all code of a good song behind it."""
    assert separated(client, {"good": songs.wav(44_100, 44_100)})["good"]["state"] == "succeeded"


def separated(client: httpx.Client, files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """Sends all files, orders their separation, and gives the records of how they ended."""
    tasks = {}
    for name, content in files.items():
        sent = client.post("/v1/tracks", files={"file": (name, content, "audio/mpeg")})
        assert sent.status_code == 201, sent.text
        ids = {"taskId": sent.json()["task_id"], "audioId": sent.json()["audio_id"]}
        reply = client.post("/api/v1/vocal-removal/generate", json={**ids, "type": "separate_vocal"}).json()
        assert reply["code"] == 200, reply
        tasks[name] = reply["data"]["taskId"]
    return {name: ended(client, task) for name, task in tasks.items()}


def ended(client: httpx.Client, task_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        record = client.get(f"/v1/separations/{task_id}").json()
        if record["state"] not in ("pending", "running"):
            return dict(record)
        assert time.monotonic() < deadline, "it has not ended"
        time.sleep(0.05)


def failure(record: dict[str, Any]) -> tuple[int, str]:
    assert record["state"] == "failed", record
    return record["error"]["code"], record["error"]["message"]


def credits(client: httpx.Client) -> float:
    return float(client.get("/api/v1/chat/credit").json()["data"])


def processes(serving: Serving) -> list[psutil.Process]:
    """The server and its worker."""
    server = psutil.Process(serving.process.pid)
    return [server, *workers_of(server)]


@pytest.mark.usefixtures("warm")
def test_bombs_and_lies_are_told_and_cost_nothing(serving: Serving, client: httpx.Client) -> None:
    before, credit = processes(serving), credits(client)
    memory = [process.memory_info().rss for process in before]
    bomb = songs.silent_flac(4 * 3600)
    zipped = songs.zipped_matroska(24)
    assert len(bomb) < 40_000 and len(zipped) < 240_000
    files = {
        "hours of silence": bomb,
        "hours of silence that claim nothing": songs.silent_flac(4 * 3600, claimed_samples=0),
        "hours of silence that claim a second": songs.silent_flac(4 * 3600, claimed_samples=songs.RATE),
        "hours of silence in compressed blocks": zipped,
        "a million hours": songs.wav(1, 100, claimed_bytes=0xFFFE0000),
        "two thousand million samples a second": songs.wav(2**31 - 1, 3000),
        "65535 channels": songs.wav(44_100, 50, channels=65_535),
    }
    records = separated(client, files)
    reply = {name: failure(record) for name, record in records.items()}
    for name in list(files)[:4]:
        assert reply[name] == (501, TOO_LONG), name
    assert reply["a million hours"][0] == 501 and "a sample rate of 1 Hz" in reply["a million hours"][1]
    assert reply["two thousand million samples a second"] == (
        501,
        "The song has 2147483647 samples a second, more than 768000: convert it to 48000.",
    )
    assert reply["65535 channels"][0] == 501 and "cannot be decoded" in reply["65535 channels"][1]
    assert credits(client) == credit
    claims = separated(client, {"4 GB": songs.wav(44_100, 1000, channels=2, claimed_bytes=0xFFFE0000)})
    assert claims["4 GB"]["state"] == "succeeded", "a file is as long as its bytes, whatever it claims"
    assert processes(serving) == before, "the worker died"
    for process, was in zip(before, memory, strict=True):
        assert process.memory_info().rss - was < 80e6, process.name()


@pytest.mark.usefixtures("warm")
def test_a_playlist_or_a_reference_opens_nothing(serving: Serving, client: httpx.Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(songs.wav(songs.RATE, songs.RATE))
    credit = credits(client)
    with Canary() as canary:
        files = {
            f"{n}.{kind}": text for n, (kind, text) in enumerate(songs.playlists(secret, f"{canary.url}/song.wav"))
        }
        files["elsewhere.mov"] = songs.mp4_with_its_sound_elsewhere(tmp_path, secret)
        records = separated(client, files)
        for name, record in records.items():
            code, message = failure(record)
            assert code == 501 and str(serving.data) not in message, name
            assert message.startswith(HOLDS_NOTHING if name == "elsewhere.mov" else NO_SOUND), name
        assert canary.visits == []
    assert credits(client) == credit


@pytest.mark.long
@pytest.mark.usefixtures("warm")
def test_what_is_no_song_is_told_and_what_is_half_a_song_is_taken(
    serving: Serving, client: httpx.Client, mp3: bytes
) -> None:
    credit = credits(client)
    nothing = {
        "picture.mp3": b"\x89PNG\r\n\x1a\n" + bytes(2000),
        "photo.mp3": b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 8,
        "archive.mp3": b"PK\x03\x04" + bytes(500),
        "page.mp3": b"<html><body>no song</body></html>" * 30,
        "program.mp3": b"\x7fELF" + bytes(500),
        "zeros.mp3": bytes(10_000),
        "head.wav": songs.wav(44_100, 0),
    }
    for name, record in separated(client, nothing).items():
        code, message = failure(record)
        assert code == 501 and message.startswith(("The song ", "The sound ")) and message.endswith("."), name
    assert credits(client) == credit
    endless = songs.wav(8000, 8000, claimed_bytes=0xFFFFFFFF)
    half = separated(client, {"half.mp3": mp3[: len(mp3) * 2 // 3], "endless.wav": endless})
    assert {record["state"] for record in half.values()} == {"succeeded"}
    assert credits(client) == credit - 20
