"""A batch in a database of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stemwright.batch.options import BatchOptions
from stemwright.batch.songs import BatchSongs
from stemwright.database.engine import Database

OPTIONS = BatchOptions("/music", "two", "fast", "wav")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with the tables of this release."""
    url = f"sqlite:///{tmp_path / 'batch.db'}"
    made = Database(url if request.param == "sqlite" else request.getfixturevalue("postgresql_url"))
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def songs(database: Database) -> BatchSongs:
    """A batch without songs."""
    return BatchSongs.begin(database, "/stems", OPTIONS)
