from __future__ import annotations

from dataclasses import replace

import pytest

from stemwright.errors import ModelUnavailableError, UsageError
from stemwright.models import licences, registry

MODEL = registry.find("stemwright-12")


@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "CC0-1.0", "CC-BY-4.0", "Unlicense"])
def test_licences_that_allow_any_use_pass(licence: str) -> None:
    licences.require(replace(MODEL, licence=licence), "permissive")


@pytest.mark.parametrize(
    "licence", ["unstated", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "GPL-3.0", "LicenseRef-scientific-purposes", "mit?", ""]
)
def test_all_others_are_refused_and_named(licence: str) -> None:
    model = replace(MODEL, licence=licence)
    licences.require(model, "any")
    with pytest.raises(ModelUnavailableError, match=r"stemwright-12's weights .* --license permissive"):
        licences.require(model, "permissive")


def test_what_nobody_stated_is_no_permission() -> None:
    assert not licences.is_permissive(registry.find("bs-roformer-sw"))
    assert not licences.is_permissive(registry.find("htdemucs"))
    assert licences.is_permissive(registry.find("scnet-large"))


def test_the_setting_holds_where_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEMWRIGHT_LICENSE", raising=False)
    assert licences.policy() == "any"
    monkeypatch.setenv("STEMWRIGHT_LICENSE", "permissive")
    assert licences.policy() == "permissive"
    assert licences.policy("any") == "any"


@pytest.mark.parametrize("asked, words", [("free", "--license is 'free'"), (None, "STEMWRIGHT_LICENSE is 'open'")])
def test_another_policy_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, asked: str | None, words: str) -> None:
    monkeypatch.setenv("STEMWRIGHT_LICENSE", "open")
    with pytest.raises(UsageError, match=words):
        licences.policy(asked)
