"""Where a server of the tests keeps its state: in a data folder, or in PostgreSQL and an object store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.postgresql import PostgresqlServer
from tests.seaweedfs import SeaweedFs, new_place

IN_FILES = pytest.mark.parametrize(
    "new_state", ["sqlite", pytest.param("postgresql with a folder", marks=pytest.mark.long)], indirect=True
)
"""For a test that looks at stored files, damages them, or asks our own server for their bytes."""

NewState = Callable[[], contextlib.AbstractContextManager[dict[str, str]]]
"""Makes a database and a place for the files of one server, and gives the settings that name them."""


def in_data_folder() -> contextlib.AbstractContextManager[dict[str, str]]:
    """SQLite and files in the data folder: no settings."""
    return contextlib.nullcontext({})


def elsewhere(postgresql: PostgresqlServer, seaweedfs: SeaweedFs | None, patch: pytest.MonkeyPatch) -> NewState:
    """PostgreSQL and S3, whose keys the environment has until ``patch`` is undone. Without a store files are local."""

    @contextlib.contextmanager
    def new_state() -> Iterator[dict[str, str]]:
        with postgresql.new_database() as url:
            place = {} if seaweedfs is None else {"storage_url": new_place(seaweedfs, patch)}
            yield {"database_url": url, **place}

    return new_state
