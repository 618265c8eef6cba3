"""Renderings through HTTP: the stems at another speed and in another key, in step, and a sentence for all that fails."""

from __future__ import annotations

import io
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.audio.peaks import read_peaks
from stemwright.audio.stretch import Signals, stretched
from stemwright.database import tables
from stemwright.errors import StorageError
from stemwright.service import renderings
from stemwright.service.derived_files import KEEP_UNUSED_S
from stemwright.service.ids import dashed, new_id
from stemwright.service.preview_reader import PreviewReader
from stemwright.service.rendering_work import NO_ROOM
from stemwright.service.task import Stem
from tests.api.conftest import OpenServer, Server
from tests.api.native import problem
from tests.server_state import IN_FILES
from tests.waiting import wait_until

RATE = 8000
LENGTH = 6 * RATE + 17
NAMES = ("drums", "bass", "residual")

Samples = NDArray[np.float32]


def sounds(seed: int = 1) -> dict[str, Samples]:
    """``(samples, channels)`` of the stems, in steps of 16 bits: hits, a bass, and nothing."""
    rng = np.random.default_rng(seed)
    time = np.arange(LENGTH)[:, None] / RATE
    hits = 0.2 * rng.standard_normal((LENGTH, 2)) * np.exp(-20 * (time % 0.5))
    bass = 0.2 * np.sin(2 * np.pi * np.array([110.0, 111.0]) * time)
    return {
        name: (np.rint(np.clip(part, -1, 1) * 32_767) / 32_768).astype(np.float32)
        for name, part in zip(NAMES, (hits, bass, 0 * bass), strict=True)
    }


def as_file(samples: Samples, form: str) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format=form, subtype="PCM_16")
    return content.getvalue()


def separated(server: Server, seed: int = 1, client: httpx.Client | None = None, **facts: object) -> str:
    """The path of a separation in drums, bass and a silent rest."""
    parts = sounds(seed)
    song = server.store(as_file(sum(parts.values(), np.zeros_like(parts["bass"])), "WAV"))
    track = server.service.tracks.add_stored(server.caller.account_id, song, title="song", seconds=LENGTH / RATE)
    body = {"track_id": track.id, "stems": ["drums", "bass"], "format": "flac"}
    made = (client or server.client).post("/v1/separations", json=body).json()
    task_id = made["id"].replace("-", "")
    lease = server.hold(task_id)
    stems = []
    for position, (name, samples) in enumerate(parts.items()):
        blob = server.store(as_file(samples, "FLAC"))
        plays = bool(samples.any())
        stems.append(
            Stem(new_id(), name, position, blob.digest, "flac", blob.size_bytes, LENGTH / RATE, plays, 0.9, -3.0, -20.0)
        )
    done = {"sample_rate": RATE, "samples": LENGTH, "channels": 2, **facts}
    assert server.service.worker_tasks.succeed(
        task_id, lease.token, stems, seconds=LENGTH / RATE, cache_key=None, facts=done
    )
    return f"/v1/separations/{dashed(task_id)}"


