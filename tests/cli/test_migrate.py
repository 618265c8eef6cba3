"""`stemwright migrate`, and commands whose database is PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stemwright.database import schema
from stemwright.jobs.supervisor import lock_data_folder
from tests.cli.conftest import one_error, run, spawn


def test_an_installation_is_moved(data: Path, empty_postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("keys", "create", "website", "--credits", "5")
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", empty_postgresql_url)
    done = run("migrate", str(data))
    assert done.code == 0
    assert done.out.startswith("Moved ") and " and 0 files to the PostgreSQL database test_" in done.out
    assert "accounts: 1" in done.err.splitlines()
    assert run("credits", "show", "website", "--json").objects[0]["account"] == "website"
    assert [row["name"] for row in json.loads(run("keys", "list", "--json").out)] == ["website"]
    (again,) = run("migrate", str(data), "--json").objects
    assert again["copied"] == again["missing"] == again["queued"] == 0 < again["rows"]


def test_what_cannot_be_moved(data: Path, tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("migrate", str(data))
    assert done.code == 2
    one_error(done, words=["STEMWRIGHT_DATABASE_URL is not set: set it to postgresql://"])
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", postgresql_url)
    done = run("migrate", str(tmp_path))
    assert done.code == 2
    one_error(done, words=[str(tmp_path), "is not a server's data folder"])
    with lock_data_folder(data):
        done = run("migrate", str(data))
    assert done.code == 5
    one_error(done, words=["Another server uses", "stop it first"])
    run("keys", "create", "somebody")
    done = run("migrate", str(data))
    assert done.code == 2
    one_error(done, words=["is not empty", "name a new database"])


@pytest.mark.long
def test_a_server_says_in_one_sentence_why_it_does_not_start(
    data: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgresql_url.rpartition("@")[2]
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", f"postgresql://stemwright:secret-word@{address}")
    for command in (["serve", "--port", "0"], ["keys", "list"]):
        done = spawn(*command)
        assert done.code == 5
        one_error(done, words=["refuses the user or the password: correct STEMWRIGHT_DATABASE_URL"])
        assert "secret-word" not in done.out + done.err
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", "mysql://me:secret-word@host/stems")
    done = spawn("serve", "--port", "0")
    assert done.code == 2
    one_error(done, words=["names mysql, which is not supported"])
    assert "secret-word" not in done.out + done.err


@pytest.mark.long
def test_a_newer_release_has_made_the_tables(data: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from stemwright.database import tables
    from stemwright.database.engine import Database

    database = Database(postgresql_url)
    with database.write() as session:
        session.get_one(tables.Fact, schema.READABLE_FROM).value = "9999"
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", postgresql_url)
    done = spawn("serve", "--port", "0")
    assert done.code == 5
    one_error(done, words=["A newer Stemwright made the database", "install that release"])
