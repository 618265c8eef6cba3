from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stemwright.database.engine import Database
from stemwright.service import server_state

ASKS = """
import sys
from pathlib import Path
from stemwright.database.engine import Database
from stemwright.service import server_state

database = Database.in_folder(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(server_state.secret(database, "links").hex())
database.close()
"""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database.in_folder(tmp_path)
    database.migrate()
    return database


def test_a_fact_is_put_and_put_anew(database: Database) -> None:
    assert server_state.get(database, "maintenance") is None
    for value in ("on", "off"):
        with database.write() as session:
            server_state.put(session, "maintenance", value)
        assert server_state.get(database, "maintenance") == value


def test_a_secret_is_made_once_and_each_is_its_own(database: Database) -> None:
    links = server_state.secret(database, "links")
    assert len(links) == 32 and links == server_state.secret(database, "links") != server_state.secret(
        database, "other"
    )


def test_processes_that_start_at_once_get_one_secret(database: Database, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ASKS, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    secrets = {process.communicate(timeout=240)[0].strip() for process in processes}
    assert secrets == {server_state.secret(database, "links").hex()}
