from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.errors import CancelledError, StorageError, UnreadableInputError, UsageError
from stemwright.models.engine import ChunkSize, MaskEngine, WaveformEngine
from stemwright.separation.options import Options
from stemwright.separation.progress import Progress
from stemwright.separation.result import Result
from stemwright.separation.separator import Separator
from stemwright.stems import STEMS
from tests.audio.signals import write_av
from tests.separation.engines import LocalMasks, LocalWaveforms

ENGINES = [LocalMasks(), LocalMasks(absent=("fx", "brass")), LocalWaveforms()]
Samples = NDArray[np.float32]


def music(seconds: float, rate: int, channels: int, peak: float = 0.5) -> Samples:
    """Chords, a beat and noise: something in every band, different on each side."""
    rng = np.random.default_rng(7)
    t = np.arange(round(seconds * rate)) / rate
    tones: Any = sum(np.sin(2 * np.pi * hz * t + side) for hz in (110, 277, 660, 2093) for side in (0, 1))
    beat = np.exp(-8 * (t % 0.5)) * rng.standard_normal(len(t))
    sides = [tones + beat + 0.1 * rng.standard_normal(len(t)) for _ in range(channels)]
    samples = np.stack(sides) * (1 + 0.2 * np.arange(channels))[:, None]
    scaled: Samples = (samples * (peak / np.abs(samples).max())).astype(np.float32)
    return scaled


def write(path: Path, samples: Samples, rate: int = 44_100, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, samples.T, rate, subtype=subtype)
    return path


def read(path: Path, dtype: str = "int32") -> NDArray[np.float64]:
    samples, _ = soundfile.read(path, dtype=dtype, always_2d=True)
    return np.asarray(samples.T, np.float64)


def separate(tmp_path: Path, song: Path, engine: MaskEngine | WaveformEngine | None = None, **choices: Any) -> Result:
    options = replace(Options(stems="twelve", out=tmp_path / "out"), **choices)
    return Separator.of_engine(engine or LocalMasks(), threads=2).separate_file(song, options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("stems", ["two", "twelve", "drums,bass"])
def test_stems_in_memory_add_up_to_the_input(engine: MaskEngine | WaveformEngine, rate: int, stems: str) -> None:
    samples = music(1.3, rate, 2)
    made = Separator.of_engine(engine, threads=2).separate(samples, rate, stems)
    assert all(stem.shape == samples.shape and stem.dtype == np.float32 for stem in made.values())
    total = np.sum([stem.astype(np.float64) for stem in made.values()], axis=0)
    assert np.abs(total - samples).max() <= 1e-6 * np.abs(samples).max()  # -120 dB


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_samples", [1, 2, 1023, 1024, 1025, 4096, 65_536, 65_537, 100_001])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_length_comes_back_to_the_sample(engine: MaskEngine | WaveformEngine, n_samples: int, rate: int) -> None:
    samples = music(3, rate, 1)[:, :n_samples]
    made = Separator.of_engine(engine, threads=2).separate(samples, rate)
    np.testing.assert_allclose(np.sum(list(made.values()), axis=0), samples, atol=1e-5)
    assert {stem.shape for stem in made.values()} == {(1, n_samples)}


@pytest.mark.parametrize("size", [ChunkSize(17, 8), ChunkSize(64, 0), ChunkSize(64, 32), ChunkSize(200, 16)])
def test_any_chunk_size_gives_the_same_stems(size: ChunkSize) -> None:
    samples = music(3, 44_100, 2)
    whole = Separator.of_engine(LocalMasks(chunk=ChunkSize(160, 0)), threads=2).separate(samples, 44_100)
    cut = Separator.of_engine(LocalMasks(chunk=size), threads=2).separate(samples, 44_100)
    for stem in STEMS:  # masks are kept as half floats: one of their steps is 5e-4
        np.testing.assert_allclose(cut[stem], whole[stem], atol=5e-4 * np.abs(samples).max())


@pytest.mark.parametrize("size", [ChunkSize(1000, 499), ChunkSize(8192, 0), ChunkSize(150_000, 100)])
def test_any_chunk_size_gives_the_same_stems_from_waveforms(size: ChunkSize) -> None:
    samples = music(3, 44_100, 2)
    cut = Separator.of_engine(LocalWaveforms(chunk=size), threads=2).separate(samples, 44_100)
    np.testing.assert_allclose(cut["bass"], -0.3 * samples, atol=1e-6)


def test_masks_are_applied_at_the_right_time_and_rate() -> None:
    """A stem whose masks are one is the input itself, at any rate: an offset of one sample would show."""
    engine = LocalMasks(absent=tuple(stem for stem in STEMS if stem not in ("drums", "fx")))
    for rate in (22_050, 44_100, 48_000, 192_000):
        samples = music(1, rate, 2)
        made = Separator.of_engine(engine, threads=2).separate(samples, rate)
        both = made["drums"] + made["fx"]
        np.testing.assert_allclose(both, samples, atol=1e-6)
        lags = np.correlate(made["drums"][0, 2000:6000], samples[0, 1990:6010], "valid")
        assert lags.argmax() == 10


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("subtype", "format_name"), [("PCM_16", "wav"), ("PCM_24", "wav"), ("PCM_24", "flac")])
@pytest.mark.parametrize("channels", [1, 2])
def test_integer_files_add_up_bit_for_bit(
    tmp_path: Path, engine: MaskEngine | WaveformEngine, subtype: str, format_name: str, channels: int
) -> None:
    song = write(tmp_path / "song.wav", music(2, 44_100, channels), subtype=subtype)
    result = separate(tmp_path, song, engine, format=format_name)
    total = np.sum([read(stem.path) for stem in result.stems], axis=0)
    np.testing.assert_array_equal(total, read(song))
    assert result.residual_db == -200
    assert (result.channels, result.samples, result.sample_rate) == (channels, 88_200, 44_100)
    assert [stem.name for stem in result.stems] == list(STEMS)


