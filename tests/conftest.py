"""Settings of all tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tests.postgresql import PostgresqlServer, running_postgresql
from tests.seaweedfs import SeaweedFs, new_place
from tests.server_state import NewState, elsewhere, in_data_folder
from tests.waiting import PATIENCE_S

# No test fails because a machine is slow; and a fixture of a function may serve all examples, as most of ours do.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def no_weights_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Weights that somebody has installed must not change which plan the tests get."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        for name in ("STEMWRIGHT_MODELS_DIR", "STEMWRIGHT_PLAN"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def patient_requests() -> Iterator[None]:
    """A request of a test gives up after five seconds where it says nothing else, which is too soon on a slow machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "read", "write", "pool"):
            patch.setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, name, PATIENCE_S)
        yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server, the same for all tests."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[SeaweedFs]:
    """An object store for all tests of this process; each takes a prefix of its own."""
    with tempfile.TemporaryDirectory(prefix="weed") as folder, SeaweedFs(Path(folder)) as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgresqlServer) -> Iterator[str]:
    """The URL of a new database with the tables of this release."""
    with postgresql.new_database() as url:
        yield url


@pytest.fixture
def empty_postgresql_url(postgresql: PostgresqlServer) -> Iterator[str]:
    """The URL of a new database without tables."""
    url = postgresql.create_database()
    yield url
    postgresql.drop_database(url)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def new_state(request: pytest.FixtureRequest) -> Iterator[NewState]:
    """The same tests run on SQLite with a folder and, among the long ones, on PostgreSQL with S3."""
    if request.param == "sqlite":
        yield in_data_folder
        return
    with pytest.MonkeyPatch.context() as patch:
        store = request.getfixturevalue("seaweedfs") if request.param == "postgresql" else None
        yield elsewhere(request.getfixturevalue("postgresql"), store, patch)


@pytest.fixture
def bucket(seaweedfs: SeaweedFs, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty place in the object store; the environment has the keys of its owner."""
    return new_place(seaweedfs, monkeypatch)
