from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.errors import CancelledError, ModelUnavailableError
from stemwright.models.engine import WaveformEngine
from stemwright.separation.cascade import Cascade, CascadeStep
from stemwright.separation.model_resolver import SingleEngine
from stemwright.separation.options import Options
from stemwright.separation.pass_output import WaveformOutput
from stemwright.separation.plan import MIX
from stemwright.separation.presence_scan import PresenceScan
from stemwright.separation.separator import Separator
from stemwright.separation.source import ArraySource
from stemwright.separation.working_files import WorkingFiles
from stemwright.stems import select
from tests.separation.engines import LocalWaveforms, Samples

RATE = 44_100


@dataclass(frozen=True)
class Share(LocalWaveforms):
    """Gives each of its stems a share of its input, and keeps the chunks that it was given."""

    stems: tuple[str, ...] = ("vocals",)
    share: float = 0.5
    chunks: list[Samples] = field(default_factory=list)

    def separate(self, chunks: Samples) -> Samples:
        self.chunks.append(chunks.copy())
        return np.stack([chunks * np.float32(self.share)] * len(self.stems), axis=1)


def step(
    name: str, input: str, engine: WaveformEngine, remainder: str, outputs: tuple[str, ...] = (), if_skipped: str = ""
) -> CascadeStep:
    return CascadeStep(
        name=name,
        model=engine.name,
        input=input,
        outputs={one: (one,) for one in outputs or engine.stems},
        remainder=remainder,
        if_skipped=if_skipped,
        sample_rate=RATE,
        cost=1.0,
        load=lambda is_cancelled: engine,
    )


@pytest.fixture
def song() -> Samples:
    return np.random.default_rng(3).uniform(-1, 1, (2, 40_000)).astype(np.float32)


def run(
    cascade: Cascade,
    song: Samples,
    folder: Path,
    *,
    is_cancelled: Callable[[], bool] = lambda: False,
    shares: list[float] | None = None,
) -> Samples:
    """The parts, ``(samples, parts, channels)``."""
    with WorkingFiles(folder, {}, resume=True) as work:
        output = cascade.run(
            ArraySource(song, RATE),
            work,
            on_advance=lambda seconds, share: None if shares is None else shares.append(share),
            is_cancelled=is_cancelled,
        )
        assert isinstance(output, WaveformOutput)
        return output.rows.read(0, output.rows.n_rows)


def two_steps(second: WaveformEngine | None = None, if_skipped: str = "") -> list[CascadeStep]:
    return [
        step("1 vocals", MIX, Share(), "band"),
        step("2 rhythm", "band", second or Share(stems=("drums", "bass"), share=0.25), "fx", if_skipped=if_skipped),
    ]


@pytest.mark.parametrize("channels", [1, 2])
def test_each_step_takes_its_part_from_what_remains(song: Samples, tmp_path: Path, channels: int) -> None:
    selection = select("vocals,drums,bass")
    song = song[:channels]
    reported: list[float] = []
    parts = run(Cascade(two_steps(), selection), song, tmp_path / "w", shares=reported)
    for place, share in enumerate((0.5, 0.125, 0.125, 0.25)):
        np.testing.assert_allclose(parts[:, place].T, share * song, atol=1e-6)
    np.testing.assert_allclose(parts.sum(axis=1).T, song, atol=1e-6)
    assert reported == sorted(reported)
    assert reported[-1] == pytest.approx(1)


def test_stems_that_no_step_gives_are_silent(song: Samples, tmp_path: Path) -> None:
    selection = select("twelve")
    parts = run(Cascade(two_steps(), selection), song, tmp_path / "w")
    for place, name in enumerate(selection.names):
        assert bool(parts[:, place].any()) == (name in ("vocals", "drums", "bass", "fx"))


