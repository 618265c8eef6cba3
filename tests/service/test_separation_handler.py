"""The handler with the real network, in this process and in workers that are really killed."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from numpy.typing import NDArray
from sqlalchemy import select

from stemwright.database import tables
from stemwright.errors import DatabaseUnavailableError, StemwrightError
from stemwright.jobs.handler import TaskInterrupted, TaskPostponed
from stemwright.jobs.queue import Lease
from stemwright.jobs.supervisor import Supervisor
from stemwright.models.runtimes.onnx import OnnxMaskEngine
from stemwright.service.keys import Caller
from stemwright.service.separation_handler import SeparationHandler
from stemwright.service.service import Service
from stemwright.service.task import Submission, Task
from stemwright.settings import read_settings
from stemwright.storage.blob import StoreUnreachable
from tests.audio.signals import write_av
from tests.http_stub import HttpStub, StubHandler
from tests.server_state import NewState
from tests.service.stub_context import StubContext
from tests.waiting import wait_until

RATE = 22_050
ORDER = Submission(face="native", kind="separate_vocal", stems="two", plan="fast", format="wav")


def song(path: Path, seconds: float, seed: int = 0) -> bytes:
    """A mono WAV of noise and a tone."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * RATE)) / RATE
    samples = 0.1 * rng.standard_normal(time_s.size) + 0.3 * np.sin(2 * np.pi * 220 * time_s)
    soundfile.write(path, samples.astype(np.float32), RATE, subtype="PCM_16", format="WAV")
    return path.read_bytes()


@dataclass(frozen=True)
class Bench:
    """A service with an account that pays 10 credits a task, and a handler."""

    service: Service
    caller: Caller
    handler: SeparationHandler

    def track(self, content: bytes, title: str = "song", caller: Caller | None = None) -> str:
        with self.service.store.writer() as writer:
            writer.write(content)
            blob = writer.commit()
        return self.service.tracks.add_stored((caller or self.caller).account_id, blob, title=title).id

    def submit(self, caller: Caller | None = None, **changes: object) -> Task:
        return self.service.tasks.submit(caller or self.caller, replace(ORDER, **changes))  # type: ignore[arg-type]

    def work(self, context: StubContext | None = None) -> Lease:
        lease = self.service.queue.claim("local/0", 30)
        assert lease is not None
        self.handler.run(lease, context or StubContext())
        return lease

    def task(self, task: Task) -> Task:
        now = self.service.tasks.any(task.id)
        assert now is not None
        return now

    def balance(self) -> int | None:
        return self.service.ledger.balance(self.caller.account_id)

    def folder(self, task: Task) -> Path:
        return self.service.settings.work_folder / task.id

    def stems(self, task: Task) -> dict[str, bytes]:
        return {stem.name: b"".join(self.service.store.read(stem.blob)) for stem in self.task(task).stems}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, new_state: NewState) -> Iterator[Bench]:
    data = tmp_path_factory.mktemp("data")
    with new_state() as state:
        service = Service.open(read_settings(data=data, rate_limit="0", max_upload_mb=5, workers=1, **state))
        key = service.keys.create("alice", credits_hundredths=1_000_000)
        yield Bench(service, service.keys.authenticate(key.key), SeparationHandler(service))
        service.close()


class Pages(HttpStub):
    """A web server with a song, a page, a song that never ends, and nothing else."""

    def __init__(self, content: bytes) -> None:
        super().__init__(PagesHandler)
        self.pages = {"/song.wav": ("audio/wav", content), "/page.html": ("text/html", b"<html>no song</html>")}


class PagesHandler(StubHandler):
    server: Pages

    def answer(self) -> None:
        if self.path == "/endless.wav":
            self.start(200)
            with suppress(OSError):
                while not self.server.closing.wait(0.01):
                    self.wfile.write(b"\0" * 100)
            return
        kind, body = self.server.pages.get(self.path, ("text/plain", b"gone"))
        self.reply(200 if self.path in self.server.pages else 404, body, {"Content-Type": kind})


@pytest.fixture(scope="module")
def source(bench: Bench) -> Iterator[str]:
    """The address of such a server."""
    with Pages(song(bench.service.settings.data / "source.wav", 2, seed=9)) as pages:
        yield pages.url


