from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.separation.plan import plan_of
from stemwright.service.cache_key import cache_key_of
from stemwright.service.task import Task
from tests.separation.installed import install, own_machine
from tests.service.test_links import task

GOOD = plan_of("good").steps[0].models[0]


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return own_machine(tmp_path, monkeypatch)


def of(plan: str, stems: str = "two") -> Task:
    return replace(task(), plan=plan, stems_asked=stems)


def test_each_plan_has_its_own_results(models: Path) -> None:
    install(models, GOOD)
    keys = {cache_key_of(of(plan, stems), "song") for plan in ("fast", "good") for stems in ("two", "twelve")}
    assert len(keys) == 4
    assert cache_key_of(of("good"), "song") == cache_key_of(of("good"), "song") != cache_key_of(of("good"), "other")


def test_what_is_known_of_the_song_is_in_the_key() -> None:
    known = [replace(of("fast"), face="native", request={"playing": names}) for names in (["drums"], ["drums", "bass"])]
    assert len({cache_key_of(one, "song") for one in (of("fast"), *known)}) == 3


def test_auto_has_no_key_since_what_it_means_changes() -> None:
    with pytest.raises(ModelUnavailableError):
        cache_key_of(of("auto"), "song")


def test_the_models_that_a_plan_has_are_in_the_key_and_others_are_not(models: Path) -> None:
    install(models, "htdemucs")
    before = cache_key_of(of("good", "twelve"), "song")
    install(models, "mega-53")
    assert cache_key_of(of("good", "twelve"), "song") == before
    install(models, GOOD)
    assert cache_key_of(of("good", "twelve"), "song") != before, "which gives guitar and keyboard too"


def test_another_licence_setting_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_key_of(of("fast"), "song")
    monkeypatch.setenv("STEMWRIGHT_LICENSE", "permissive")
    assert cache_key_of(of("fast"), "song") != before


def test_what_cannot_run_is_not_in_the_key(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(models, "htdemucs", "scnet-large")
    before = cache_key_of(of("scnet-large"), "song")
    monkeypatch.setattr("stemwright.models.devices.has_torch", lambda: False)
    assert cache_key_of(of("scnet-large"), "song") != before
