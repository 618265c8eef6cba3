"""Songs as WAV: sample by sample, and by the worker that has the task."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.audio.encode import Encoder, Tags
from stemwright.audio.formats import OutputFormat
from stemwright.errors import CancelledError, UnreadableInputError
from stemwright.jobs.handler import TaskInterrupted
from stemwright.service.errors import Conflict
from stemwright.service.separation_handler import SeparationHandler
from stemwright.service.service import Service
from stemwright.service.task import WAV, Submission, Task
from stemwright.service.wav_conversion import convert
from stemwright.settings import read_settings
from tests.service.stub_context import StubContext

RATE = 22_050


def tone(seconds: float = 1.0, channels: int = 2, level: float = 0.5) -> NDArray[np.float64]:
    """``(samples, channels)``, a little noise on a tone."""
    time_s = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal((time_s.size, channels))
    sound: NDArray[np.float64] = level * (np.sin(2 * np.pi * 220 * time_s)[:, None] + 0.02 * noise)
    return sound


def nobody(done_s: float, in_all_s: float | None) -> None:
    pass


@pytest.mark.parametrize(
    ("form", "subtype", "written"),
    [
        ("WAV", "PCM_16", "PCM_16"),
        ("FLAC", "PCM_24", "PCM_24"),
        ("WAV", "PCM_U8", "PCM_16"),
        ("WAV", "FLOAT", "FLOAT"),
        ("AIFF", "PCM_16", "PCM_16"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_lossless_song_comes_back_bit_for_bit(
    tmp_path: Path, form: str, subtype: str, written: str, channels: int
) -> None:
    song, wav = tmp_path / "song", tmp_path / "song.wav"
    soundfile.write(song, tone(channels=channels), RATE, subtype=subtype, format=form)
    converted = convert(song, wav, "song", nobody)
    info = soundfile.info(wav)
    assert info.format in ("WAV", "WAVEX")
    assert (info.subtype, info.samplerate, info.channels) == (written, RATE, channels)
    (before, _), (after, _) = soundfile.read(song, always_2d=True), soundfile.read(wav, always_2d=True)
    assert np.array_equal(before, after)
    assert (converted.samples, converted.seconds, converted.gain_db) == (RATE, 1.0, 0.0)
    assert converted.peak_dbfs == pytest.approx(20 * np.log10(np.abs(before).max()), abs=0.01)


def mp3(path: Path, samples: NDArray[np.float64]) -> None:
    fmt = OutputFormat("mp3", "mp3", None, 128, lossless=False)
    with Encoder(path, fmt, sample_rate=RATE, channels=2, tags=Tags(None, None, None, "song")) as encoder:
        encoder.write(np.ascontiguousarray(samples.T, np.float32))


def test_a_lossy_song_keeps_its_length(tmp_path: Path) -> None:
    mp3(tmp_path / "song", tone())
    converted = convert(tmp_path / "song", tmp_path / "song.wav", "song", nobody)
    after, rate = soundfile.read(tmp_path / "song.wav")
    assert (len(after), rate, soundfile.info(tmp_path / "song.wav").subtype) == (RATE, RATE, "PCM_24")
    assert converted.gain_db == 0 and np.corrcoef(after[:, 0], tone()[:, 0])[0, 1] > 0.99


def test_a_song_beyond_full_scale_gets_one_gain_and_is_not_clipped(tmp_path: Path) -> None:
    mp3(tmp_path / "song", tone(level=1.3))
    converted = convert(tmp_path / "song", tmp_path / "song.wav", "song", nobody)
    after, _ = soundfile.read(tmp_path / "song.wav")
    assert converted.gain_db < -1 and converted.peak_dbfs == pytest.approx(0, abs=0.001)
    assert np.abs(after).max() < 1
    # Nothing is flat: a clipped sine would have thousands of samples at its highest value.
    assert (np.abs(after) > 0.9999 * np.abs(after).max()).sum() < 200


def test_silence_has_no_level(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song", np.zeros((RATE, 2)), RATE, format="WAV")
    converted = convert(tmp_path / "song", tmp_path / "song.wav", "song", nobody)
    assert converted.peak_dbfs is converted.rms_dbfs is None


def test_what_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "song").write_bytes(b"no sound" * 100)
    with pytest.raises(UnreadableInputError):
        convert(tmp_path / "song", tmp_path / "song.wav", "song", nobody)


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song", tone(20), RATE, format="WAV")
    reported: list[float] = []

    def stop(done_s: float, in_all_s: float | None) -> None:
        reported.append(done_s)
        raise CancelledError("enough")

    with pytest.raises(CancelledError):
        convert(tmp_path / "song", tmp_path / "song.wav", "song", stop)
    assert reported[0] < 20


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from stemwright.errors import StorageError
from stemwright.service.wav_conversion import convert

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    convert(Path(sys.argv[1]), Path(sys.argv[2]), "song", lambda done_s, total_s: None)
except StorageError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("level", [0.5, 1.3])
def test_a_full_disk_is_told(tmp_path: Path, level: float) -> None:
    mp3(tmp_path / "song", tone(level=level))
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "song"), str(tmp_path / "song.wav")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert done.stdout.startswith(f"No room is left to write {tmp_path / 'song.wav'}: free some space")


# --- by the worker


@dataclass(frozen=True)
class Bench:
    """A service, and a handler of its workers. The account pays."""

    service: Service
    handler: SeparationHandler
    account_id: str
    key: str

    def track(self, content: bytes) -> str:
        with self.service.store.writer() as writer:
            writer.write(content)
            blob = writer.commit()
        return self.service.tracks.add_stored(self.account_id, blob, title="song").id

    def submit(self, track_id: str, stem_name: str | None = None) -> Task:
        order = Submission(
            face="kie",
            kind=WAV,
            stems=WAV,
            plan="",
            format="wav",
            track_id=track_id,
            audio_id=track_id,
            stem_name=stem_name,
            callback_url="https://client.example/hook",
        )
        return self.service.tasks.submit(self.service.keys.authenticate(self.key), order)

    def work(self, context: StubContext | None = None) -> None:
        lease = self.service.queue.claim("local/0", 30)
        assert lease is not None
        try:
            self.handler.run(lease, context or StubContext())
        except TaskInterrupted:
            self.service.queue.release(lease)

    def task(self, task: Task) -> Task:
        now = self.service.tasks.any(task.id)
        assert now is not None
        return now

    def balance(self) -> int | None:
        return self.service.ledger.balance(self.account_id)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    service = Service.open(read_settings(data=tmp_path_factory.mktemp("data"), rate_limit="0", max_song_minutes=0.5))
    key = service.keys.create("alice", credits_hundredths=1_000).key
    yield Bench(service, SeparationHandler(service), service.keys.authenticate(key).account_id, key)
    service.close()


def wav_bytes(seconds: float = 1.0, level: float = 0.5) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(seconds, level=level), RATE, format="WAV")
    return file.getvalue()


def stored(bench: Bench, task: Task) -> NDArray[np.float64]:
    content = b"".join(bench.service.store.read(bench.task(task).stems[0].blob))
    samples: NDArray[np.float64] = soundfile.read(io.BytesIO(content))[0]
    return samples


def test_a_task_ends_with_its_file(bench: Bench) -> None:
    content, before = wav_bytes(), bench.balance()
    task = bench.submit(bench.track(content), "drums")
    bench.work()
    now = bench.task(task)
    assert (now.state, now.seconds, now.progress, now.price) == ("succeeded", 1.0, 1.0, 40)
    (stem,) = now.stems
    assert (stem.name, stem.format, stem.present) == ("drums", "wav", True)
    assert stem.size_bytes == bench.service.store.size(stem.blob)
    assert np.array_equal(stored(bench, task), soundfile.read(io.BytesIO(content))[0])
    assert before is not None and bench.balance() == before - 40
    assert not (bench.service.settings.work_folder / task.id).exists()


@pytest.mark.parametrize(
    ("content", "words"), [(b"no sound", "not an audio file"), (wav_bytes(31), "longer than 0.5 minutes")]
)
def test_a_task_that_fails_gives_its_credits_back(bench: Bench, content: bytes, words: str) -> None:
    before = bench.balance()
    track_id = bench.track(content)
    task = bench.submit(track_id)
    bench.work()
    now = bench.task(task)
    assert (now.state, now.error_code) == ("failed", 501) and words in str(now.error_message)
    assert bench.balance() == before
    again = bench.submit(track_id)  # a failure is no record that stands in the way
    bench.service.tasks.cancel(bench.account_id, again.id)
    assert bench.balance() == before


def test_a_task_that_is_interrupted_goes_on_elsewhere(bench: Bench) -> None:
    content, before = wav_bytes(20, level=0.25), bench.balance()
    track_id = bench.track(content)
    task = bench.submit(track_id)
    bench.work(StubContext(stops_after=3))
    assert bench.task(task).state == "running"
    with pytest.raises(Conflict, match="WAV record already exists"):
        bench.submit(track_id)
    bench.work()
    assert bench.task(task).state == "succeeded" and before is not None and bench.balance() == before - 40
    assert np.array_equal(stored(bench, task), soundfile.read(io.BytesIO(content))[0])


class Killed(BaseException):
    """Ends a worker as kill -9 does: nothing is tidied up, and the lease stays."""


@pytest.mark.parametrize("moment", ["writing", "stored"])
def test_a_worker_that_is_killed_costs_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    content, before = wav_bytes(20, level=0.125 if moment == "writing" else 0.0625), bench.balance()
    task = bench.submit(bench.track(content))

    def killed(*_: object, **__: object) -> None:
        raise Killed

    class Dying(StubContext):
        def advance(self) -> None:
            super().advance()
            if self.advances == 4 and moment == "writing":
                raise Killed

    with monkeypatch.context() as patches, pytest.raises(Killed):
        if moment == "stored":
            patches.setattr(type(bench.service.worker_tasks), "succeed", killed)
        bench.work(Dying())
    assert bench.task(task).state == "running"
    assert (bench.service.settings.work_folder / task.id / "song.wav").exists()
    bench.service.queue.release_worker("local")
    bench.work()
    assert bench.task(task).state == "succeeded" and before is not None and bench.balance() == before - 40
    assert np.array_equal(stored(bench, task), soundfile.read(io.BytesIO(content))[0])
    assert len(bench.service.callbacks.log(bench.account_id, task.id)) == 1


def test_a_task_that_is_given_up_is_no_separation(bench: Bench) -> None:
    task = bench.submit(bench.track(wav_bytes(0.3)))
    lease = bench.service.queue.claim("local/0", 30)
    assert lease is not None
    bench.handler.fail(lease, "crashes")
    assert str(bench.task(task).error_message).startswith("The conversion of this song crashed")


def test_the_file_of_a_second_song_that_is_the_same_is_kept_once(bench: Bench) -> None:
    content = wav_bytes(0.5)
    first, second = bench.submit(bench.track(content)), bench.submit(bench.track(content))
    bench.work()
    bench.work()
    blobs = {stem.blob for task in (first, second) for stem in bench.task(task).stems}
    assert len(blobs) == 1