def test_the_stems_of_an_upload_are_stored_and_add_up_to_it(bench: Bench, tmp_path: Path) -> None:
    content = song(tmp_path / "song.wav", 3)
    task = bench.submit(track_id=bench.track(content), stems="drums,bass")
    bench.work()
    done = bench.task(task)
    assert (done.state, done.progress, done.error_code) == ("succeeded", 1.0, None)
    assert [stem.name for stem in done.stems] == ["drums", "bass", "residual"]
    assert done.seconds == pytest.approx(3.0) and done.facts["residual_db"] == -200
    total = np.zeros(3 * RATE, np.int64)
    for stem in done.stems:
        with bench.service.store.as_file(stem.blob) as path:
            assert path.stat().st_size == stem.size_bytes
            samples, rate = soundfile.read(path, dtype="int16")
        assert rate == RATE
        total += samples
    expected, _ = soundfile.read(tmp_path / "song.wav", dtype="int16")
    assert np.array_equal(total, expected)
    with bench.service.database.read() as session:
        stored = {row.source: row.blob for row in session.scalars(select(tables.Peaks))}
    song_blob = bench.service.tracks.get(done.account_id, done.track_id)
    assert song_blob is not None and song_blob.blob is not None
    for digest in (
        song_blob.blob,
        *(stem.blob for stem in done.stems),
    ):  # written with the stems, or computed from them
        with bench.service.store.as_file(digest) as path:
            assert b"".join(bench.service.store.read(stored[digest])) == bench.service.previews.peaks(path)
    assert not bench.folder(task).exists()
    assert bench.service.queue.claim("local/0", 30) is None


def test_of_an_order_that_says_what_plays_the_others_are_silent(bench: Bench, tmp_path: Path) -> None:
    track_id = bench.track(song(tmp_path / "song.wav", 3, seed=4))
    known = {"playing": ["drums", "guitar"]}
    task = bench.submit(track_id=track_id, stems="twelve", request=known)
    bench.work()
    done = bench.task(task)
    assert {stem.name for stem in done.stems if stem.present} == {"drums", "guitar"}
    assert {stem.name for stem in done.stems if stem.peak_dbfs is not None} == {"drums", "guitar"}
    guessed = bench.submit(track_id=track_id, stems="twelve")
    bench.work()
    assert bench.task(guessed).cache_key != done.cache_key


def test_a_source_by_url_is_fetched_once_and_kept(bench: Bench, source: str) -> None:
    task = bench.submit(source_url=f"{source}/song.wav", format="mp3")
    bench.work()
    assert bench.task(task).state == "succeeded"
    track = bench.service.tracks.get(task.account_id, task.track_id)
    assert track is not None and track.blob is not None
    assert (track.media_type, track.file_name) == ("audio/wav", "song.wav")
    assert all(content[:3] == b"ID3" for content in bench.stems(task).values())


@pytest.mark.parametrize("shared", [False, True])
def test_an_equal_order_gets_the_same_files_at_once(bench: Bench, tmp_path: Path, shared: bool) -> None:
    content = song(tmp_path / "song.wav", 3, seed=100 + shared)
    first = bench.submit(track_id=bench.track(content, "mine"))
    bench.work()
    bob = bench.service.keys.authenticate(bench.service.keys.create(f"bob-of-reuse-{shared}").key)
    with pytest.MonkeyPatch.context() as patch:
        if shared:
            patch.setattr(bench.handler, "_settings", bench.service.settings.model_copy(update={"share_results": True}))
        equal = bench.submit(bob if shared else None, track_id=bench.track(content, "ours", bob if shared else None))
        context = StubContext()
        bench.work(context)
    assert context.advances == 1  # nothing was separated
    one, two = bench.task(first), bench.task(equal)
    assert two.state == "succeeded" and two.seconds == one.seconds and two.facts == one.facts
    assert [stem.blob for stem in two.stems] == [stem.blob for stem in one.stems]
    assert not {stem.id for stem in two.stems} & {stem.id for stem in one.stems}
    other = bench.submit(track_id=first.track_id, format="flac")
    bench.work(context)
    assert context.advances > 2
    assert bench.stems(other)["vocals"][:4] == b"fLaC"


