"""Processes of a batch, which may be killed at any time, with a stand-in for the separation."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stemwright.batch.folder import FolderSource, FolderTarget
from stemwright.batch.listing_run import add_songs
from stemwright.batch.manifest import write_manifest
from stemwright.batch.options import BatchOptions
from stemwright.batch.runner import BatchRunner
from stemwright.batch.songs import BatchSongs
from stemwright.batch.worker_main import WorkerConfig
from stemwright.database.engine import Database
from stemwright.errors import CancelledError, StemwrightError, StorageError
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Library:
    """A folder of texts that are called songs, and its batch."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.music, self.stems = folder / "music", folder / "stems"
        self.music.mkdir()
        self.target = FolderTarget(str(self.stems))
        self.target.check()
        self.url = url or f"sqlite:///{folder / 'batch.db'}"
        self.database = Database(self.url)
        self.database.migrate()
        self.songs = BatchSongs.begin(self.database, str(self.stems), BatchOptions(str(self.music), "two", "x", "wav"))
        self.failures: list[tuple[str, str]] = []

    def write(self, path: str, text: str) -> None:
        (self.music / path).parent.mkdir(parents=True, exist_ok=True)
        (self.music / path).write_text(text)

    def runner(self, jobs: int) -> BatchRunner:
        add_songs(self.songs, FolderSource(str(self.music)), lambda _: None)
        config = WorkerConfig("", self.url, self.songs.batch_id, str(self.music), str(self.stems), "two", "x", "wav",
                              "cpu", 1, "tests.batch.stand_in:separate_song")  # fmt: skip
        return BatchRunner(config, jobs, self.songs, lambda path, error: self.failures.append((path, error)))

    def manifest(self) -> list[dict[str, Any]]:
        """The manifest; each stem of it has the digest that it says."""
        write_manifest(self.songs, self.target)
        lines = [json.loads(line) for line in (self.stems / "manifest.jsonl").read_text().splitlines()]
        for line in lines:
            for stem in line["stems"]:
                content = (self.stems / stem["path"]).read_bytes()
                assert (hashlib.sha256(content).hexdigest(), len(content)) == (stem["sha256"], stem["bytes"])
        return lines


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def library(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = Library(tmp_path, None if request.param == "sqlite" else request.getfixturevalue("postgresql_url"))
    yield made
    made.database.close()


def test_processes_that_are_killed_lose_no_song_and_none_is_written_twice(library: Library) -> None:
    paths = [f"{number % 7}/{number}.mp3" for number in range(200)]
    for path in paths:
        library.write(path, path)
    runner, killed = library.runner(3), 0

    def kill() -> None:
        nonlocal killed
        ended = library.songs.counts()["done"]
        if killed < 3 and ended > 40 * (killed + 1) and runner.pids:
            os.kill(runner.pids[killed % len(runner.pids)], signal.SIGKILL)
            killed += 1

    runner.run(lambda: False, kill)
    assert killed == 3
    lines = library.manifest()
    assert [line["path"] for line in lines] == sorted(paths)
    assert all((library.music / line["path"]).read_text() == line["path"] for line in lines)
    assert library.failures == [] and (library.stems / "failures.jsonl").read_text() == ""
    done = {path: (library.stems / path / "vocals.wav").stat().st_mtime_ns for path in paths}

    library.write("new.mp3", "new")
    library.write(paths[0], "changed")
    library.runner(1).run(lambda: False, lambda: None)
    changed = {path for path in paths if (library.stems / path / "vocals.wav").stat().st_mtime_ns != done[path]}
    assert changed == {paths[0]}
    assert len(library.manifest()) == 201


def test_bad_songs_are_listed_and_a_deadly_one_stops_nobody(library: Library) -> None:
    for text in ("good", "bad", "odd", "deadly"):
        library.write(f"{text}.mp3", text)
    library.runner(1).run(lambda: False, lambda: None)
    assert [line["path"] for line in library.manifest()] == ["good.mp3"]
    failures = [json.loads(line) for line in (library.stems / "failures.jsonl").read_text().splitlines()]
    assert [failure["path"] for failure in failures] == ["bad.mp3", "deadly.mp3", "odd.mp3"]
    assert failures[0]["error"] == "It is bad: make it better."
    assert "3 processes died" in failures[1]["error"]
    assert "ZeroDivisionError: odd" in failures[2]["error"]
    assert sorted(path for path, _ in library.failures) == ["bad.mp3", "odd.mp3"]


def test_a_full_disk_stops_all_and_the_next_run_goes_on(library: Library) -> None:
    for path in ("a.mp3", "b.mp3", "c.mp3"):
        library.write(path, "full" if path == "b.mp3" else path)
    with pytest.raises(StorageError, match="No room is left: free some space") as stopped:
        library.runner(1).run(lambda: False, lambda: None)
    assert stopped.value.exit_code == 5
    assert library.songs.counts() == {"waiting": 2, "running": 0, "done": 1, "failed": 0}
    library.write("b.mp3", "b.mp3")
    library.runner(1).run(lambda: False, lambda: None)
    assert len(library.manifest()) == 3


def test_a_stop_hands_the_song_back(library: Library) -> None:
    library.write("a.mp3", "slow")
    with pytest.raises(CancelledError, match="the same command goes on"):
        library.runner(1).run(lambda: (library.stems / "slow").exists(), lambda: None)
    assert library.songs.counts() == {"waiting": 1, "running": 0, "done": 0, "failed": 0}


def test_processes_whose_command_is_killed_stop_by_themselves(library: Library) -> None:
    library.write("a.mp3", "slow")
    runner = library.runner(1)
    stopped = threading.Event()

    def run() -> None:
        with pytest.raises(CancelledError):
            runner.run(stopped.is_set, lambda: None)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until((library.stems / "slow").exists, "the song is begun")
    runner._processes[0].stop()  # standard input ends, as when the command dies
    wait_until(lambda: library.songs.counts()["waiting"], "the song is handed back")
    stopped.set()
    thread.join()


def test_processes_that_cannot_start_stop_the_batch(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.write("a.mp3", "a")
    monkeypatch.setattr("stemwright.batch.runner.PROGRAM", "raise SystemExit(7)")
    with pytest.raises(StemwrightError, match=r"3 processes of the batch ended while they started \(the last with 7\)"):
        library.runner(1).run(lambda: False, lambda: None)
    assert library.songs.counts()["waiting"] == 1
