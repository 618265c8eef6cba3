import json
from pathlib import Path

import pytest

from stemwright.database.engine import Database
from stemwright.errors import StemwrightError
from stemwright.service.keys import Keys
from tests.cli.conftest import Run, one_error, run, spawn, without_privileges

pytestmark = pytest.mark.usefixtures("data")


def made(*arguments: str) -> str:
    done = run("keys", "create", *arguments, "--json")
    assert done.code == 0, done.err
    assert done.objects == [{"name": arguments[0], "key": done.objects[0]["key"]}]  # one line, nothing else
    return str(done.objects[0]["key"])


def listed() -> list[dict[str, object]]:
    done = run("keys", "list", "--json")
    assert done.code == 0
    keys: list[dict[str, object]] = json.loads(done.out)
    return keys


def opens(data: Path, key: str) -> str | None:
    """The account that the key opens."""
    database = Database.in_folder(data)
    try:
        return Keys(database).authenticate(key).account_name
    except StemwrightError:
        return None
    finally:
        database.close()


def test_a_key_opens_its_account_until_it_is_revoked(data: Path) -> None:
    key = made("website")
    assert opens(data, key) == "website"
    done = run("keys", "revoke", "website")
    assert (done.code, done.out) == (0, "The key 'website' is revoked.\n")
    assert opens(data, key) is None
    assert [one["revoked_at"] is None for one in listed()] == [False]
    one_error(run("keys", "revoke", "website"), words=["website", "keys list"])


def test_the_key_is_shown_once_and_nowhere_else(data: Path) -> None:
    shown = run("keys", "create", "website")
    key = shown.out.split()[0]
    assert opens(data, key) == "website"
    assert "not shown again" in shown.out
    assert key not in run("keys", "list").out + run("keys", "list", "--json").out
    assert all(key.encode() not in path.read_bytes() for path in data.rglob("*") if path.is_file())


def test_a_list_for_people() -> None:
    made("website", "--scopes", "read")
    out = run("keys", "list").out
    assert "website" in out and "read" in out and "sw_" in out


def test_several_keys_of_an_account(data: Path) -> None:
    first, second = made("website"), made("phone", "--account", "website", "--scopes", "read")
    assert opens(data, first) == opens(data, second) == "website"
    assert [(one["name"], one["account"], one["scopes"]) for one in listed()] == [
        ("website", "website", ["read", "write"]),
        ("phone", "website", ["read"]),
    ]


def test_limits_and_credits() -> None:
    made("customer", "--credits", "12.34", "--rate-limit", "5/60", "--max-running", "2")
    assert (listed()[0]["rate_limit"], listed()[0]["max_running"]) == ("5/60", 2)
    assert json.loads(run("credits", "show", "customer", "--json").out)["balance"] == 12.34


def test_a_key_of_cruns_form(data: Path) -> None:
    key = made("agent", "--form", "crun")
    assert key.startswith("ak_") and len(key) == 35
    assert opens(data, key) == "agent"


def test_revoking_says_so_to_programs() -> None:
    made("website")
    assert run("keys", "revoke", "website", "--json").objects == [{"name": "website", "revoked": True}]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["taken"], "revoke it first"),
        (["new", "--account", "nobody"], "nobody"),
        (["new", "--scopes", "fly"], "read, write"),
        (["new", "--scopes", ""], "read, write"),
        (["new", "--rate-limit", "5"], "COUNT/SECONDS"),
        (["new", "--credits", "-1"], "0 or more"),
        ([""], "1 to 200"),
        (["n" * 201], "1 to 200"),
    ],
)
def test_what_makes_no_sense_makes_no_key(arguments: list[str], word: str) -> None:
    made("taken")
    done = run("keys", "create", *arguments)
    assert done.code == 2
    one_error(done, words=[word])
    assert len(listed()) == 1


@pytest.mark.parametrize("arguments", [["--credits", "nan"], ["--credits", "1e30"], ["--max-running", "-1"], []])
def test_usage(arguments: list[str]) -> None:
    done = run("keys", "create", *(["new", *arguments] if arguments else []))
    assert done.code == 2 and "Traceback" not in done.err
    assert listed() == []


@pytest.mark.parametrize("named", ["by default", "by the environment"])
def test_no_data_folder_is_made_without_its_name_on_the_command_line(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    folder = elsewhere / ("stemwright-data" if named == "by default" else "new folder")
    monkeypatch.delenv("STEMWRIGHT_DATA")
    if named == "by the environment":
        monkeypatch.setenv("STEMWRIGHT_DATA", "new folder")
    for command in ("keys create x", "keys list", "credits grant x 1", "tracks", "tasks", "maintenance on", "backup b"):
        done = run(*command.split())
        assert done.code == 2
        one_error(done, words=[f"{folder} is not a server's data folder", "--data"])
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("file", ["settings.toml", "server.lock"])
def test_a_folder_that_an_operator_or_a_starting_server_prepared_is_a_servers(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.delenv("STEMWRIGHT_DATA")
    (elsewhere / "stemwright-data").mkdir()
    (elsewhere / "stemwright-data" / file).touch()
    assert run("keys", "create", "first").code == 0


def test_it_makes_a_data_folder_and_no_other_command_does(elsewhere: Path) -> None:
    folder = elsewhere / "deep" / "new"
    for command in ("keys list", "keys revoke x", "credits show x", "tracks", "tasks", "maintenance on", "backup b"):
        done = run(*command.split(), "--data", str(folder))
        assert done.code == 2
        one_error(done, words=["is not a server's data folder", "--data"])
    assert list(elsewhere.iterdir()) == []
    done = run("keys", "create", "first", "--data", str(folder), "--json")
    assert done.code == 0 and len(done.objects) == 1
    assert done.err == f"{folder} is new: start the server with the same --data.\n"
    (key,) = json.loads(run("keys", "list", "--data", str(folder), "--json").out)
    assert key["name"] == "first"


class TestFoldersThatCannotBeUsed:
    def refused(self, done: Run, *words: str) -> None:
        assert done.code == 5
        one_error(done, words=words)

    def test_a_file_in_its_place(self, elsewhere: Path) -> None:
        (elsewhere / "file").touch()
        self.refused(run("keys", "create", "x", "--data", "file"), "file")

    def test_a_folder_that_may_not_be_written(self, elsewhere: Path) -> None:
        (elsewhere / "closed").mkdir(mode=0o500)
        done = spawn("keys", "create", "x", "--data", "closed/data", before=without_privileges)
        self.refused(done, "cannot be written")

    def test_no_database(self, data: Path) -> None:
        (data / "stemwright.db").write_bytes(b"\x00garbage" * 1000)
        self.refused(run("keys", "list"), "not a database", "backup")

    def test_a_newer_release_made_it_for_itself_alone(self, data: Path) -> None:
        database = Database.in_folder(data)
        with database.write() as session:
            session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
            session.connection().exec_driver_sql("UPDATE facts SET value = '9999' WHERE name = 'tables_readable_from'")
        database.close()
        self.refused(run("keys", "list"), "newer Stemwright")
