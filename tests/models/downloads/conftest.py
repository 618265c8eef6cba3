"""A server with a file of weights, a folder, and a client that downloads into it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models.downloads.client import CONTENT, Client
from tests.models.downloads.weight_server import (
    WeightServer,
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().endswith("_PROXY") or name.startswith("STEMWRIGHT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[WeightServer]:
    with WeightServer(CONTENT) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def client(server: WeightServer, folder: Path) -> Client:
    return Client(server, folder)
