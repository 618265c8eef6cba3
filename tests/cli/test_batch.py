"""``stemwright batch`` with the network in the wheel, and what it refuses."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile

from tests.cli.conftest import COMMAND, files_below, one_error, run, spawn, without_privileges, write_song
from tests.cli.test_interrupt import wait_for
from tests.waiting import PATIENCE_S, wait_until

LONG_S = 45  # a few chunks of the network


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("stems", name).read_text().splitlines()]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "batch", "music", "stems", *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_a_library_is_separated_once_and_later_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    write_song("music/a.wav", 0.3)
    write_song("music/rock/b #1 ü.flac", 0.3, subtype="PCM_16")
    Path("music/text.mp3").write_text("no sound")
    dry = run("batch", "music", "stems", "--dry-run")
    assert dry.code == 0 and "3 songs in" in dry.out and "3 new" in dry.out
    assert not Path("stems").exists()

    done = run("batch", "music", "stems", "--format", "flac", "--jobs", "2")
    assert done.code == 3
    assert "2 songs done, 1 failed" in done.out and "failures.jsonl; --retry-failed" in done.err
    assert "error: text.mp3: " in done.err and "Traceback" not in done.err
    first, second = lines("manifest.jsonl")
    assert (first["path"], second["path"]) == ("a.wav", "rock/b #1 ü.flac")
    assert (first["plan"], first["residual_db"], len(first["sha256"])) == ("fast", -200.0, 64)
    assert [stem["name"] for stem in first["stems"]] == ["vocals", "instrumental"]
    sums = sum(soundfile.read(Path("stems", stem["path"]), dtype="int16")[0].astype(int) for stem in second["stems"])
    np.testing.assert_array_equal(sums, soundfile.read("music/rock/b #1 ü.flac", dtype="int16")[0])
    (failure,) = lines("failures.jsonl")
    assert failure["path"] == "text.mp3" and "use a WAV" in failure["error"]
    before = {name: Path("stems", name).stat().st_mtime_ns for name in files_below("stems") if name.endswith(".flac")}
    assert len(before) == 4

    one_error(run("batch", "music", "stems"), words=["begun with format flac, not wav", "or another DST"])
    write_song("music/text.mp3", 0.3)
    dry = run("batch", "music", "stems", "--format", "flac", "--dry-run")
    assert "1 changed, 2 done" in dry.out
    again = run("batch", "music", "stems", "--format", "flac", "--quiet")
    assert (again.code, again.out, again.err) == (0, "", "")
    assert [line["path"] for line in lines("manifest.jsonl")] == ["a.wav", "rock/b #1 ü.flac", "text.mp3"]
    assert lines("failures.jsonl") == []
    assert before == {name: Path("stems", name).stat().st_mtime_ns for name in before}
    monkeypatch.setattr("stemwright.batch.runner.PROGRAM", "raise SystemExit(1)")  # nothing to do: no process
    assert run("batch", "music", "stems", "--format", "flac", "--quiet").code == 0
    assert [path.name for path in Path("stems/.stemwright-batch").rglob("*.flac")] == []


def test_ctrl_c_ends_at_the_next_chunk_and_the_same_command_gives_the_same_bytes() -> None:
    write_song("music/song.wav", LONG_S, rate_hz=22_050, channels=1)
    process = start()
    wait_until(lambda: list(Path("stems").glob(".stemwright-batch/work/*/files/*/*/state.json")), "a chunk is done")
    process.send_signal(signal.SIGINT)
    said = wait_for(process, "goes on from here")
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Press again to stop at once" in said and "Traceback" not in said
    assert not Path("stems/song.wav").exists()
    assert list(Path("stems").glob(".stemwright-batch/work/*/files/*/*/state.json"))

    assert run("batch", "music", "stems").code == 0
    assert run("separate", "music/song.wav", "--out", "alone", "--quiet").code == 0
    for name in ("vocals.wav", "instrumental.wav"):
        assert Path("stems/song.wav", name).read_bytes() == Path("alone/song", name).read_bytes()


@pytest.mark.long
def test_a_killed_command_leaves_nothing_that_the_next_one_cannot_finish() -> None:
    for number in range(4):
        write_song(f"music/{number}.wav", 15, rate_hz=22_050, channels=1)
    for _ in range(3):
        process = start("--jobs", "2")
        wait_until(lambda: list(Path("stems").glob(".stemwright-batch/work/*/song")), "a song is begun")
        process.kill()
        process.communicate(timeout=PATIENCE_S)
    assert run("batch", "music", "stems", "--jobs", "2").code == 0
    assert [line["path"] for line in lines("manifest.jsonl")] == [f"{number}.wav" for number in range(4)]


@pytest.mark.long
def test_two_commands_share_a_library_and_one_goes_on_when_the_other_is_killed(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", postgresql_url)
    for number in range(12):
        write_song(f"music/{number:02d}.wav", 8, rate_hz=22_050, channels=1)
    one, other = start(), start()
    wait_until(lambda: len(list(Path("stems/.stemwright-batch/work").glob("*/song"))) == 2, "both have a song")
    for process in [*psutil.Process(one.pid).children(recursive=True), psutil.Process(one.pid)]:
        process.kill()  # all at once, as when the host dies: its lease runs out
    one.communicate(timeout=PATIENCE_S)
    _, said = other.communicate(timeout=PATIENCE_S)
    assert other.returncode == 0, said
    assert [line["path"] for line in lines("manifest.jsonl")] == [f"{number:02d}.wav" for number in range(12)]
    assert not Path("stems/.stemwright-batch/stemwright.db").exists()


def test_a_second_ctrl_c_ends_at_once_and_hands_back() -> None:
    write_song("music/song.wav", LONG_S, rate_hz=22_050, channels=1)
    process = start()
    wait_until(lambda: list(Path("stems").glob(".stemwright-batch/work/*/song")), "a song is begun")
    process.send_signal(signal.SIGINT)
    wait_for(process, "Press again to stop at once")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "1 waiting" in run("batch", "music", "stems", "--dry-run").out


@pytest.mark.long
def test_a_full_disk_stops_the_batch_with_one_sentence() -> None:
    write_song("music/a.wav", 0.3)
    write_song("music/b.wav", 30, channels=1)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    stopped = spawn("batch", "music", "stems", "--quiet", before=limit)
    assert stopped.code == 5
    one_error(stopped, words=["No room is left", "free some space"])
    assert "1 done, 1 waiting" in run("batch", "music", "stems", "--dry-run").out
    assert run("batch", "music", "stems", "--quiet").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("none", "stems"), 3, ("none' cannot be listed", "correct its name")),
        (("music", "music/stems"), 2, ("choose a DST beside SRC",)),
        (("music", "stems", "--stems", "drumz"), 2, ("drumz",)),
        (("music", "stems", "--plan", "nothing"), 4, ("nothing",)),
        (("empty", "stems"), 3, ("contains no audio file", ".flac")),
        (("music", "s3://bucket/stems"), 2, ("keys",)),
        (("music", "s3://"), 2, ("DST cannot be used", "s3://bucket/prefix")),
    ],
)
def test_what_cannot_work_is_one_sentence(
    arguments: tuple[str, ...], code: int, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    write_song("music/a.wav", 0.3)
    Path("empty").mkdir()
    refused = run("batch", *arguments)
    assert refused.code == code, refused.err
    one_error(refused, words=words)
    assert files_below("stems") == [] or arguments[0] in ("none", "empty")


def test_a_wrong_database_url_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    write_song("music/a.wav", 0.3)
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/none")
    for arguments in (("--dry-run",), ()):
        refused = run("batch", "music", "stems", *arguments)
        assert refused.code == 5
        assert "secret" not in one_error(refused, words=["none at 127.0.0.1:1", "STEMWRIGHT_DATABASE_URL"])


def test_a_target_that_cannot_be_written_is_one_sentence() -> None:
    write_song("music/a.wav", 0.3)
    Path("stems").mkdir(mode=0o555)
    refused = spawn("batch", "music", "stems", before=without_privileges)
    assert refused.code == 5
    one_error(refused, words=["cannot be written", "permissions"])
    os.chmod("stems", 0o755)  # noqa: PTH101
