"""``auto`` with small networks in place of published ones: what it takes, what it says, and what it never does."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.errors import CancelledError, ModelUnavailableError, UsageError
from stemwright.models import registry, speed
from stemwright.models.engine_loading import fetch_weights
from stemwright.separation.options import Options
from stemwright.separation.result import Result
from stemwright.separation.separator import Separator
from tests.models.small_registry import Mirror, small_registry
from tests.separation.engines import LocalWaveforms
from tests.separation.installed import install, own_machine

RATE_HZ = 44_100
SIX, FOUR = "htdemucs-6s", "htdemucs"


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    own_machine(tmp_path, monkeypatch)
    with small_registry(tmp_path, monkeypatch, SIX, FOUR) as mirror:
        yield mirror


@pytest.fixture
def song(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    samples = rng.uniform(-0.4, 0.4, (3 * RATE_HZ, 2))
    soundfile.write(tmp_path / "song.wav", samples, RATE_HZ, "PCM_16")
    return tmp_path / "song.wav"


def download(*names: str) -> None:
    for name in names:
        fetch_weights(registry.find(name))


def separate(
    song: Path, out: str = "stems", *, stems: str = "two", resume: bool = False, **arguments: object
) -> Result:
    options = Options(stems=stems, out=song.parent / out, resume=resume)
    return Separator(threads=1, **arguments).separate_file(song, options)  # type: ignore[arg-type]


def test_with_nothing_installed_it_is_the_wheel_bit_for_bit(song: Path, mirror: Mirror) -> None:
    result = separate(song)
    assert result.plan == "fast"
    named = Separator("fast", threads=1).separate_file(song, Options(out=song.parent / "named"))
    assert [stem.path.read_bytes() for stem in result.stems] == [stem.path.read_bytes() for stem in named.stems]
    assert mirror.asked == [], "nothing is downloaded, and no host is asked"
    assert not (song.parent / "cache").exists(), "and nothing was measured"


def test_the_result_says_what_would_be_better(song: Path) -> None:
    result = separate(song)
    offer = result.better
    assert offer is not None
    assert (offer.plan, offer.command) == ("good", "stemwright setup --plan good")
    assert offer.download_bytes == registry.find(SIX).size_bytes
    assert offer.licences == (registry.find(SIX).licence,)
    assert 0 < offer.song_minutes < 12
    assert {score.stem: score.db for score in offer.scores} == {"vocals": 8.05, "drums": 10.22, "bass": 11.22}
    for words in ("stemwright setup --plan good", "MB", "scientific", "min", "vocals 8.05 dB", "uSDR"):
        assert words in str(offer)
    assert "\n" not in str(offer)
    assert offer.is_bound and "at most" in str(offer)
    speed.gflop_per_s()
    measured = separate(song).better
    assert measured is not None and not measured.is_bound and "at most" not in str(measured)
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_of_a_plan_that_was_named_nothing_better_is_said(song: Path) -> None:
    assert Separator("fast", threads=1).separate_file(song, Options(out=song.parent / "stems")).better is None


def test_a_record_that_says_what_was_better_then_does_not_say_it_now(
    song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert separate(song).better is not None
    monkeypatch.setenv("STEMWRIGHT_LICENSE", "permissive")
    again = separate(song)
    assert again.skipped and again.better is None


@pytest.mark.parametrize(
    ("stems", "models"),
    [("two", [SIX]), ("drums,bass", [SIX]), ("guitar", [SIX]), ("twelve", [SIX, "stemwright-12"])],
)
def test_what_is_installed_is_used_with_one_network_and_adds_up(
    song: Path, mirror: Mirror, stems: str, models: list[str]
) -> None:
    download(SIX)
    mirror.asked.clear()
    result = separate(song, stems=stems)
    assert result.plan == "good"
    assert [model.split("@")[0] for model in result.models] == models
    assert result.residual_db is not None and result.residual_db <= -85
    assert mirror.asked == []


def test_a_network_of_four_stems_leaves_guitar_and_keyboard_to_the_wheel(song: Path, mirror: Mirror) -> None:
    download(FOUR)
    mirror.asked.clear()
    result = separate(song, stems="twelve")
    assert result.plan == "good"
    assert [model.split("@")[0] for model in result.models] == [FOUR, "stemwright-12"]
    assert not any("No model" in note for note in result.notes)
    download(SIX)
    assert separate(song).models[0].startswith(f"{FOUR}@"), "of both the one that gives the least besides"
    assert separate(song, stems="twelve").models[0].startswith(f"{SIX}@")


def test_what_takes_too_long_is_not_used_unless_it_is_allowed(song: Path) -> None:
    download(SIX)
    speed.record_time_ratio(registry.find(SIX), "cpu", 1, 9.0)
    assert separate(song).plan == "fast", "what was measured counts, not the estimate"
    (song.parent / "cache" / "speed.json").unlink()
    limit_minutes = 3 / 60
    slow = speed.known_speed().time_ratio(registry.find(SIX), "cpu", 1)
    assert separate(song, max_minutes=0.9 * slow * limit_minutes).plan == "fast"
    assert separate(song, max_minutes=1.1 * slow * limit_minutes).plan == "good"


def test_the_time_of_a_separation_is_kept_and_decides_the_next(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    download(SIX)
    monkeypatch.setattr("stemwright.separation.cascade.LEAST_MEASURED_SONG_S", 2.0)
    separate(song)
    (kept,) = json.loads((song.parent / "cache" / "speed.json").read_text())["models"].values()
    assert 0 < kept < 60
    assert speed.known_speed().time_ratio(registry.find(SIX), "cpu", 1) == kept
    assert speed.known_speed().time_ratio(registry.find(SIX), "cpu", 2) != kept


def test_an_interrupted_run_keeps_the_plan_that_it_began_with(song: Path) -> None:
    whole = separate(song, "whole", stems="twelve")
    separator = Separator(threads=1)
    asked = 0

    def after_a_chunk() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    options = Options(stems="twelve", out=song.parent / "stems", resume=True)
    with pytest.raises(CancelledError):
        separator.separate_file(song, options, is_cancelled=after_a_chunk)
    download(SIX)
    assert separator.plan_name("twelve") == "good"
    resumed = separator.separate_file(song, options)
    assert resumed.plan == "fast"
    assert [stem.path.read_bytes() for stem in resumed.stems] == [stem.path.read_bytes() for stem in whole.stems]
    anew = separate(song, "anew", stems="twelve", resume=True)
    assert anew.plan == "good"


def test_where_the_models_of_an_interrupted_run_are_gone_it_is_said(song: Path) -> None:
    download(SIX)
    options = Options(out=song.parent / "stems", resume=True)
    separator = Separator(threads=1)
    with pytest.raises(CancelledError):
        separator.separate_file(song, options, is_cancelled=lambda: True)
    for path in (song.parent / "models").iterdir():
        path.unlink()
    result = separator.separate_file(song, options)
    assert result.plan == "fast"
    assert any(SIX in note and "from its start" in note for note in result.notes)


def test_what_is_installed_and_cannot_run_is_said(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    download(SIX)

    def broken(model: object, device: str) -> None:
        if getattr(model, "runtime", "") == "pytorch":
            raise ModelUnavailableError("libtorch.so is broken")

    monkeypatch.setattr("stemwright.separation.engine_cache.check_runtime", broken)
    result = separate(song)
    assert result.plan == "fast"
    assert any("'good' is installed but cannot run here: libtorch.so" in note for note in result.notes)


def test_the_licence_setting_counts(song: Path) -> None:
    download(SIX)
    result = separate(song, licence="permissive")
    assert result.plan == "fast"
    assert result.better is None or "--license permissive" in result.better.command


def test_arrays_get_the_same_plan(song: Path) -> None:
    samples, _ = soundfile.read(song, dtype="float32")
    download(SIX)
    separator = Separator(threads=1)
    parts = separator.separate(samples.T, RATE_HZ)
    np.testing.assert_allclose(sum(parts.values()), samples.T, atol=1e-6)
    named = Separator("good", threads=1).separate(samples.T, RATE_HZ)
    np.testing.assert_array_equal(parts["vocals"], named["vocals"])


def test_nothing_is_missing_and_preparing_it_downloads_nothing(mirror: Mirror) -> None:
    separator = Separator(threads=1)
    assert separator.missing("twelve") == ()
    separator.prepare("twelve")
    assert mirror.asked == []
    assert Separator("good", threads=1).missing("two") == (registry.find(SIX),)


def test_another_process_gets_the_same(song: Path) -> None:
    download(SIX)
    again = pickle.loads(pickle.dumps(Separator(threads=1, max_minutes=7)))
    assert (again.plan, again.plan_name("two", 60.0)) == ("auto", "good")
    assert again.plan_name("two", 6000.0) == "fast"


def test_a_plan_that_must_not_download_says_what_is_not_installed(song: Path, mirror: Mirror) -> None:
    separator = Separator("good", threads=1, download=False)
    assert [model.name for model in separator.missing("two")] == [SIX]
    with pytest.raises(ModelUnavailableError, match="`stemwright models download good`"):
        separator.separate_file(song, Options(out=song.parent / "stems"))
    with pytest.raises(ModelUnavailableError, match=FOUR):
        Separator(FOUR, threads=1, download=False)
    assert mirror.asked == []
    download(FOUR)
    assert separator.missing("twelve") == ()
    assert separator.separate_file(song, Options(out=song.parent / "stems")).models[0].startswith(FOUR)


@pytest.mark.parametrize("minutes", [0, -1, "soon", math.nan, math.inf])
def test_minutes_that_make_no_sense_are_refused(minutes: object) -> None:
    with pytest.raises(UsageError, match="max_minutes"):
        Separator(max_minutes=minutes)  # type: ignore[arg-type]


def test_minutes_are_for_auto_alone() -> None:
    with pytest.raises(UsageError, match="leave the plan out"):
        Separator("fast", max_minutes=5)


def test_an_engine_of_ones_own_is_no_plan(song: Path) -> None:
    separator = Separator(engine=LocalWaveforms())
    assert separator.plan == "custom" == separator.plan_name()
    assert separator.separate_file(song, Options(out=song.parent / "stems")).plan == "custom"


def test_the_best_plan_comes_before_the_good_one(song: Path) -> None:
    install(song.parent / "models", "mel-band-roformer-kim")
    download(SIX)
    speed.record_time_ratio(registry.find("mel-band-roformer-kim"), "cpu", 1, 3.0)
    separator = Separator(threads=1)
    assert separator.plan_name("two") == "best"
    assert separator.plan_name("twelve") == "good", "for which more models are needed"
    (song.parent / "cache" / "speed.json").unlink()
    assert separator.plan_name("two") == "good", "which would take too long by the estimate"
