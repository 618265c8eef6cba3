"""As a user has it: a server of its own process with its worker, a song brought in, stems taken away, on every face."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from standardwebhooks import Webhook

from stemwright.audio.decode import Decoder
from stemwright.client import Client, SeparationFailedError
from stemwright.stems import STEMS
from tests.api.native import events_of
from tests.serving import Serving
from tests.stand_in import Received, Song, StandIn
from tests.waiting import PATIENCE_S

LONG_SONG = Path(__file__).resolve().parents[1] / "examples" / "song.mp3"
RATE_HZ = 44_100
BEGIN_S, LENGTH_S = 12, 4
WEBHOOK_KEY = "a key of the operator's"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def world() -> Iterator[StandIn]:
    """What receives callbacks, and has a song at an address."""
    with StandIn() as world:
        yield world


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("end-to-end")
    settings = {"webhook_key": WEBHOOK_KEY, "rate_limit": "0", "cache_dir": str(folder / "cache")}
    with Serving(folder / "data", **settings) as serving:
        serving.read_key()
        yield serving


@pytest.fixture(scope="module")
def client(serving: Serving) -> Iterator[httpx.Client]:
    with serving.client() as client:
        yield client


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of real music at 16 bits."""
    with Decoder(LONG_SONG) as decoder:
        whole = np.concatenate([np.array(block) for block in decoder], axis=1)
    path = tmp_path_factory.mktemp("song") / "A song.wav"
    soundfile.write(path, whole[:, BEGIN_S * RATE_HZ :][:, : LENGTH_S * RATE_HZ].T, RATE_HZ, "PCM_16")
    return path


@pytest.fixture(scope="module")
def track(client: httpx.Client, song: Path) -> Json:
    reply = client.post("/v1/tracks", files={"file": (song.name, song.read_bytes(), "audio/wav")})
    assert reply.status_code == 201
    return dict(reply.json())


def until(look: Callable[[], Json], done: Callable[[Json], bool]) -> Json:
    """Looks until it is done."""
    deadline = time.monotonic() + PATIENCE_S
    while not done(seen := look()):
        assert time.monotonic() < deadline, f"still {seen}"
        time.sleep(0.1)
    return seen


def samples(content: bytes, folder: Path) -> NDArray[np.float32]:
    """The samples of a file, ``(2, samples)``."""
    path = folder / "stem"
    path.write_bytes(content)
    with Decoder(path) as decoder:
        return np.concatenate([np.array(block) for block in decoder], axis=1)


def far_from_song_db(song: Path, urls: list[str], folder: Path) -> float:
    """Energy of the song less the sum of the stems, against that of the song."""
    mix = soundfile.read(song, dtype="float32")[0].T
    total = np.sum([samples(httpx.get(url, trust_env=False).content, folder) for url in urls], axis=0)
    assert total.shape == mix.shape
    return float(10 * np.log10(np.sum((total - mix) ** 2) / np.sum(mix**2)))


def received(world: StandIn, task_id: str) -> Received:
    """The callback of a task; both signatures are right, and of nothing else."""

    def of_task() -> list[Received]:
        return [one for one in world.of("/hook") if task_id.encode() in one.body]

    until(lambda: {"count": len(of_task())}, lambda seen: seen["count"] > 0)
    (found,) = of_task()
    sent = found.headers
    message = f"{task_id}.{sent['x-webhook-timestamp']}".encode()
    right = base64.b64encode(hmac.digest(WEBHOOK_KEY.encode(), message, hashlib.sha256)).decode()
    assert sent["x-webhook-signature"] == right
    assert Webhook(WEBHOOK_KEY.encode()).verify(found.body, sent)
    return found


class TestKie:
    @pytest.mark.parametrize(("kind", "count"), [("separate_vocal", 2), ("split_stem", 12)])
    def test_an_uploaded_song(
        self, client: httpx.Client, world: StandIn, track: Json, song: Path, tmp_path: Path, kind: str, count: int
    ) -> None:
        ids = {"taskId": track["task_id"], "audioId": track["audio_id"]}
        self.separate(client, world, song, tmp_path, {**ids, "type": kind}, count)

    def test_a_file_brought_the_vendors_way(
        self, client: httpx.Client, world: StandIn, song: Path, tmp_path: Path
    ) -> None:
        form = {"file": (song.name, song.read_bytes(), "audio/wav")}
        upload = client.post("/api/file-stream-upload", files=form, data={"uploadPath": "songs"}).json()
        self.separate(client, world, song, tmp_path, {"audioUrl": upload["data"]["downloadUrl"]}, 2)

    def test_one_instrument_and_the_rest(
        self, client: httpx.Client, world: StandIn, song: Path, tmp_path: Path
    ) -> None:
        kept = Song(song.read_bytes())
        world.add_task(kept)
        order = {"audioUrl": f"{world.url}/audio/{kept.id}.wav", "type": "split_stem_advanced", "stemName": "Bass"}
        record = self.submit(client, world, order)
        (pair,) = record["response"]["originData"]
        urls = [pair["extract"]["audio_url"], pair["remove"]["audio_url"]]
        assert far_from_song_db(song, urls, tmp_path) < -25

    def separate(self, client: httpx.Client, world: StandIn, song: Path, folder: Path, order: Json, count: int) -> None:
        record = self.submit(client, world, order)
        stems = {stem["stem_type_group_name"]: stem["audio_url"] for stem in record["response"]["originData"]}
        named = {url for key, url in record["response"].items() if key.endswith("Url") and key != "originUrl" and url}
        assert len(stems) == count and named == set(stems.values())
        assert all(url.endswith(".mp3") for url in named)
        assert far_from_song_db(song, list(named), folder) < -25
        callback = received(world, record["taskId"]).json
        assert callback["code"] == 200
        assert callback["data"]["vocal_separation_info"]["vocal_url"] == record["response"]["vocalUrl"]

    def submit(self, client: httpx.Client, world: StandIn, order: Json) -> Json:
        reply = client.post("/api/v1/vocal-removal/generate", json={**order, "callBackUrl": f"{world.url}/hook"}).json()
        assert reply["code"] == 200, reply
        query = {"taskId": reply["data"]["taskId"]}
        record = until(
            lambda: client.get("/api/v1/vocal-removal/record-info", params=query).json()["data"],
            lambda record: record["successFlag"] != "PENDING",
        )
        assert record["successFlag"] == "SUCCESS", record
        return record


