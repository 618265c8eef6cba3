"""Where a server of the tests keeps its state: in a data folder, or in PostgreSQL and an object store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.postgresql import PostgresqlServer
from tests.seaweedfs import SeaweedFs, new_place

NewState = Callable[[], contextlib.AbstractContextManager[dict[str, str]]]
"""Makes a database and a place for the files of one server, and gives the settings that name them."""


def in_data_folder() -> contextlib.AbstractContextManager[dict[str, str]]:
    """SQLite and files in the data folder: no settings."""
    return contextlib.nullcontext({})


def elsewhere(postgresql: PostgresqlServer, seaweedfs: SeaweedFs, patch: pytest.MonkeyPatch) -> NewState:
    """PostgreSQL and S3. The environment has the keys until ``patch`` is undone."""

    @contextlib.contextmanager
    def new_state() -> Iterator[dict[str, str]]:
        with postgresql.new_database() as url:
            yield {"database_url": url, "storage_url": new_place(seaweedfs, patch)}

    return new_state
