"""``--denoise``: a step before any plan, whose noise counts as fx."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stemwright.errors import CancelledError, ModelUnavailableError, UsageError
from stemwright.models import registry
from stemwright.models.registry import Model
from stemwright.separation.options import Options
from stemwright.separation.plan import plan_of
from stemwright.separation.separator import Separator
from tests.models.small_registry import Mirror, small_registry
from tests.separation.engines import LocalWaveforms, Samples
from tests.separation.installed import own_machine

RATE_HZ = 44_100
DENOISER, PLAN = "mel-band-roformer-denoise-aufr33", "htdemucs-6s"


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    own_machine(tmp_path, monkeypatch)
    with small_registry(tmp_path, monkeypatch, DENOISER, PLAN) as mirror:
        yield mirror


@pytest.fixture
def song() -> Samples:
    return np.random.default_rng(3).uniform(-0.4, 0.4, (2, 2 * RATE_HZ)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path, song: Samples) -> Path:
    soundfile.write(tmp_path / "song.wav", song.T, RATE_HZ, "PCM_16")
    return tmp_path / "song.wav"


@dataclass(frozen=True)
class Share(LocalWaveforms):
    """Gives each stem a share of the input."""

    share: float = 0.0

    def separate(self, chunks: Samples) -> Samples:
        return np.stack([chunks * np.float32(self.share)] * len(self.stems), axis=1)


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of what it is given is noise to the denoiser, and a tenth each of its stems to the plan's network."""

    def load(model: Model, **_: Any) -> Share:
        return Share(name=model.name, stems=model.stems, share=0.25 if model.name == DENOISER else 0.1)

    monkeypatch.setattr("stemwright.separation.engine_cache.load_engine", load)


@pytest.mark.usefixtures("shares")
@pytest.mark.parametrize(
    ("stems", "wanted"),
    [
        ("two", {"vocals": 0.075, "instrumental": 0.925}),
        ("drums", {"drums": 0.075, "residual": 0.925}),
        ("fx,bass", {"fx": 0.25 + 0.75 * 0.5, "bass": 0.075, "residual": 0.3}),
        ("twelve", {"vocals": 0.075, "drums": 0.075, "fx": 0.25 + 0.75 * 0.5, "strings": 0.0}),
    ],
)
def test_the_plan_gets_the_song_without_the_noise_and_fx_gets_the_noise(
    song: Samples, stems: str, wanted: dict[str, float]
) -> None:
    parts = Separator(PLAN, threads=1, denoise=True).separate(song, RATE_HZ, stems)
    for name, gain in wanted.items():
        np.testing.assert_allclose(parts[name], np.float32(gain) * song, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(sum(parts.values()), song, atol=1e-6)


@pytest.mark.parametrize("plan", ["fast", PLAN, "good", "auto"])
def test_files_add_up_bit_for_bit_and_the_result_says_it(path: Path, plan: str) -> None:
    options = Options(stems="twelve", out=path.parent / "stems")
    result = Separator(plan, threads=1, denoise=True).separate_file(path, options)
    written = [soundfile.read(stem.path, dtype="int16")[0].astype(np.int64) for stem in result.stems]
    assert np.array_equal(sum(written), soundfile.read(path, dtype="int16")[0])
    assert result.models[0] == registry.find(DENOISER).identity
    assert result.notes[0] == "Noise was removed first; it is in 'fx'."
    assert Separator(plan, threads=1, denoise=True).separate_file(path, options).skipped


def test_without_it_nothing_is_removed_and_other_files_are_not_taken_for_its_own(path: Path) -> None:
    options = Options(out=path.parent / "stems")
    plain = Separator("fast", threads=1).separate_file(path, options)
    assert [model.split("@")[0] for model in plain.models] == ["stemwright-12"]
    cleaned = Separator("fast", threads=1, denoise=True).separate_file(path, options)
    assert not cleaned.skipped and cleaned.notes[0] == "Noise was removed first; it is in 'instrumental'."


@pytest.mark.parametrize("plan", ["auto", "fast"])
def test_it_is_what_was_asked_for_so_it_is_downloaded(path: Path, mirror: Mirror, plan: str) -> None:
    separator = Separator(plan, threads=1, denoise=True)
    assert [model.name for model in separator.missing("two")] == [DENOISER]
    assert [model.name for model in pickle.loads(pickle.dumps(separator)).missing("two")] == [DENOISER]
    separator.prepare("two")
    assert mirror.asked == [registry.find(DENOISER).files[0].name]
    assert separator.missing("two") == ()
    assert separator.separate_file(path, Options(out=path.parent / "stems")).plan == "fast"


def test_an_interrupted_run_of_auto_goes_on(path: Path) -> None:
    options = Options(out=path.parent / "stems")
    separator = Separator(threads=1, denoise=True)
    calls = iter(range(10**6))
    separator.prepare()
    with pytest.raises(CancelledError):
        separator.separate_file(path, options, is_cancelled=lambda: next(calls) > 3)
    resumed = separator.separate_file(path, Options(out=path.parent / "stems", resume=True))
    assert not any("interrupted run had other models" in note for note in resumed.notes)


@pytest.mark.parametrize("plan", ["auto", "fast"])
def test_where_it_cannot_be_had_that_is_an_error_and_not_a_song_with_noise(
    plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelUnavailableError, match=f"^Noise cannot be removed here: The licence of {DENOISER}"):
        Separator(plan, licence="permissive", denoise=True)
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError, match=f"here: {DENOISER} is not installed and STEMWRIGHT_OFFLINE is set"):
        Separator(plan, denoise=True)
    monkeypatch.delenv("STEMWRIGHT_OFFLINE")
    monkeypatch.setattr("stemwright.models.devices.has_runtime", lambda model: model.runtime == "onnx")
    with pytest.raises(ModelUnavailableError, match=f"here: {DENOISER} needs PyTorch"):
        Separator(plan, denoise=True)


def test_it_is_no_plan_and_comes_before_no_engine() -> None:
    with pytest.raises(ModelUnavailableError, match=r"removes noise before another plan separates: give --denoise"):
        plan_of(DENOISER)
    with pytest.raises(UsageError, match="leave engine out"):
        Separator(engine=LocalWaveforms(), denoise=True)
    with pytest.raises(UsageError, match="denoise"):
        Separator("fast", denoise="perhaps")  # type: ignore[arg-type]
