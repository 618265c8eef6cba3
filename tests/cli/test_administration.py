import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stemwright.service.ids import dashed
from stemwright.service.service import Service
from stemwright.service.task import Submission, Task
from stemwright.service.tracks import Track
from stemwright.settings import read_settings
from tests.cli.conftest import files_below, one_error, run, spawn, without_privileges


@pytest.fixture
def service(data: Path) -> Iterator[Service]:
    """What a server does with the folder, while commands work on it."""
    service = Service.open(read_settings())
    yield service
    service.close()


def listed(*arguments: str) -> list[dict[str, Any]]:
    done = run(*arguments, "--json")
    assert done.code == 0, done.err
    rows: list[dict[str, Any]] = json.loads(done.out)
    return rows


def add_song(service: Service, account: str, title: str) -> Track:
    found = service.accounts.find(account)
    with service.store.writer() as writer:
        writer.write(title.encode() * 1000)
        blob = writer.commit()
    return service.tracks.add_stored(found.id, blob, title=title, file_name="a.mp3", media_type="audio/mpeg")


def order(service: Service, key: str, track: Track) -> Task:
    submission = Submission(face="native", kind="v1", stems="two", plan="fast", format="mp3", track_id=track.id)
    return service.tasks.submit(service.keys.authenticate(key), submission)


def test_nothing_there_yet(data: Path) -> None:
    assert listed("tracks") == listed("tasks") == []
    assert run("tracks").code == run("tasks").code == 0


def test_tracks_and_tasks_of_all_and_of_one(service: Service) -> None:
    keys = {name: service.keys.create(name).key for name in ("alice", "bob")}
    songs = [add_song(service, name, f"{name}'s [bold]song[/]") for name in keys]
    tasks = [order(service, key, song) for key, song in zip(keys.values(), songs, strict=True)]
    assert [one["title"] for one in listed("tracks")] == ["bob's [bold]song[/]", "alice's [bold]song[/]"]
    assert [(one["id"], one["account"]) for one in listed("tracks", "--account", "alice")] == [(songs[0].id, "alice")]
    assert [(one["id"], one["account"], one["state"]) for one in listed("tasks")] == [
        (tasks[1].id, "bob", "pending"),
        (tasks[0].id, "alice", "pending"),
    ]
    assert [one["id"] for one in listed("tasks", "--account", service.accounts.find("bob").id)] == [tasks[1].id]
    assert len(listed("tracks", "--limit", "1")) == len(listed("tasks", "--limit", "1")) == 1


def test_tables_hold_the_ids_that_clients_need(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    key = service.keys.create("alice").key
    song = add_song(service, "alice", "[red]song")
    task = order(service, key, song)
    service.tasks.cancel(task.account_id, task.id)
    out = run("tracks").out
    assert "[red]song" in out and song.task_id in out and dashed(song.id) in out
    out = run("tasks").out
    assert task.id in out and "cancelled" in out


@pytest.mark.parametrize("command", ["tracks", "tasks"])
def test_an_unknown_account(data: Path, command: str) -> None:
    done = run(command, "--account", "nobody")
    assert done.code == 2
    one_error(done, words=["nobody", "keys list"])
    assert run(command, "--limit", "0").code == 2


def test_maintenance(service: Service) -> None:
    key = service.keys.create("alice").key
    song = add_song(service, "alice", "song")
    assert run("maintenance", "on").out == "Maintenance is on.\n"
    with pytest.raises(Exception, match="maintenance"):
        order(service, key, song)
    assert run("maintenance", "off", "--json").objects == [{"maintenance": "off"}]
    assert order(service, key, song).state == "pending"
    assert run("maintenance", "sideways").code == 2


class TestBackup:
    def test_it_holds_all(self, service: Service, data: Path, elsewhere: Path) -> None:
        key = service.keys.create("alice").key
        add_song(service, "alice", "song")
        (data / "settings.toml").write_text('dialect = "sunoapi"\n')
        done = run("backup", "copy", "--json")
        assert done.objects == [{"files": 1, "size_bytes": 4000, "folder": "copy"}]
        assert sorted(path.name for path in elsewhere.iterdir()) == ["copy"]
        copy = Service.open(read_settings(data=elsewhere / "copy"))
        account = copy.keys.authenticate(key)
        (song,) = copy.tracks.list(account.account_id)
        assert song.blob is not None and b"".join(copy.store.read(song.blob)) == b"song" * 1000
        assert copy.settings.dialect == "sunoapi"
        copy.close()
        assert run("backup", "again").out == "again: the database and 1 file, 0.0 MB.\n"

    def test_it_overwrites_nothing(self, data: Path, elsewhere: Path) -> None:
        (elsewhere / "copy").mkdir()
        (elsewhere / "copy" / "precious").touch()
        done = run("backup", "copy")
        assert done.code == 2
        one_error(done, words=["copy already exists"])
        assert files_below(elsewhere) == ["copy/precious"]

    @pytest.mark.parametrize("limit_bytes", [60_000, 1_000_000])  # within the database, and within a song
    def test_where_there_is_no_room_it_leaves_nothing(
        self, service: Service, data: Path, elsewhere: Path, limit_bytes: int
    ) -> None:
        service.keys.create("alice")
        add_song(service, "alice", "a song of two megabytes" * 100)

        def with_little_room() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

        service.close()  # its log of changes goes into the database, which is then not written any more
        done = spawn("backup", "copy", before=with_little_room)
        assert done.code == 5, done
        one_error(done, words=["free some space"])
        assert files_below(elsewhere) == []
        assert run("backup", "copy").code == 0

    def test_where_it_may_not_write_it_leaves_nothing(self, data: Path, elsewhere: Path) -> None:
        (elsewhere / "closed").mkdir(mode=0o500)
        done = spawn("backup", "closed/copy", before=without_privileges)
        assert done.code == 5
        one_error(done, words=["cannot be written"])
        assert files_below(elsewhere) == []
