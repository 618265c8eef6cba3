from __future__ import annotations

import hashlib

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models import registry, weights
from stemwright.stems import STEMS


def test_the_network_in_the_wheel_is_the_one_that_the_registry_means() -> None:
    model = registry.find("stemwright-12")
    content = weights.load(model)
    assert len(content) == model.size_bytes
    assert hashlib.sha256(content).hexdigest() == model.sha256
    assert weights.is_available(model)


def test_it_is_small_free_and_knows_the_twelve_stems() -> None:
    model = registry.find("stemwright-12")
    assert model.size_bytes <= 25_000_000
    assert (model.licence, model.licence_code) == ("MIT", "MIT")
    assert model.stems == STEMS


def test_an_unknown_model_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ModelUnavailableError, match="stemwright-12"):
        registry.find("demucs")
