"""The client against a real server, and against one that misbehaves."""

# ruff: noqa: F811  # fixtures are imported, and named as arguments

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import pytest

import stemwright
from stemwright import client as parts
from stemwright.api.native import schemas
from stemwright.client import AsyncClient, Client, Separation, calls, retries, waiting
from stemwright.client.records import Failure
from stemwright.errors import StorageError, UnreadableInputError
from tests.api.conftest import Server, mp3, open_server, server  # noqa: F401  # fixtures
from tests.http_stub import HttpStub, StubHandler
from tests.waiting import wait_until

OpenServer = Callable[..., Server]


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, key=server.key, timeout_s=240) as client:
        yield client


@pytest.fixture
def song(tmp_path: Path, mp3: bytes) -> Path:
    path = tmp_path / "A söng.mp3"
    path.write_bytes(mp3)
    return path


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a client, a hundred times shorter."""
    monkeypatch.setattr(retries, "_backoff", lambda tries: 0.0025 * 2 ** (tries - 1))
    monkeypatch.setattr(waiting, "POLL_S", 0.01)


def hex_id(record: Separation) -> str:
    return record.id.replace("-", "")


def work(server: Server, separation: Separation, seen: list[Separation]) -> threading.Thread:
    """Separates as a worker would, and goes on each time once the client has seen how far it is."""

    def has_come_to(progress: float) -> bool:
        return bool(seen) and seen[-1].progress >= progress

    def run() -> None:
        lease = server.hold(hex_id(separation))
        for step in range(1, 4):
            server.service.worker_tasks.progress(hex_id(separation), lease.token, "separating", step / 4)
            wait_until(partial(has_come_to, step / 4))
        server.succeed(hex_id(separation), lease=lease)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


class TestOnARealServer:
    @pytest.mark.parametrize("poll_s", [None, 0.05])
    def test_from_song_to_stems(
        self,
        server: Server,
        client: Client,
        song: Path,
        tmp_path: Path,
        poll_s: float | None,
    ) -> None:
        ordered = client.separate(song, stems=["drums", "bass"], format="mp3", playing=("drums", "bass", "guitar"))
        assert ordered.playing == ("drums", "bass", "guitar")
        assert client.track(ordered.track_id).title == "A söng"
        seen: list[Separation] = []
        thread = work(server, ordered, seen)
        ended = client.wait(ordered, on_progress=seen.append, timeout_s=240, poll_s=poll_s)
        thread.join()
        assert ended.state == seen[-1].state == "succeeded"
        shares = [one.progress for one in seen]
        assert shares == sorted(shares) and len(set(shares)) >= 3
        files = client.download(ended, tmp_path / "stems")
        assert [file.name for file in files] == ["drums.mp3", "bass.mp3", "residual.mp3"]
        assert {file.read_bytes() for file in files} == {server.mp3}
        with zipfile.ZipFile(client.download_zip(ended, tmp_path / "zips" / "all.zip")) as archive:
            assert archive.testzip() is None
            assert len(archive.namelist()) == 3
        assert sorted(path.name for path in tmp_path.rglob("*.part")) == []

    def test_songs(self, client: Client, song: Path) -> None:
        track = client.upload(song, title="Title")
        named = client.add_url("https://example.com/a.mp3", title="Named")
        assert (track.title, named.title) == ("Title", "Named")
        assert [one.id for one in client.tracks()] == [named.id, track.id]
        for by in (track, track.id, track.audio_id.replace("-", ""), "https://example.com/a.mp3", str(song)):
            assert client.separate(by).state == "pending"
        client.delete_track(named)
        with pytest.raises(parts.NotFoundError):
            client.track(named)

    def test_pages(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(calls, "PAGE", 2)
        track = client.add_url("https://example.com/a.mp3")
        made = [client.separate(track).id for _ in range(5)]
        assert [one.id for one in client.separations()] == made[::-1]
        client.cancel(made[0])
        assert [one.id for one in client.separations("cancelled")] == made[:1]

    def test_titles_order_and_what_deleting_takes_along(self, server: Server, client: Client, song: Path) -> None:
        first, second = (client.separate(client.upload(song, title=title)) for title in ("B side", "A side"))
        assert [one.title for one in client.separations(order="title")] == ["A side", "B side"]
        assert client.rename_track(first.track_id, "Zoo").title == "Zoo"
        assert [one.id for one in client.separations(title="zOO")] == [first.id]
        client.cancel(second)
        client.delete(second, with_track=True)
        with pytest.raises(parts.NotFoundError):
            client.track(second.track_id)
        account = client.account()
        assert (account.name, account.key.scopes, account.server_url) == ("alice", ("read", "write"), server.url)
        assert account.max_upload_bytes == 500_000_000
        assert [day.separations for day in client.usage(2)] == [0, 1]
        made = client.create_key("phone", ["read"])
        _, listed = client.keys()
        assert (listed.name, listed.scopes) == ("phone", ("read",))
        with Client(server.url, key=made.key) as phone:
            assert phone.account().key.id == made.id
            client.revoke_key(made)
            with pytest.raises(parts.AuthenticationError):
                phone.account()
        assert account.storage.used_bytes == song.stat().st_size and account.storage.limit_bytes is None

    def test_an_operator_sees_the_whole_server(self, server: Server, client: Client, song: Path) -> None:
        ordered = client.separate(song)
        server.fail(hex_id(ordered), 500, "The song cannot be decoded.")
        key = server.service.keys.create("root", scopes=("read", "write", "operator")).key
        with Client(server.url, key=key) as root:
            assert root.operator.overview().tasks["failed"] == 1
            (failed,) = root.operator.tasks("failed")
            assert (failed.id, failed.account, failed.error) == (
                ordered.id,
                "alice",
                Failure(500, "The song cannot be decoded."),
            )
            assert [step.failed for step in root.operator.throughput(2)] == [0, 1]
            assert root.operator.set_maintenance(on=True) is True
            with pytest.raises(parts.ServerError, match="maintenance"):
                client.separate("https://example.com/a.mp3")
            assert "STEMWRIGHT_WORKERS" in [setting.variable for setting in root.operator.settings()]
            assert [model.name for model in root.operator.models() if model.in_wheel] == ["stemwright-12"]
            with pytest.raises(parts.NotFoundError):
                root.operator.download_model("none/../none")
        with pytest.raises(parts.AuthenticationError):
            client.operator.overview()

        async def run() -> None:
            async with AsyncClient(server.url, key=key) as root:
                assert (await root.operator.overview()).maintenance
                assert [task.id async for task in root.operator.tasks()] == [ordered.id]
                assert not await root.operator.set_maintenance(on=False)
                assert len(await root.operator.throughput(48, 24)) == 2

        asyncio.run(run())

    def test_cancel_delete_and_log(self, client: Client, song: Path) -> None:
        ordered = client.separate(song, callback_url="http://127.0.0.1:9/")
        with pytest.raises(parts.ConflictError):
            client.delete(ordered)
        assert client.cancel(ordered).state == "cancelled"
        with pytest.raises(parts.SeparationFailedError, match="cancelled"):
            client.wait(ordered)
        assert [one.state for one in client.deliveries(ordered)] == ["pending"]
        assert client.replay(ordered).attempt == 1
        assert [(one.separation_id, one.callback_url) for one in client.all_deliveries()] == [
            (ordered.id, "http://127.0.0.1:9/")
        ]
        client.delete(ordered)
        with pytest.raises(parts.NotFoundError):
            client.separation(ordered)

    def test_a_failure_carries_its_reason(self, server: Server, client: Client, song: Path) -> None:
        ordered = client.separate(song)
        server.fail(hex_id(ordered), 500, "The song cannot be decoded.")
        with pytest.raises(parts.SeparationFailedError, match=r"^The song cannot be decoded\.$") as caught:
            client.wait(ordered)
        assert caught.value.separation.error is not None
        assert caught.value.separation.error.code == 500

    @pytest.mark.parametrize("poll_s", [None, 0.05])
    def test_waiting_ends_in_time(self, client: Client, song: Path, poll_s: float | None) -> None:
        ordered = client.separate(song)
        began = time.monotonic()
        with pytest.raises(parts.WaitTimeoutError):
            client.wait(ordered, timeout_s=0.5, poll_s=poll_s)
        assert time.monotonic() - began >= 0.5

    def test_errors_tell_what_the_server_told(self, client: Client, song: Path) -> None:
        with pytest.raises(parts.InvalidRequestError) as caught:
            client.separate(client.upload(song), stems="kazoo")
        error = caught.value
        assert (error.status, error.type) == (422, "urn:stemwright:problem:invalid-request")
        assert error.errors[0].field == "stems"
        assert str(error) == error.detail == error.errors[0].detail
        assert isinstance(error, stemwright.StemwrightError)

    def test_a_wrong_key(self, server: Server) -> None:
        with (
            Client(server.url, key="sw_wrong") as stranger,
            pytest.raises(parts.AuthenticationError, match="keys create"),
        ):
            stranger.credits()

    def test_credits_and_plans(self, client: Client) -> None:
        assert client.credits() == parts.Credits(metered=False, credits=None, price=0.0)
        assert [plan.name for plan in client.plans()][:2] == ["auto", "fast"]

    def test_the_same_key_orders_once(self, client: Client, song: Path) -> None:
        track = client.upload(song)
        first, again = (client.separate(track, idempotency_key="one") for _ in range(2))
        assert first.id == again.id

    def test_files_that_cannot_be_read_or_written(
        self,
        server: Server,
        client: Client,
        song: Path,
        tmp_path: Path,
    ) -> None:
        with pytest.raises(UnreadableInputError, match="cannot be read"):
            client.separate(tmp_path / "missing.mp3")
        ordered = client.separate(song, format="mp3")
        server.succeed(hex_id(ordered))
        with pytest.raises(StorageError):
            client.download(client.separation(ordered), song)  # a file where a folder should be

    def test_async(self, server: Server, song: Path, tmp_path: Path) -> None:
        async def run() -> None:
            async with AsyncClient(server.url, key=server.key, timeout_s=240) as client:
                assert not (await client.credits()).metered
                ordered = await client.separate(song, format="mp3")
                seen: list[Separation] = []
                thread = work(server, ordered, seen)
                ended = await client.wait(ordered, on_progress=seen.append, timeout_s=240)
                thread.join()
                assert len({one.progress for one in seen}) >= 3
                files = await client.download(ended, tmp_path / "stems")
                assert [file.read_bytes() for file in files] == [server.mp3] * 2
                await client.download_zip(ended, tmp_path / "all.zip")
                assert zipfile.is_zipfile(tmp_path / "all.zip")
                assert [one.id async for one in client.separations()] == [ordered.id]
                assert [one.id async for one in client.tracks()] == [ordered.track_id]
                assert (await client.rename_track(ordered.track_id, "Named")).title == "Named"
                assert [one.title async for one in client.separations(title="name", order="oldest")] == ["Named"]
                assert (await client.account()).name == "alice"
                made = await client.create_key("phone")
                assert made.id in [key.id for key in await client.keys()]
                await client.revoke_key(made.id)
                assert len(await client.usage()) == 30
                assert [one async for one in client.all_deliveries()] == []
                another = await client.separate(await client.add_url("https://example.com/a.mp3"))
                with pytest.raises(parts.WaitTimeoutError):
                    await client.wait(another, timeout_s=0.3, poll_s=0.05)
                await client.cancel(another)
                with pytest.raises(parts.SeparationFailedError):
                    await client.wait(another)
                await client.delete(another, with_track=True)
                with pytest.raises(parts.NotFoundError):
                    await client.separation(another)

        asyncio.run(run())


Answer = tuple[int, dict[str, str], bytes]


class ScriptedServer(HttpStub):
    """A server that gives each request the next of its answers: a status with headers, or ``None``, a broken line."""

    def __init__(self, *answers: Answer | None) -> None:
        super().__init__(ScriptedHandler)
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str]]] = []


class ScriptedHandler(StubHandler):
    server: ScriptedServer

    def answer(self) -> None:
        self.read_body()
        self.server.requests.append((f"{self.command} {self.path}", dict(self.headers.items())))
        answer = self.server.answers.pop(0)
        if answer is not None:
            status, headers, body = answer
            self.reply(status, body, headers)


CREDITS: Answer = (200, {}, b'{"metered": true, "credits": 1.5, "price": 0, "new": 1}')
BUSY: Answer = (503, {"Retry-After": "0"}, b"")
PROBLEM = b'{"type": "t", "title": "Slow down", "status": 429, "detail": "Later."}'


@pytest.mark.usefixtures("impatient")
class TestRetries:
    def test_busy_and_broken_then_well(self) -> None:
        with (
            ScriptedServer(BUSY, None, (429, {}, PROBLEM), CREDITS) as scripted,
            Client(scripted.url, key="k") as client,
        ):
            assert client.credits().credits == 1.5
            assert len(scripted.requests) == 4

    def test_async_too(self) -> None:
        async def run() -> None:
            async with AsyncClient(scripted.url, key="k") as client:
                assert (await client.credits()).credits == 1.5

        with ScriptedServer(BUSY, None, CREDITS) as scripted:
            asyncio.run(run())
            assert len(scripted.requests) == 3

    def test_retry_after_is_waited_for(self) -> None:
        with (
            ScriptedServer((429, {"Retry-After": "0.3"}, PROBLEM), CREDITS) as scripted,
            Client(scripted.url, key="k") as client,
        ):
            began = time.monotonic()
            client.credits()
            assert time.monotonic() - began >= 0.3

    def test_enough_is_enough(self) -> None:
        with ScriptedServer(*[(429, {}, PROBLEM)] * 9) as scripted, Client(scripted.url, key="k") as client:
            with pytest.raises(parts.TooManyRequestsError, match="Later"):
                client.credits()
            assert len(scripted.requests) == retries.TRIES
        later = (503, {"Retry-After": "Fri, 31 Dec 2999 23:59:59 GMT"}, b"")
        with (
            ScriptedServer(later) as scripted,
            Client(scripted.url, key="k") as client,
            pytest.raises(parts.ServerError),
        ):
            client.credits()

    def test_an_order_is_repeated_under_one_key(self) -> None:
        with ScriptedServer(None, None, (422, {}, b"no JSON")) as scripted, Client(scripted.url, key="k") as client:
            with pytest.raises(parts.InvalidRequestError, match="422"):
                client.separate("https://example.com/a.mp3")
            keys = {headers["Idempotency-Key"] for _, headers in scripted.requests}
            assert len(scripted.requests) == 3 and len(keys) == 1

    def test_what_may_have_arrived_is_not_sent_twice(self, song: Path) -> None:
        with ScriptedServer(None, None) as scripted, Client(scripted.url, key="k") as client:
            with pytest.raises(parts.UnreachableError):
                client.upload(song)
            assert len(scripted.requests) == 1

    def test_an_upload_that_was_not_taken_begins_anew(self, song: Path) -> None:
        with ScriptedServer(BUSY, (413, {}, PROBLEM)) as scripted, Client(scripted.url, key="k") as client:
            with pytest.raises(parts.InvalidRequestError):
                client.upload(song)
            sizes = [int(headers["Content-Length"]) for _, headers in scripted.requests]
            assert len(sizes) == 2 and min(sizes) > song.stat().st_size

    def test_nobody_there(self) -> None:
        with ScriptedServer() as scripted:
            url = scripted.url
        with Client(url, key="k") as client, pytest.raises(parts.UnreachableError, match="is it running"):
            client.credits()

    def test_a_download_cut_short_begins_anew(self, server: Server, tmp_path: Path) -> None:
        short = (200, {"Content-Length": "9"}, b"half")
        with ScriptedServer(short, (200, {}, b"whole")) as scripted, Client(scripted.url, key="k") as client:
            path = client.download_zip("0" * 32, tmp_path / "all.zip")
            assert path.read_bytes() == b"whole"
        assert list(tmp_path.glob(".*.part")) == []

    def test_the_key_goes_to_the_api_alone(self, server: Server, song: Path, tmp_path: Path) -> None:
        with Client(server.url, key=server.key) as client, ScriptedServer((200, {}, b"stem")) as scripted:
            ordered = client.separate(song, stems="two", format="mp3")
            server.succeed(hex_id(ordered))
            ended = client.separation(ordered)
            stem = replace(ended.stems[0], url=f"{scripted.url}/vocals.mp3", name="../vocals")
            elsewhere = replace(ended, stems=(stem,))
            files = client.download(elsewhere, tmp_path / "stems")
            assert files == [tmp_path / "stems" / "vocals.mp3"]
            assert "Authorization" not in scripted.requests[0][1]

    def test_streams_that_break_are_taken_up_again(self, server: Server, song: Path) -> None:
        with Client(server.url, key=server.key) as client:
            ordered = client.separate(song)
            facts = native_bytes(server, ordered)
            stream = (200, {"Content-Length": "99999"}, b"id: mark\nevent: progress\ndata: " + facts + b"\n\ndata: {")
            server.succeed(hex_id(ordered))
            ended: Answer = (200, {}, native_bytes(server, ordered))
        now: Answer = (200, {}, facts)
        with (
            ScriptedServer(now, stream, now, (404, {}, b""), ended) as scripted,
            Client(scripted.url, key="k") as client,
        ):
            assert client.wait(ordered, timeout_s=240).state == "succeeded"
            assert [headers.get("Last-Event-ID") for _, headers in scripted.requests] == [
                None,
                None,
                None,
                "mark",
                None,
            ]


def native_bytes(server: Server, separation: Separation) -> bytes:
    return server.client.get(f"/v1/separations/{separation.id}").content


def test_records_are_what_the_server_says() -> None:
    for name in ("Track", "Stem", "Separation", "Delivery", "Credits", "Plan"):
        record, model = getattr(parts, name), getattr(schemas, name)
        assert [field.name for field in fields(record)] == list(model.model_fields), name


def test_the_client_is_loaded_when_it_is_used() -> None:
    code = "import sys, stemwright; assert 'httpx' not in sys.modules; stemwright.Client; assert 'httpx' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert stemwright.AsyncClient is AsyncClient