def test_a_cancelled_run_goes_on_in_the_step_where_it_stopped(song: Samples, tmp_path: Path) -> None:
    selection = select("twelve")
    straight = run(Cascade(two_steps(), selection), song, tmp_path / "straight")
    calls = 0

    def second_step_has_begun() -> bool:
        nonlocal calls
        calls += 1
        return calls > 9  # the song has seven chunks: the third of the second step

    first, second = Share(), Share(stems=("drums", "bass"), share=0.25)
    steps = [step("1 vocals", MIX, first, "band"), step("2 rhythm", "band", second, "fx")]
    with pytest.raises(CancelledError):
        run(Cascade(steps, selection), song, tmp_path / "w", is_cancelled=second_step_has_begun)
    assert len(first.chunks) == 7
    assert len(second.chunks) == 2
    resumed = run(Cascade(steps, selection), song, tmp_path / "w")
    assert len(first.chunks) == 7, "the first step was done"
    assert len(second.chunks) == 2 + 1 + 5, "one chunk runs again, for its tail"
    np.testing.assert_array_equal(resumed, straight)


def test_a_cancelled_run_leaves_no_thread_behind_while_its_error_is_kept(tmp_path: Path) -> None:
    song = np.zeros((2, 2_000_000), np.float32)
    before = threading.active_count()
    with pytest.raises(CancelledError) as kept:
        run(Cascade(two_steps(), select("two")), song, tmp_path / "w", is_cancelled=lambda: True)
    assert threading.active_count() == before
    assert kept.value.__traceback__ is not None


@pytest.mark.parametrize("share", [np.nan, np.inf])
def test_numbers_that_are_none_end_the_run(song: Samples, share: float, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="local-waveforms gives NaN or infinity"):
        run(Cascade([step("1", MIX, Share(share=share), "fx")], select("two")), song, tmp_path / "w")


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_batches_change_nothing_and_are_the_same_ones_after_a_break(song: Samples, tmp_path: Path, batch: int) -> None:
    selection = select("twelve")
    straight = run(Cascade([step("1", MIX, Share(), "fx")], selection), song, tmp_path / "straight")
    engine = Share(batch=batch)
    cascade = Cascade([step("1", MIX, engine, "fx")], selection)
    calls = 0

    def third_batch() -> bool:
        nonlocal calls
        calls += 1
        return calls > 2

    if batch <= 2:
        with pytest.raises(CancelledError):
            run(cascade, song, tmp_path / "w", is_cancelled=third_batch)
    np.testing.assert_array_equal(run(cascade, song, tmp_path / "w"), straight)
    whole, rest = divmod(7, batch)
    assert {len(chunks) for chunks in engine.chunks} == ({batch} if whole else set()) | ({rest} if rest else set())


@pytest.mark.parametrize("level_db", [-60.0, -20.0])
def test_a_step_is_left_out_where_none_of_its_stems_plays(song: Samples, tmp_path: Path, level_db: float) -> None:
    selection = select("twelve")
    second = Share(stems=("drums", "bass"), share=0.25)
    n_scans = 0

    def scanner(source: object, is_cancelled: object) -> PresenceScan:
        nonlocal n_scans
        n_scans += 1
        return PresenceScan({"vocals": 0.0, "drums": level_db, "bass": -70.0})

    cascade = Cascade(two_steps(second, if_skipped="fx"), selection, scanner)
    parts = run(cascade, song, tmp_path / "w")
    np.testing.assert_allclose(parts.sum(axis=1).T, song, atol=1e-6)
    assert bool(second.chunks) == (level_db > -40)
    assert any("rhythm" in note for note in cascade.notes) == (level_db < -40)
    run(Cascade(two_steps(second, if_skipped="fx"), selection, scanner), song, tmp_path / "w")
    assert n_scans == 1, "a resumed run loads it"