class TestCrun:
    @pytest.mark.parametrize(("mode", "count"), [("vocal", 2), ("instrumental", 12)])
    def test_a_mode(
        self, client: httpx.Client, world: StandIn, track: Json, song: Path, tmp_path: Path, mode: str, count: int
    ) -> None:
        order = {
            "model": "suno/vocal-separatio",
            "callback_url": f"{world.url}/hook",
            "input": {"task_id": track["task_id"], "suno_id": track["audio_id"], "mode": mode},
        }
        task_id = client.post("/api/v1/client/job/CreateTask", json=order).json()["data"]["task_id"]
        record = until(
            lambda: client.get("/api/v1/client/job/TaskInfo", params={"task_id": task_id}).json()["data"],
            lambda record: record["status"] in ("success", "failed"),
        )
        assert record["status"] == "success", record
        urls = list(record["result"]["media_info"].values())
        assert len(urls) == count
        assert far_from_song_db(song, urls, tmp_path) < -25
        assert received(world, task_id).json == record


class TestOurOwn:
    @pytest.mark.parametrize(
        ("stems", "names"),
        [("twelve", list(STEMS)), (["drums", "bass"], ["drums", "bass", "residual"])],
    )
    def test_wav_adds_up_to_the_song_bit_for_bit(
        self, client: httpx.Client, world: StandIn, track: Json, song: Path, stems: str | list[str], names: list[str]
    ) -> None:
        order = {"track_id": track["id"], "stems": stems, "format": "wav", "callback_url": f"{world.url}/hook"}
        made = client.post("/v1/separations", json=order)
        assert made.status_code == 201
        with client.stream("GET", f"/v1/separations/{made.json()['id']}/events") as stream:
            events = [(name, record) for name, record, _ in events_of(stream)]
        assert [name for name, _ in events] == ["progress"] * (len(events) - 1) + ["end"]
        shares = [record["progress"] for _, record in events]
        assert shares == sorted(shares) and shares[-1] == 1
        separation = events[-1][1]
        assert separation["state"] == "succeeded"
        assert [stem["name"] for stem in separation["stems"]] == names

        files = [httpx.get(stem["url"], trust_env=False).content for stem in separation["stems"]]
        parts = [soundfile.read(io.BytesIO(file), dtype="int16")[0].astype(np.int32) for file in files]
        assert soundfile.info(io.BytesIO(files[0])).subtype == "PCM_16"
        np.testing.assert_array_equal(sum(parts), soundfile.read(song, dtype="int16")[0])

        with zipfile.ZipFile(io.BytesIO(client.get(separation["zip"]).content)) as archive:
            assert [archive.read(f"{name}.wav") for name in names] == files
        callback = received(world, separation["id"]).json
        assert (callback["type"], callback["data"]) == ("separation.succeeded", separation)

    def test_a_running_separation_is_cancelled(self, client: httpx.Client) -> None:
        track = client.post("/v1/tracks", files={"file": ("long.mp3", LONG_SONG.read_bytes(), "audio/mpeg")}).json()
        order = {"track_id": track["id"], "stems": "twelve"}
        path = f"/v1/separations/{client.post('/v1/separations', json=order).json()['id']}"
        until(lambda: client.get(path).json(), lambda record: record["state"] == "running")
        assert client.post(f"{path}/cancel").json()["state"] in ("running", "cancelled")
        ended = until(lambda: client.get(path).json(), lambda record: record["ended_at"] is not None)
        assert ended["state"] == "cancelled" and ended["stems"] == []
        assert client.get(f"{path}/stems.zip").status_code == 409


def test_the_client_does_the_same(serving: Serving, song: Path, tmp_path: Path) -> None:
    assert serving.key is not None
    with Client(serving.url, key=serving.key) as client:
        shares: list[float] = []
        ordered = client.separate(song, stems=["vocals", "drums"])
        ended = client.wait(ordered, on_progress=lambda one: shares.append(one.progress), timeout_s=PATIENCE_S)
        assert shares == sorted(shares) and shares[-1] == 1
        files = client.download(ended, tmp_path / "stems")
        assert [file.name for file in files] == ["vocals.wav", "drums.wav", "residual.wav"]
        parts = [soundfile.read(file, dtype="int16")[0].astype(np.int32) for file in files]
        np.testing.assert_array_equal(sum(parts), soundfile.read(song, dtype="int16")[0])
        with zipfile.ZipFile(client.download_zip(ended, tmp_path / "all.zip")) as archive:
            assert [archive.read(file.name) for file in files] == [file.read_bytes() for file in files]
        another = client.cancel(client.separate(LONG_SONG, stems="twelve"))
        with pytest.raises(SeparationFailedError, match="cancelled"):
            client.wait(another, timeout_s=PATIENCE_S)
        client.delete(ended)
        client.delete_track(ended.track_id)
        assert ended.id not in [one.id for one in client.separations()]