def ended(server: Server, path: str, query: dict[str, float]) -> dict[str, Any]:
    """The rendering when it is no longer being made."""

    def state() -> Any:
        reply = server.client.get(f"{path}/rendering", params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()["state"]

    wait_until(lambda: state() != "running")
    return dict(server.client.get(f"{path}/rendering", params=query).json())


def render(server: Server, path: str, speed: float = 0.8, semitones: float = 0.0) -> dict[str, float]:
    """Makes a rendering, waits for it, and returns the query that names it."""
    query = {"speed": speed, "semitones": semitones}
    reply = server.client.put(f"{path}/rendering", params=query)
    assert reply.status_code in (200, 202), reply.text
    assert ended(server, path, query)["state"] == "succeeded"
    return query


def played(server: Server, path: str, query: dict[str, float]) -> Samples:
    """All segments of a part."""
    pieces: list[Samples] = []
    while (reply := server.client.get(f"{path}/segments/{len(pieces)}", params=query)).status_code == 200:
        pieces.append(soundfile.read(io.BytesIO(reply.content), dtype="float32")[0])
    assert reply.status_code == 404
    assert all(len(piece) == 5 * RATE for piece in pieces[:-1])
    return np.concatenate(pieces)


def directly(parts: list[Samples], speed: float, semitones: float, length: int) -> list[Samples]:
    signals: Signals = np.stack([part.T for part in parts])
    output = np.concatenate(list(stretched([signals], RATE, speed=speed, semitones=semitones)), axis=2)
    padded = np.pad(output, ((0, 0), (0, 0), (0, max(0, length - output.shape[2]))))
    return [part[:, :length].T for part in padded]


@pytest.fixture(scope="module")
def path(shared: Server) -> str:
    return separated(shared)


@pytest.mark.parametrize(("speed", "semitones"), [(0.8, 0), (1.25, -2), (1, 3.5)])
def test_all_stems_are_in_step_and_add_up(shared: Server, path: str, speed: float, semitones: float) -> None:
    query = render(shared, path, speed, semitones)
    length = round(LENGTH / speed)
    stems = {name: played(shared, f"{path}/stems/{name}", query) for name in NAMES}
    mix = played(shared, f"{path}/mix", query)
    assert {len(samples) for samples in (*stems.values(), mix)} == {length}
    parts = sounds()
    drums, bass, song = directly(
        [parts["drums"], parts["bass"], parts["drums"] + parts["bass"]], speed, semitones, length
    )
    for found, expected in ((stems["drums"], drums), (stems["bass"], bass), (mix, song)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=4e-6)
    assert not stems["residual"].any()
    error = mix.astype(float) - stems["drums"] - stems["bass"]
    assert 10 * np.log10((mix.astype(float) ** 2).sum() / (error**2).sum()) > 100


def test_what_can_be_saved_of_it(shared: Server, path: str) -> None:
    query = render(shared, path)
    length = round(LENGTH / 0.8)
    facts = shared.client.get(f"{path}/rendering", params=query).json()
    assert (facts["samples"], facts["sample_rate"], facts["progress"]) == (length, RATE, 1.0)
    assert facts["size_bytes"] > 10_000
    assert read_peaks(shared.client.get(f"{path}/stems/bass/peaks", params=query).content)[:2] == (RATE, length)
    assert read_peaks(shared.client.get(f"{path}/mix/peaks", params=query).content)[1] == length
    bass = played(shared, f"{path}/stems/bass", query)
    drums = played(shared, f"{path}/stems/drums", query)
    mixed = shared.client.get(f"{path}/mixdown", params={**query, "stem": "drums:0.5"}).content
    np.testing.assert_allclose(soundfile.read(io.BytesIO(mixed))[0], bass + 0.5 * drums, atol=1e-6)
    archive = zipfile.ZipFile(io.BytesIO(shared.client.get(f"{path}/stems.zip", params=query).content))
    assert sorted(archive.namelist()) == ["bass.flac", "drums.flac", "residual.flac"]
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(archive.read("bass.flac")), dtype="float32")[0], bass)
    archive = zipfile.ZipFile(io.BytesIO(shared.client.get(f"{path}/daw.zip", params=query).content))
    assert soundfile.info(io.BytesIO(archive.read("02 bass.wav"))).frames == length
    assert shared.client.get(f"{path}/stem.mp4", params={**query, "codec": "alac"}).status_code == 200


def test_without_a_query_and_at_speed_1_it_is_the_song(shared: Server, path: str) -> None:
    render(shared, path)
    same: list[dict[str, float]] = [{}, {"speed": 1.0, "semitones": 0}, {"speed": 1.0001, "semitones": -0.001}]
    for query in same:
        np.testing.assert_array_equal(played(shared, f"{path}/stems/bass", query), sounds()["bass"])