@pytest.mark.parametrize(("playing", "runs"), [("vocals,bass", True), ("vocals,guitar", False)])
def test_where_the_stems_are_known_no_scan_decides_which_steps_run(
    song: Samples, tmp_path: Path, playing: str, runs: bool
) -> None:
    def scanner(source: object, is_cancelled: object) -> PresenceScan:
        raise AssertionError("it is known already")

    second = Share(stems=("drums", "bass"), share=0.25)
    cascade = Cascade(two_steps(second, if_skipped="fx"), select("twelve", playing), scanner)
    parts = run(cascade, song, tmp_path / "w")
    np.testing.assert_allclose(parts.sum(axis=1).T, song, atol=1e-6)
    assert bool(second.chunks) == runs
    assert any("rhythm" in note for note in cascade.notes) != runs


def test_what_a_step_left_out_would_have_heard_comes_on_top_of_what_has_its_name(song: Samples, tmp_path: Path) -> None:
    steps = [
        step("1 vocals", MIX, Share(stems=("vocals", "drums"), share=0.25), "fx"),
        replace(step("2 rhythm", "drums", Share(), "bass", if_skipped="fx"), load=None, model="", outputs={}),
    ]
    parts = run(Cascade(steps, select("vocals")), song, tmp_path / "w")
    np.testing.assert_allclose(parts[:, 1].T, 0.75 * song, atol=1e-6)


def test_progress_is_reported_during_a_scan_and_a_download(song: Samples, tmp_path: Path) -> None:
    engine = Share(stems=("drums", "bass"), share=0.25)
    reported: list[float] = []
    seen: list[int] = []

    def slowly(is_cancelled: Callable[[], bool]) -> None:
        for _ in range(5):
            assert not is_cancelled()
        seen.append(len(reported))

    def scanner(source: object, is_cancelled: Callable[[], bool]) -> PresenceScan:
        slowly(is_cancelled)
        return PresenceScan({})

    def load(is_cancelled: Callable[[], bool]) -> WaveformEngine:
        slowly(is_cancelled)
        return engine

    steps = [replace(step("1", MIX, engine, "fx", if_skipped="fx"), load=load)]
    run(Cascade(steps, select("twelve"), scanner), song, tmp_path / "w", shares=reported)
    assert seen == [5, 10]
    assert reported == sorted(reported)


def test_a_step_without_a_model_passes_on_what_it_would_have_heard(song: Samples, tmp_path: Path) -> None:
    steps = two_steps(if_skipped="fx")
    steps[1] = replace(steps[1], load=None, model="", outputs={})
    cascade = Cascade(steps, select("two"))
    parts = run(cascade, song, tmp_path / "w")
    np.testing.assert_allclose(parts[:, 1].T, 0.5 * song, atol=1e-6)
    assert cascade.models == ("local-waveforms",)


def test_engines_of_different_rates_make_no_cascade() -> None:
    steps = two_steps()
    with pytest.raises(ValueError, match="one sample rate"):
        Cascade([steps[0], replace(steps[1], sample_rate=48_000)], select("two"))


@dataclass(frozen=True)
class Broken(Share):
    """Fails, as a model does whose weights do not come, or for which a GPU has no room."""

    def separate(self, chunks: Samples) -> Samples:
        raise ModelUnavailableError("its weights did not come")


@pytest.mark.parametrize("before", [0, 1])
def test_what_other_steps_made_is_not_lost_to_a_model_that_fails(
    song: Samples, tmp_path: Path, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "song.wav", song.T, RATE, "PCM_16")
    steps = two_steps(Broken(stems=("drums",))) if before else [step("1", MIX, Broken(), "fx")]
    cascade = Cascade(steps, select("twelve"))
    monkeypatch.setattr(SingleEngine, "analysis_pass", lambda self, selection: cascade)
    separator = Separator.of_engine(Share(), threads=1)
    with pytest.raises(ModelUnavailableError, match="did not come"):
        separator.separate_file(tmp_path / "song.wav", Options(stems="twelve", out=tmp_path / "out"))
    assert (tmp_path / "out/.song.stemwright/1 vocals/state.json").exists() == bool(before)
    assert (tmp_path / "out/.song.stemwright").exists() == bool(before)
    assert not (tmp_path / "out/song").exists()