def test_float_files_add_up_and_may_exceed_full_scale(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", music(2, 48_000, 2, peak=2.5), 48_000, subtype="FLOAT")
    result = separate(tmp_path, song)
    total = np.sum([read(stem.path, "float64") for stem in result.stems], axis=0)
    np.testing.assert_allclose(total, read(song, "float64"), atol=1e-6)
    assert result.gain_db == 0
    assert result.residual_db is not None
    assert result.residual_db < -120


@pytest.mark.parametrize("bit_depth", [16, 24])
def test_one_common_gain_keeps_loud_stems_below_full_scale(tmp_path: Path, bit_depth: int) -> None:
    song = write(tmp_path / "song.wav", music(2, 44_100, 2, peak=2.0), subtype="FLOAT")
    result = separate(tmp_path, song, LocalWaveforms(), stems="two", bit_depth=bit_depth)
    gain = 10 ** (result.gain_db / 20)
    assert result.gain_db < -1
    total = np.sum([read(stem.path, "float64") for stem in result.stems], axis=0)
    np.testing.assert_allclose(total, gain * read(song, "float64"), atol=2.0 ** (1 - bit_depth))
    peaks = [np.abs(read(stem.path, "float64")).max() for stem in result.stems]
    assert max(peaks) == pytest.approx(1, abs=1e-3)
    assert result.residual_db is not None
    assert result.residual_db < -90


def test_a_square_wave_at_full_scale_needs_no_gain_of_its_own(tmp_path: Path) -> None:
    """The most negative integer is not too loud: a song that touches it keeps its level."""
    samples = np.tile(np.repeat(np.array([[-1.0, 32767 / 32768]], np.float32), 500, axis=1), (2, 40))
    engine = LocalMasks(absent=tuple(stem for stem in STEMS if stem != "drums"))
    song = write(tmp_path / "song.wav", samples)
    result = separate(tmp_path, song, engine)
    assert result.gain_db == 0
    np.testing.assert_array_equal(read(result.output_dir / "drums.wav"), read(song))


def test_an_absent_stem_is_a_silent_file_and_nothing_is_lost(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", music(2, 44_100, 2))
    result = separate(tmp_path, song, LocalMasks(absent=("fx", "brass")))
    by_name = {stem.name: stem for stem in result.stems}
    for name in ("fx", "brass"):
        assert not by_name[name].present
        assert by_name[name].peak_dbfs is None
        assert not read(by_name[name].path).any()
    total = np.sum([read(stem.path) for stem in result.stems], axis=0)
    np.testing.assert_array_equal(total, read(song))


@pytest.mark.parametrize("engine", [LocalMasks(), LocalMasks(absent=("guitar",)), LocalWaveforms()])
def test_of_a_song_whose_stems_are_known_the_others_are_silent_and_nothing_is_lost(
    tmp_path: Path, engine: MaskEngine | WaveformEngine
) -> None:
    song = write(tmp_path / "song.wav", music(2, 44_100, 2))
    result = separate(tmp_path, song, engine, playing="drums,guitar")
    for stem in result.stems:
        assert stem.present == (stem.name in ("drums", "guitar"))
        assert bool(read(stem.path).any()) == stem.present
    np.testing.assert_array_equal(np.sum([read(stem.path) for stem in result.stems], axis=0), read(song))


def test_a_song_in_memory_may_have_known_stems() -> None:
    song = music(1, 44_100, 2)
    stems = Separator.of_engine(LocalMasks(), threads=1).separate(song, 44_100, playing=["bass", "synth"])
    assert [name for name, samples in stems.items() if samples.any()] == ["bass", "synth"]
    np.testing.assert_allclose(sum(stems.values()), song, atol=1e-5)


def test_other_known_stems_make_another_separation(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", music(1, 44_100, 2))
    separate(tmp_path, song)
    known = separate(tmp_path, song, playing="drums,guitar", overwrite=False)
    assert not known.skipped
    assert separate(tmp_path, song, playing="guitar,drums").skipped
    assert not separate(tmp_path, song).skipped


def test_silence_gives_silent_stems(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", np.zeros((2, 44_100), np.float32))
    result = separate(tmp_path, song)
    assert not any(stem.present for stem in result.stems)
    assert not any(read(stem.path).any() for stem in result.stems)
    assert result.residual_db == -200


def test_facts_survive_json() -> None:
    result = Result(
        "a.wav", Path("o"), "fast", ("m@1",), 44_100, 2, 10, 0.1, None, 0.0, (), 1.0, 0.1, 100.0, notes=("n",)
    )
    assert Result.from_dict(result.to_dict()) == result


def test_whole_output_is_kept_until_told_otherwise(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", music(1, 44_100, 2))
    first = separate(tmp_path, song)
    times = [stem.path.stat().st_mtime_ns for stem in first.stems]
    again = separate(tmp_path, song)
    assert again.skipped
    assert [stem.path.stat().st_mtime_ns for stem in again.stems] == times
    assert not separate(tmp_path, song, overwrite=True).skipped


@pytest.mark.parametrize("harm", ["removed", "cut", "another song", "another choice"])
def test_output_that_is_not_whole_or_not_what_was_asked_is_made_anew(tmp_path: Path, harm: str) -> None:
    song = write(tmp_path / "song.wav", music(1, 44_100, 2))
    first = separate(tmp_path, song)
    whole = first.stems[3].path.read_bytes()
    if harm == "removed":
        first.stems[3].path.unlink()
    elif harm == "cut":
        first.stems[3].path.write_bytes(whole[:1000])
    elif harm == "another song":
        write(song, music(1.5, 44_100, 2))
    again = separate(tmp_path, song, bit_depth=24 if harm == "another choice" else None)
    assert not again.skipped
    if harm in ("removed", "cut"):
        assert again.stems[3].path.read_bytes() == whole


def test_progress_rises_to_the_end_of_both_stages(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", music(5, 44_100, 2))
    reported: list[Progress] = []
    Separator.of_engine(LocalMasks(), threads=2).separate_file(
        song, Options(out=tmp_path / "out"), on_progress=reported.append
    )
    fractions = [progress.fraction for progress in reported if progress.fraction is not None]
    assert reported[0].stage == "separating"
    assert reported[-1].stage == "writing"
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert reported[-1].done_s == pytest.approx(5)


@pytest.mark.parametrize("engine", [LocalMasks(), LocalWaveforms()])
def test_the_length_of_a_stream_that_states_none_is_known_once_it_was_read(
    engine: MaskEngine | WaveformEngine, tmp_path: Path
) -> None:
    song = tmp_path / "song.mka"
    # 30 blocks, more than are decoded ahead: so its end is not known when the first chunk is reported.
    values = (music(25, 44_100, 2) * 32_767).astype(np.int16)
    write_av(song, values, "flac", sample_format="s16", muxer="matroska", options={"live": "1"})
    reported: list[Progress] = []
    Separator.of_engine(engine, threads=1).separate_file(
        song, Options(out=tmp_path / "out"), on_progress=reported.append
    )
    assert reported[0].total_s is None
    for stage in ("separating", "writing"):
        done = [progress.done_s for progress in reported if progress.stage == stage]
        assert done == sorted(done)
    assert {progress.total_s for progress in reported if progress.stage == "writing"} == {25.0}
    assert reported[-1].fraction == 1


def cancelling_after(calls: int) -> Callable[[], bool]:
    left = iter(range(calls))
    return lambda: next(left, None) is None


def stem_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.wav"))}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cancelled_run_resumes_to_the_same_bytes(tmp_path: Path, engine: MaskEngine | WaveformEngine) -> None:
    song = write(tmp_path / "song.wav", music(4, 44_100, 2))
    separator = Separator.of_engine(engine, threads=2)
    straight = separator.separate_file(song, Options(stems="twelve", out=tmp_path / "straight"))
    for calls in (0, 1, 2, 3, 5):
        out = tmp_path / f"after {calls}"
        options = Options(stems="twelve", out=out, resume=True)
        with pytest.raises(CancelledError, match="--resume"):
            separator.separate_file(song, options, is_cancelled=cancelling_after(calls))
        assert not (out / "song").exists()
        resumed = separator.separate_file(song, options)
        assert stem_bytes(resumed.output_dir) == stem_bytes(straight.output_dir)
        assert [path.name for path in out.iterdir()] == ["song"]


class CountingMasks(LocalMasks):
    """Counts how often it is asked."""

    calls = 0

    def masks(self, spectrum: NDArray[np.complex64]) -> Samples:
        type(self).calls += 1
        return super().masks(spectrum)


def test_a_resumed_run_does_not_hear_again_what_it_has_heard(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", music(6, 44_100, 2))
    separator = Separator.of_engine(CountingMasks(), threads=2)
    with pytest.raises(CancelledError):
        separator.separate_file(song, Options(out=tmp_path / "out"), is_cancelled=cancelling_after(4))
    calls = CountingMasks.calls
    separator.separate_file(song, Options(out=tmp_path / "out", resume=True))
    assert calls == 4
    whole = 6  # 262 frames in chunks of 64 with an overlap of 16
    assert CountingMasks.calls == whole + 1  # the chunk before the first new one runs twice


KILLED = """
import sys, time
from pathlib import Path
from stemwright.separation.options import Options
from stemwright.separation.separator import Separator
from tests.separation.engines import LocalMasks

def slowly(progress):
    time.sleep(0.02)

song, out = map(Path, sys.argv[1:])
separator = Separator.of_engine(LocalMasks(), threads=2)
separator.separate_file(song, Options(stems="twelve", out=out, resume=True), on_progress=slowly)
"""


def kill_until_done(song: Path, out: Path, delays_s: list[float]) -> None:
    for delay_s in delays_s:
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(song), str(out)], cwd=Path(__file__).parents[2])
        try:
            process.wait(timeout=delay_s)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(song), str(out)], cwd=Path(__file__).parents[2], check=False
    )
    assert done.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a Unix signal")
@pytest.mark.parametrize("delays_s", [[0.9, 1.1, 1.3]])
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path, delays_s: list[float]) -> None:
    song = write(tmp_path / "song.wav", music(20, 44_100, 2))
    straight = Separator.of_engine(LocalMasks(), threads=2).separate_file(
        song, Options(stems="twelve", out=tmp_path / "straight")
    )
    kill_until_done(song, tmp_path / "out", delays_s)
    assert stem_bytes(tmp_path / "out" / "song") == stem_bytes(straight.output_dir)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a Unix signal")
@pytest.mark.parametrize("seed", range(5))
def test_a_run_killed_many_times_resumes_to_the_same_bytes(tmp_path: Path, seed: int) -> None:
    song = write(tmp_path / "song.wav", music(60, 44_100, 2))
    straight = Separator.of_engine(LocalMasks(), threads=2).separate_file(
        song, Options(stems="twelve", out=tmp_path / "straight")
    )
    kill_until_done(song, tmp_path / "out", list(np.random.default_rng(seed).uniform(0.5, 4.0, 10)))
    assert stem_bytes(tmp_path / "out" / "song") == stem_bytes(straight.output_dir)


def test_an_input_that_turns_out_unreadable_leaves_nothing(tmp_path: Path) -> None:
    samples = music(4, 44_100, 2)
    samples[0, 150_000] = np.nan
    song = write(tmp_path / "song.wav", samples, subtype="FLOAT")
    with pytest.raises(UnreadableInputError, match=r"3\.401"):
        separate(tmp_path, song)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_too_small_is_told_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = write(tmp_path / "song.wav", music(4, 44_100, 2))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": 1_000_000}))
    with pytest.raises(StorageError, match="1 MB free"):
        separate(tmp_path, song)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_songs_folder_is_told_before_the_start(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", music(1, 44_100, 2))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "song").write_text("mine")
    with pytest.raises(StorageError, match="is a file"):
        separate(tmp_path, song)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["song"]


def test_two_runs_of_one_song_do_not_mix(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", music(2, 44_100, 2))
    separator = Separator.of_engine(LocalMasks(), threads=2)
    refused: list[StorageError] = []

    def start_another(_: Progress) -> None:
        if not refused:
            with pytest.raises(StorageError, match="Another run") as caught:
                separate(tmp_path, song)
            refused.append(caught.value)

    separator.separate_file(song, Options(stems="twelve", out=tmp_path / "out"), on_progress=start_another)
    assert refused


@pytest.mark.parametrize(
    ("samples", "rate", "error"),
    [
        (np.zeros(10), 44_100, UnreadableInputError),
        (np.zeros((3, 10)), 44_100, UnreadableInputError),
        (np.zeros((2, 0)), 44_100, UnreadableInputError),
        (np.full((2, 10), np.inf), 44_100, UnreadableInputError),
        (np.zeros((2, 10)), 0, UsageError),
        (np.zeros((2, 10), np.complex64), 44_100, UsageError),
    ],
)
def test_arrays_that_are_no_songs_are_refused(samples: Any, rate: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        Separator.of_engine(LocalMasks(), threads=2).separate(samples, rate)


def test_no_threads_are_no_threads() -> None:
    with pytest.raises(UsageError, match="threads"):
        Separator(threads=0)


def test_elapsed_time_is_that_of_the_run(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", music(2, 44_100, 2))
    begun = time.monotonic()
    result = separate(tmp_path, song)
    assert 0 < result.elapsed_s <= time.monotonic() - begun
    assert result.realtime_factor == pytest.approx(result.seconds / result.elapsed_s, rel=0.01)
    assert 20 < result.peak_rss_mb < 5000