def test_the_same_again_is_there_at_once(shared: Server, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    query = render(shared, path)
    monkeypatch.setattr(shared.service.previews, "render", never)
    for same in (query, {"speed": "0.8", "semitones": "-0.0"}, {"speed": 0.80004}):
        reply = shared.client.put(f"{path}/rendering", params=same)
        assert (reply.status_code, reply.json()["state"]) == (200, "succeeded")
    listed = shared.client.get(f"{path}/renderings").json()["renderings"]
    assert {"speed": 0.8, "semitones": 0.0} in [{name: one[name] for name in query} for one in listed]


def never(*_: object, **__: object) -> list[str]:
    raise AssertionError("made twice")


class Held:
    """Stands for the process: a rendering that has begun, and goes on when it may."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = threading.Event()
        self.render = PreviewReader.render

    def __call__(self, previews: PreviewReader, parts: Any, **facts: Any) -> list[str]:
        self.begun += 1
        while not self.go_on.wait(0.01):
            facts["on_progress"](0.25)
        return self.render(previews, parts, **facts)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held()
    monkeypatch.setattr(PreviewReader, "render", lambda *args, **facts: held(*args, **facts))
    monkeypatch.setattr("stemwright.service.rendering_work.NOTE_INTERVAL_S", 0.0)
    yield held
    held.go_on.set()


def left_over(server: Server) -> list[str]:
    return [path.name for path in server.service.store.incoming.iterdir()]


def beside(open_server: OpenServer, first: Server) -> Server:
    """Another server on the same data."""
    settings = first.service.settings
    url = None if settings.database_url is None else settings.database_url.get_secret_value()
    return open_server(data=settings.data, database_url=url, storage_url=settings.storage_url, key=first.key)


def test_of_several_servers_one_makes_it(open_server: OpenServer, held: Held) -> None:
    first = open_server()
    second = beside(open_server, first)
    path, query = separated(first), {"speed": 0.8}
    for server in (first, second, first):
        reply = server.client.put(f"{path}/rendering", params=query)
        assert (reply.status_code, reply.json()["state"]) == (202, "running")

    def progress() -> float:
        return float(second.client.get(f"{path}/rendering", params=query).json()["progress"])

    wait_until(lambda: progress() == 0.25)
    facts = problem(second.client.get(f"{path}/stems/bass/segments/0", params=query), 409, "conflict")
    assert "still being made" in facts["detail"]
    held.go_on.set()
    assert ended(second, path, query)["state"] == "succeeded"
    assert held.begun == 1 and len(played(second, f"{path}/stems/bass", query)) == round(LENGTH / 0.8)


@IN_FILES
def test_a_server_that_is_gone_is_replaced(open_server: OpenServer, held: Held) -> None:
    first = open_server()
    second = beside(open_server, first)
    path, query = separated(first), {"speed": 0.8}
    first.client.put(f"{path}/rendering", params=query)
    wait_until(lambda: held.begun == 1)
    first.service.renderings.close()
    assert ended(second, path, query)["error"] == renderings.INTERRUPTED
    held.go_on.set()
    assert second.client.put(f"{path}/rendering", params=query).status_code == 202
    assert ended(second, path, query)["state"] == "succeeded"
    assert left_over(first) == []


@IN_FILES
@pytest.mark.parametrize("what", ["rendering?speed=0.8", ""])
def test_what_is_deleted_meanwhile_leaves_nothing(shared: Server, held: Held, what: str) -> None:
    server, path = shared, separated(shared, seed=2)
    before = n_rows(server)
    assert server.client.put(f"{path}/rendering?speed=0.8").status_code == 202
    wait_until(lambda: held.begun == 1)
    assert server.client.delete(f"{path}/{what}".rstrip("/")).status_code == 204
    problem(server.client.get(f"{path}/rendering?speed=0.8"), 404, "not-found")
    wait_until(lambda: not any(thread.name == "rendering" for thread in threading.enumerate()))
    assert left_over(server) == []
    assert n_rows(server) == before


def n_rows(server: Server) -> tuple[int, int]:
    """Renderings, and their files and others."""
    with server.service.database.read() as session:
        return session.query(tables.Rendering).count(), session.query(tables.DerivedFile).count()


def used(server: Server) -> int:
    return int(server.client.get("/v1/account").json()["storage"]["used_bytes"])


def test_its_files_count_and_go_with_the_separation(shared: Server) -> None:
    server, path = shared, separated(shared, seed=3)
    rows, before = n_rows(server), used(server)
    query = render(server, path, 0.85)  # silence of another length than in other tests, for a file counts once
    size = server.client.get(f"{path}/rendering", params=query).json()["size_bytes"]
    assert used(server) == before + size
    render(server, path, 1.0, 1.0)
    assert server.client.delete(f"{path}/rendering", params=query).status_code == 204
    assert server.client.delete(f"{path}/rendering", params=query).status_code == 404
    assert before < used(server) < before + 3 * size
    assert server.client.delete(path).status_code == 204
    assert n_rows(server) == rows and used(server) < before


def test_the_file_of_one_account_is_not_that_of_another(shared: Server, path: str) -> None:
    server, query = shared, render(shared, path)
    with server.another() as bob:
        for method, rest in (("GET", "rendering"), ("PUT", "rendering"), ("DELETE", "rendering"), ("GET", "mixdown")):
            problem(bob.request(method, f"{path}/{rest}", params=query), 404, "not-found")
        assert bob.get("/v1/account").json()["storage"]["used_bytes"] == 0


def test_a_full_quota(open_server: OpenServer) -> None:
    server = open_server(quota_mb=2)
    path = separated(server)
    room = 2_000_000 - used(server)
    small = server.service.tracks.add_stored(
        server.caller.account_id, server.store(bytes(room - 100)), title="all but 100 bytes"
    )
    assert server.client.put(f"{path}/rendering?speed=0.8").status_code == 202
    facts = ended(server, path, {"speed": 0.8})
    assert facts["state"] == "failed" and "is used up: delete songs" in facts["error"]
    assert (facts["size_bytes"], used(server)) == (0, 2_000_000 - 100)
    assert "is used up" in problem(server.client.get(f"{path}/mixdown?speed=0.8"), 409, "conflict")["detail"]
    server.service.tracks.add_stored(server.caller.account_id, server.store(b"a" * 100), title="the rest")
    problem(server.client.put(f"{path}/rendering?speed=0.8"), 413, "quota-exceeded")
    assert server.client.delete(f"/v1/tracks/{small.id}").status_code == 204
    render(server, path)


def test_a_full_disk(shared: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server, path = shared, separated(shared, seed=4)
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(server.service.store.incoming)
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        problem(server.client.put(f"{path}/rendering?speed=0.8"), 507, "storage")
        problem(server.client.get(f"{path}/rendering?speed=0.8"), 404, "not-found")
    with monkeypatch.context() as patch:

        def fill(_parts: object, **_: object) -> list[str]:
            raise StorageError("No room is left to write /a/secret/folder: free some space.")

        patch.setattr(server.service.previews, "render", fill)
        server.client.put(f"{path}/rendering?speed=0.8")
        assert ended(server, path, {"speed": 0.8})["error"] == NO_ROOM
    render(server, path)


@pytest.mark.parametrize(
    "query",
    [
        *({"speed": speed} for speed in ("0.49", "2.01", "nan", "inf", "-1", "x", "", "1e999")),
        *({"semitones": semitones} for semitones in ("-12.5", "13", "nan", "-inf", "x")),
        {"speed": "1", "semitones": "0"},
        {},
    ],
)
def test_bad_speeds_and_keys(shared: Server, path: str, query: dict[str, str]) -> None:
    problem(shared.client.put(f"{path}/rendering", params=query), 422, "invalid-request")
    if query and query != {"speed": "1", "semitones": "0"}:
        for rest in ("stems/bass/segments/0", "stems/bass/peaks", "mix/segments/0", "mixdown", "stems.zip", "daw.zip"):
            problem(shared.client.get(f"{path}/{rest}", params=query), 422, "invalid-request")


def test_what_was_not_made(shared: Server, path: str) -> None:
    for rest in ("rendering", "stems/bass/segments/0", "mix/peaks", "mixdown", "stems.zip", "daw.zip", "stem.mp4"):
        assert "PUT" in problem(shared.client.get(f"{path}/{rest}?speed=0.55"), 404, "not-found")["detail"]


@IN_FILES
def test_separations_that_have_no_rendering(shared: Server) -> None:
    server = shared
    put = partial(server.client.put, params={"speed": 0.8})
    problem(put(f"/v1/separations/{new_id()}/rendering"), 404, "not-found")
    made = server.client.post("/v1/separations", json={"track_id": server.add_track().id}).json()
    assert "pending" in problem(put(f"/v1/separations/{made['id']}/rendering"), 409, "conflict")["detail"]
    long = separated(server, samples=RATE * 60 * 15 + 1)
    assert "15 minutes" in problem(put(f"{long}/rendering"), 409, "conflict")["detail"]
    unknown = separated(server, samples=None)
    assert "how long" in problem(put(f"{unknown}/rendering"), 409, "conflict")["detail"]
    gone = separated(server, seed=9)
    damaged(server, gone).unlink()
    assert "is gone" in problem(put(f"{gone}/rendering"), 404, "not-found")["detail"]


def damaged(server: Server, path: str) -> Any:
    """The file of the drums."""
    stored = server.service.store.local_path(server.task(path.rpartition("/")[2].replace("-", "")).stems[0].blob)
    assert stored is not None
    return stored


@IN_FILES
def test_a_stem_that_cannot_be_read(shared: Server) -> None:
    server, path = shared, separated(shared, seed=5)
    whole = damaged(server, path).read_bytes()
    damaged(server, path).write_bytes(b"damaged")
    server.client.put(f"{path}/rendering?speed=0.8")
    assert "cannot be read" in ended(server, path, {"speed": 0.8})["error"]
    assert left_over(server) == []
    damaged(server, path).write_bytes(whole)
    render(server, path)


def test_without_the_song_the_stems_are_rendered(shared: Server) -> None:
    server, path = shared, separated(shared, seed=6)
    track_id = server.client.get(path).json()["track_id"]
    assert server.client.delete(f"/v1/tracks/{track_id}").status_code == 204
    query = render(server, path)
    assert (
        "no longer stored" in problem(server.client.get(f"{path}/mix/peaks", params=query), 404, "not-found")["detail"]
    )
    assert len(played(server, f"{path}/stems/bass", query)) == round(LENGTH / 0.8)


def test_four_at_once(shared: Server, held: Held) -> None:
    server, path = shared, separated(shared, seed=7)
    put: Callable[[float], httpx.Response] = lambda speed: server.client.put(f"{path}/rendering?speed={speed}")  # noqa: E731
    assert [put(speed).status_code for speed in (0.5, 0.6, 0.7, 0.8)] == [202] * 4
    problem(put(0.9), 429, "too-many-running")
    assert put(0.8).status_code == 202
    server.client.delete(f"{path}/rendering?speed=0.6")
    assert put(0.9).status_code == 202
    held.go_on.set()
    for speed in (0.5, 0.7, 0.8, 0.9):
        assert ended(server, path, {"speed": speed})["state"] == "succeeded"


def test_what_nobody_uses_goes_and_can_be_made_again(open_server: OpenServer) -> None:
    now = 1_800_000_000.0
    server = open_server(clock=lambda: now, retention_days=365)
    path = separated(server)
    query = render(server, path)
    server.service.retention.sweep()
    for days in range(12):  # a sweep after a longer pause would distrust the clock
        now += 86_400
        server.service.retention.sweep()
        if days < 3:
            assert server.client.get(f"{path}/stems/bass/segments/0", params=query).status_code == 200
    assert KEEP_UNUSED_S < 9 * 86_400
    problem(server.client.get(f"{path}/rendering", params=query), 404, "not-found")
    assert server.client.get(f"{path}/renderings").json() == {"renderings": []}
    render(server, path)
