from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from stemwright.models import registry, speed
from stemwright.separation.ladder import (
    LADDER,
    MAX_TIME_RATIO,
    Rung,
    TimeLimit,
    best_installed,
    ladder,
    next_step,
)
from stemwright.separation.plan import plan_of
from stemwright.stems import select
from tests.separation.installed import install, own_machine

WHEEL = registry.find("stemwright-12")
SMALL = registry.find("htdemucs-6s")
LARGE = registry.find("mel-band-roformer-kim")


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return own_machine(tmp_path, monkeypatch)


def rung(name: str, ratio: float, *, installed: bool = True) -> Rung:
    model = {"fast": WHEEL, "good": SMALL, "best": LARGE}[name]
    return Rung(plan_of(name), (model,), (model,) if installed or name == "fast" else None, ratio, ratio)


@pytest.mark.parametrize(
    ("good", "best", "limit", "expected"),
    [
        (1.0, 2.0, TimeLimit(), ["best", "good", "fast"]),
        (1.0, 9.0, TimeLimit(), ["good", "fast"]),
        (1.0, 9.0, TimeLimit(max_minutes=10, song_s=60), ["best", "good", "fast"]),
        (1.0, 9.0, TimeLimit(max_minutes=0.5, song_s=60), ["fast"]),
        (None, 2.0, TimeLimit(), ["best", "fast"]),
        (None, None, TimeLimit(), ["fast"]),
        (math.inf, math.inf, TimeLimit(), ["fast"]),
    ],
)
def test_the_best_that_is_installed_and_worth_its_time_comes_first(
    good: float | None, best: float | None, limit: TimeLimit, expected: list[str]
) -> None:
    rungs = (
        rung("fast", 99.0),
        rung("good", good or 1.0, installed=good is not None),
        rung("best", best or 1.0, installed=best is not None),
    )
    assert [one.name for one in best_installed(rungs, limit)] == expected


def test_what_needs_more_memory_than_there_is_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rungs = (rung("fast", 0.1), rung("good", 1.0), rung("best", 2.0))
    monkeypatch.setattr("stemwright.separation.ladder.memory_bytes", lambda: 1050 * 10**6)
    assert rungs[2].memory_bytes > 1050 * 10**6 > rungs[1].memory_bytes
    assert [one.name for one in best_installed(rungs, TimeLimit())] == ["good", "fast"]
    assert next_step((*rungs[:2], rung("best", 2.0, installed=False)), rungs[1], TimeLimit()) is None


@pytest.mark.parametrize(
    ("good", "best", "chosen", "expected"),
    [
        (1.0, 2.0, "fast", "best"),
        (1.0, 9.0, "fast", "good"),
        (9.0, 9.0, "fast", None),
        (1.0, 2.0, "good", "best"),
        (1.0, 9.0, "good", None),
        (1.0, 2.0, "best", None),
    ],
)
def test_the_next_step_is_the_best_above_that_is_worth_its_time(
    good: float, best: float, chosen: str, expected: str | None
) -> None:
    rungs = (rung("fast", 0.1), rung("good", good), rung("best", best))
    found = next_step(rungs, next(one for one in rungs if one.name == chosen), TimeLimit())
    assert (found and found.name) == expected


def test_what_needs_another_runtime_first_is_not_one_step_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemwright.models.devices.has_torch", lambda: False)
    rungs = (rung("fast", 0.1), rung("best", 1.0, installed=False))
    assert rungs[1].needs_torch
    assert next_step(rungs, rungs[0], TimeLimit()) is None


def test_what_is_installed_is_not_to_be_downloaded(models: Path) -> None:
    rungs = (rung("fast", 0.1), rung("good", 1.0))
    assert rungs[1].download_bytes == SMALL.size_bytes
    install(models, SMALL.name)
    assert rungs[1].download_bytes == 0
    assert next_step(rungs, rungs[0], TimeLimit()) is None


def test_the_ladder_is_what_the_plans_have_on_this_machine(models: Path) -> None:
    fast, good, best = ladder(select("twelve"), "any", "cpu", 2)
    assert [one.name for one in (fast, good, best)] == list(LADDER)
    assert (fast.time_ratio, fast.missing, fast.installed) == (0.0, (), (WHEEL,))
    assert good.installed is best.installed is None
    assert 0 < good.time_ratio < MAX_TIME_RATIO < best.time_ratio < math.inf
    assert good.download_bytes == sum(model.size_bytes for model in good.published) < 2e8
    install(models, *(model.name for model in good.missing))
    (_, again, _) = ladder(select("twelve"), "any", "cpu", 2)
    assert again.installed == again.models
    assert again.installed_time_ratio == again.time_ratio == good.time_ratio


def test_a_plan_of_which_no_published_model_is_allowed_is_empty() -> None:
    _, good, best = ladder(select("twelve"), "permissive", "cpu", 2)
    assert all(model.licence in ("MIT", "Apache-2.0") for model in (*good.models, *best.models))
    assert not Rung(plan_of("good"), (), None, 0.0, 0.0).can_run


def test_the_time_of_a_plan_without_models_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    for one in ladder(select("twelve"), "any", "cpu", 2)[1:]:
        assert (one.models, one.time_ratio, one.installed_time_ratio) == ((), math.inf, math.inf)


def test_a_measured_time_counts_in_place_of_the_estimate() -> None:
    (_, good, _) = ladder(select("two"), "any", "cpu", 2)
    (model,) = good.models
    assert good.time_ratio == speed.known_speed().time_ratio(model, "cpu", 2)
    speed.record_time_ratio(model, "cpu", 2, 0.25)
    assert ladder(select("two"), "any", "cpu", 2)[1].time_ratio == 0.25


def test_scores_are_of_one_protocol() -> None:
    model = registry.find("scnet-large")
    found = Rung(plan_of("best"), (LARGE, model), None, 1.0, 1.0).scores
    assert len({score.protocol for score in found}) == 1
    assert {score.stem: score.db for score in found} == {"vocals": 10.98, "drums": 11.23, "bass": 11.27}
    assert rung("fast", 1.0).scores == ()
    assert replace(rung("good", 1.0), models=(WHEEL,)).licences == ("MIT",)


@pytest.mark.parametrize(
    ("limit", "ratio"),
    [
        (TimeLimit(), MAX_TIME_RATIO),
        (TimeLimit(song_s=3600), MAX_TIME_RATIO),
        (TimeLimit(max_minutes=6, song_s=60), 6.0),
        (TimeLimit(max_minutes=6), 2.0),
        (TimeLimit(max_minutes=1, song_s=0.0), 60.0),
    ],
)
def test_a_limit_is_minutes_or_a_few_times_the_song(limit: TimeLimit, ratio: float) -> None:
    assert limit.time_ratio == ratio