def test_another_accounts_result_is_not_used_by_default(bench: Bench, tmp_path: Path) -> None:
    content = song(tmp_path / "song.wav", 3, seed=102)
    bench.submit(track_id=bench.track(content))
    alone, after_another = StubContext(), StubContext()
    bench.work(alone)
    bob = bench.service.keys.authenticate(bench.service.keys.create("bob-who-listens").key)
    bench.submit(bob, track_id=bench.track(content, "song", bob))
    bench.work(after_another)
    assert after_another.advances == alone.advances > 2, "the song was separated as if nobody had sent it before"


def test_files_say_nothing_of_the_account_that_first_had_them_made(bench: Bench, tmp_path: Path) -> None:
    content = song(tmp_path / "song.wav", 1, seed=2)
    task = bench.submit(track_id=bench.track(content, "a private name"), format="flac")
    bench.work()
    for made in bench.stems(task).values():
        assert b"private" not in made and b"song (" in made


def test_lost_files_of_an_equal_order_are_made_again(bench: Bench, tmp_path: Path) -> None:
    content = song(tmp_path / "song.wav", 1, seed=3)
    first = bench.submit(track_id=bench.track(content))
    bench.work()
    before = bench.stems(first)
    bench.service.store.delete(bench.task(first).stems[0].blob)
    second = bench.submit(track_id=first.track_id)
    bench.work()
    assert bench.stems(second) == before


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [("/gone.wav", 451, "404"), ("/page.html", 501, "The song is not an audio file"), ("/endless.wav", 451, "in time")],
)
def test_a_bad_source_fails_the_task_and_credits_come_back(
    bench: Bench, source: str, path: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_s = 0.5 if path == "/endless.wav" else 240
    limited = bench.service.settings.model_copy(update={"fetch_timeout_s": limit_s})
    monkeypatch.setattr(bench.service.fetcher, "_settings", limited)
    before = bench.balance()
    task = bench.submit(source_url=source + path)
    assert before is not None and bench.balance() == before - 1000
    bench.work()
    failed = bench.task(task)
    assert (failed.state, failed.error_code) == ("failed", code)
    assert failed.error_message is not None and words in failed.error_message
    assert str(bench.service.settings.data) not in failed.error_message
    assert bench.balance() == before
    assert not bench.folder(task).exists()


@pytest.mark.parametrize("tells_its_length", [True, False])
def test_a_song_that_is_too_long_is_refused(
    bench: Bench, tmp_path: Path, tells_its_length: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.handler, "_settings", bench.service.settings.model_copy(update={"max_song_minutes": 0.5}))
    values = (3000 * np.random.default_rng(13).standard_normal((1, 60 * RATE))).astype(np.int16)
    live = {} if tells_its_length else {"live": "1"}  # as a stream is recorded: Matroska has no length then
    write_av(
        tmp_path / "long.mka",
        values,
        "flac",
        sample_format="s16",
        rate=RATE,
        layout="mono",
        muxer="matroska",
        options=live,
    )
    context = StubContext()
    task = bench.submit(track_id=bench.track((tmp_path / "long.mka").read_bytes()))
    bench.work(context)
    failed = bench.task(task)
    assert (failed.state, failed.error_code) == ("failed", 501)
    assert failed.error_message == "The song is longer than 0.5 minutes, the limit of this server: shorten it."
    assert (context.advances == 1) == tells_its_length  # else it is found out on the way
    assert not bench.folder(task).exists()


def test_a_track_deleted_by_hand_fails_the_task(bench: Bench, tmp_path: Path) -> None:
    task = bench.submit(track_id=bench.track(song(tmp_path / "song.wav", 1, seed=4)))
    track = bench.service.tracks.get(task.account_id, task.track_id)
    assert track is not None and track.blob is not None
    bench.service.store.delete(track.blob)
    bench.work()
    failed = bench.task(task)
    assert (failed.state, failed.error_code) == ("failed", 451)
    assert failed.error_message == "The song is no longer stored: send it again."


def test_a_running_task_is_cancelled(bench: Bench, tmp_path: Path) -> None:
    class Canceller(StubContext):
        def advance(self) -> None:
            super().advance()
            if self.advances == 4:
                bench.service.tasks.cancel(task.account_id, task.id)
                time.sleep(1)  # the task is asked once a second

    before = bench.balance()
    task = bench.submit(track_id=bench.track(song(tmp_path / "song.wav", 60, seed=5)))
    bench.work(Canceller())
    assert bench.task(task).state == "cancelled"
    assert bench.balance() == before
    assert not bench.folder(task).exists()


def test_a_worker_that_stops_leaves_its_files_and_the_next_one_goes_on(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_chunks: list[int] = []
    masks = OnnxMaskEngine.masks

    def counted(engine: OnnxMaskEngine, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
        n_chunks.append(len(spectrum))
        return masks(engine, spectrum)

    monkeypatch.setattr(OnnxMaskEngine, "masks", counted)
    content = song(tmp_path / "song.wav", 60, seed=6)
    task = bench.submit(track_id=bench.track(content))
    lease = bench.service.queue.claim("local/0", 30)
    assert lease is not None
    with pytest.raises(TaskInterrupted):
        bench.handler.run(lease, StubContext(stops_after=5))
    state = next(bench.folder(task).glob(".stems.stemwright/masks/state.json")).read_text()
    assert '"n_chunks": 0' not in state
    bench.service.queue.release(lease)
    n_chunks.clear()
    assert bench.work().attempt == 1
    resuming = len(n_chunks)
    resumed = bench.stems(task)
    for stem in bench.task(task).stems:
        bench.service.store.delete(stem.blob)
    anew = bench.submit(track_id=task.track_id)
    n_chunks.clear()
    bench.work()
    assert bench.stems(anew) == resumed
    assert resuming < len(n_chunks)


def test_a_lost_lease_ends_nothing(bench: Bench, tmp_path: Path) -> None:
    task = bench.submit(track_id=bench.track(song(tmp_path / "song.wav", 20, seed=7)))
    old = bench.service.queue.claim("local/0", 30)
    assert old is not None

    class LosingItsLease(StubContext):
        def advance(self) -> None:
            super().advance()
            if self.advances == 2:
                bench.service.queue.release_worker("local/0")

    bench.handler.run(old, LosingItsLease())
    assert bench.task(task).state == "running"
    bench.handler.fail(old, "stall")
    assert bench.task(task).state == "running"
    assert bench.folder(task).exists()
    bench.work()
    assert bench.task(task).state == "succeeded"


def test_two_workers_never_share_the_folder_of_a_task(bench: Bench, tmp_path: Path) -> None:
    import fcntl

    task = bench.submit(track_id=bench.track(song(tmp_path / "song.wav", 1, seed=8)))
    bench.folder(task).mkdir(parents=True)
    lock = os.open(bench.folder(task) / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    waits = threading.Event()

    class Waiting(StubContext):
        def should_stop(self) -> bool:
            waits.set()  # it was asked for before the folder is free
            return super().should_stop()

    worker = threading.Thread(target=bench.work, args=[Waiting()])
    worker.start()
    assert waits.wait(240)
    assert bench.task(task).state == "pending"
    os.close(lock)
    worker.join()
    assert bench.task(task).state == "succeeded"


@pytest.mark.parametrize("reason", ["crashes", "memory", "stall"])
def test_a_task_given_up_fails_with_a_sentence_and_credits_come_back(bench: Bench, source: str, reason: str) -> None:
    before = bench.balance()
    task = bench.submit(source_url=f"{source}/song.wav")
    lease = bench.service.queue.claim("local/0", 30)
    assert lease is not None
    bench.folder(task).mkdir(parents=True)
    bench.handler.fail(lease, reason)  # type: ignore[arg-type]
    failed = bench.task(task)
    assert (failed.state, failed.error_code) == ("failed", 501)
    assert failed.error_message is not None and failed.error_message.endswith(".")
    assert bench.balance() == before
    assert not bench.folder(task).exists()
    assert bench.service.queue.depth() == 0


def test_a_worker_sweeps_what_died_with_others(bench: Bench, tmp_path: Path) -> None:
    waiting = bench.submit(track_id=bench.track(song(tmp_path / "song.wav", 1, seed=10)))
    for name in (waiting.id, "0" * 32):
        (bench.service.settings.work_folder / name).mkdir()
    SeparationHandler(bench.service)
    assert bench.folder(waiting).exists()
    assert not (bench.service.settings.work_folder / ("0" * 32)).exists()
    bench.service.tasks.cancel(waiting.account_id, waiting.id)  # as if it had ended on another machine
    bench.submit(track_id=waiting.track_id)
    bench.work()
    assert not bench.folder(waiting).exists()


@pytest.mark.long
def test_kill_9_in_mid_chunk_gives_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    content = song(tmp_path / "song.wav", 90, seed=11)
    task = bench.submit(track_id=bench.track(content))
    service = bench.service
    supervisor = Supervisor(service.settings, service.queue, "stemwright.service.separation_handler:create_handler")
    supervisor.start()
    try:
        state = bench.folder(task) / ".stems.stemwright" / "masks" / "state.json"
        wait_until(lambda: state.exists() and '"n_chunks": 0' not in state.read_text())
        os.kill(supervisor.pids[0], signal.SIGKILL)
        wait_until(lambda: bench.task(task).has_ended)
    finally:
        supervisor.drain()
    assert bench.task(task).state == "succeeded"
    assert not bench.folder(task).exists()
    killed = bench.stems(task)
    for stem in bench.task(task).stems:
        service.store.delete(stem.blob)
    anew = bench.submit(track_id=task.track_id)
    bench.work()
    assert bench.stems(anew) == killed


def test_a_core_is_left_to_the_server(bench: Bench) -> None:
    assert bench.handler._separator._threads == max(1, len(psutil.Process().cpu_affinity()) - 1)


@pytest.mark.parametrize("plan", ["scnet-large", "best", "gone"])
def test_a_plan_whose_weights_are_gone_fails_the_task_and_nothing_is_downloaded(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    folder = tmp_path / "models"
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(folder))
    monkeypatch.delenv("STEMWRIGHT_OFFLINE", raising=False)
    task = bench.submit(track_id=bench.track(song(tmp_path / "song.wav", 2, seed=13)), plan=plan)
    balance = bench.balance()
    bench.work()
    failed = bench.task(task)
    assert (failed.state, failed.error_code) == ("failed", 501)
    assert failed.error_message == (
        "The server does not have the models of this plan at the moment; choose another plan, or try again later."
    )
    assert balance is not None and bench.balance() == balance + 1000, "the credits come back"
    assert not folder.exists()


def test_no_room_fails_the_task_in_words_for_clients(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    task = bench.submit(track_id=bench.track(song(tmp_path / "song.wav", 3, seed=12)))
    bench.work()
    failed = bench.task(task)
    assert (failed.state, failed.error_code) == ("failed", 501)
    assert failed.error_message == "The server has no room for this song at the moment; try again later."


@pytest.mark.parametrize("lost", ["the database", "the store"])
def test_what_is_lost_on_the_way_is_no_fault_of_the_task(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """It is there again at once, so the task could be told that it failed."""
    task = bench.submit(track_id=bench.track(song(tmp_path / "song.wav", 2, seed=lost == "the store")))
    lease = bench.service.queue.claim("local/0", 30)
    assert lease is not None
    error: StemwrightError = (
        DatabaseUnavailableError("it is starting") if lost == "the database" else StoreUnreachable("it does not answer")
    )

    def put_file(path: Path) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(bench.service.store, "put_file", put_file)
        with pytest.raises(TaskPostponed if lost == "the store" else DatabaseUnavailableError, match=str(error)):
            bench.handler.run(lease, StubContext())
    assert (bench.task(task).state, bench.task(task).stage) == ("running", "storing")
    assert (bench.folder(task) / "stems" / "vocals.wav").exists()
    bench.service.queue.release(lease)
    bench.work()
    assert bench.task(task).state == "succeeded"


def test_stems_that_do_not_fit_into_the_quota_fail_the_task_and_give_the_credits_back(
    bench: Bench, tmp_path: Path
) -> None:
    name, content = bench.caller.account_name, song(tmp_path / "song.wav", 20, seed=200)
    before = bench.balance()
    task = bench.submit(track_id=bench.track(content))
    used = bench.service.storage_quota.usage(bench.caller.account_id).used_bytes
    bench.service.storage_quota.set(name, used // 1_000_000 + 1)  # less than a megabyte is left, and the stems have two
    try:
        bench.work()
    finally:
        bench.service.storage_quota.set(name, None)
    done = bench.task(task)
    assert (done.state, done.error_code, done.stems) == ("failed", 501, ())
    assert done.error_message is not None and "is used up" in done.error_message
    assert bench.balance() == before and not bench.folder(task).exists()
