"""Standard streams as they may be: closed, full, given up by their reader; and terminals of every kind."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from stemwright.formatting import json_text, printable
from tests.cli.conftest import COMMAND, files_below, one_error, run, spawn, write_song

SHELL = " ".join(f"'{word}'" for word in COMMAND)


def in_shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of the shell in which ``stemwright`` is the command; the exit codes of a pipe stand in its last line."""
    return subprocess.run(
        ["bash", "-c", line.replace("stemwright", SHELL, 1)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def song() -> Path:
    return write_song("song.wav", seconds=0.2)


@pytest.mark.parametrize("closed", [*("2>&-", "<&- >&- 2>&-"), pytest.param(">&-", marks=pytest.mark.long)])
def test_closed_streams_do_not_end_in_the_stems(song: Path, closed: str) -> None:
    done = in_shell(f"stemwright separate song.wav {closed}")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert files_below("stems") == [f"song/{name}" for name in (".stemwright.json", "instrumental.wav", "vocals.wav")]
    straight = run("separate", "song.wav", "--out", "straight")
    assert straight.code == 0
    for stem in ("vocals", "instrumental"):
        assert Path(f"stems/song/{stem}.wav").read_bytes() == Path(f"straight/song/{stem}.wav").read_bytes()


def test_json_is_alone_on_standard_output_when_standard_error_is_closed(song: Path) -> None:
    done = in_shell("stemwright separate song.wav --json 2>&-")
    assert [json.loads(line)["input"] for line in done.stdout.splitlines()] == ["song.wav"]


def test_standard_input_that_is_closed_is_empty() -> None:
    done = in_shell("stemwright separate - <&-")
    assert done.returncode == 3
    assert "Standard input is empty" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_standard_output_that_is_full_is_one_error(song: Path) -> None:
    done = in_shell("stemwright separate song.wav --json --quiet > /dev/full")
    assert done.returncode == 5
    assert done.stderr.startswith("error: Standard output cannot be written") and done.stderr.count("\n") == 1


def test_a_reader_that_leaves_ends_nothing_in_the_middle(song: Path) -> None:
    done = in_shell("stemwright separate song.wav 2>&1 | head -1; echo ${PIPESTATUS[0]}")
    first, code = done.stdout.splitlines()
    assert (first, done.stderr) == ("song: started", "")
    assert code in ("0", "1")  # whether the table came after the reader had left
    assert files_below("stems") == [f"song/{name}" for name in (".stemwright.json", "instrumental.wav", "vocals.wav")]


@pytest.mark.parametrize("command", ["--help", "models"])
def test_head_gets_its_line_and_no_traceback(command: str) -> None:
    done = in_shell(f"stemwright {command} | head -1")
    assert done.stderr == "" and done.stdout.count("\n") == 1


def on_terminal(columns: int, *arguments: str, **environment: str) -> str:
    """What the command writes on a terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    set_too = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=follower, stdout=follower, stderr=follower, env={**set_too, **environment}
    )
    os.close(follower)
    written = b""
    while True:
        try:
            piece = os.read(leader, 65_536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(leader)
    assert process.wait(timeout=240) == 0, written
    return written.decode()


def test_a_dumb_terminal_gets_plain_lines(song: Path) -> None:
    written = on_terminal(80, "separate", "song.wav", TERM="dumb")
    assert "\x1b" not in written and "\r\r" not in written
    assert "song: started" in written and "vocals" in written


def test_colours_can_be_switched_off_and_forced(song: Path) -> None:
    plain = on_terminal(80, "separate", "song.wav", TERM="xterm-256color", NO_COLOR="1")
    assert not any(f"\x1b[{colour}" in plain for colour in ("3", "9"))
    forced = in_shell("stemwright separate song.wav --json", FORCE_COLOR="1").stdout
    assert json.loads(forced)["skipped"] is True
    assert "\x1b[1m" in in_shell("stemwright separate song.wav", FORCE_COLOR="1").stdout


def test_forty_columns_hold_every_stem_on_a_line_of_its_own(song: Path) -> None:
    lines = on_terminal(40, "separate", "song.wav", "--stems", "twelve", TERM="dumb").splitlines()
    stems = [line.split() for line in lines if line.strip().endswith(tuple("0123456789–")) and len(line.split()) == 3]
    assert sorted(words[0] for words in stems if words[0].endswith("vocals")) == ["backing_vocals", "vocals"]
    assert len(stems) == 12
    table = lines[next(place for place, line in enumerate(lines) if "separated" in line) :]
    assert max(len(line) for line in table if "stemwright setup" not in line) <= 40  # a sentence: the terminal wraps it


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        pytest.param({"LANG": "", "LC_ALL": ""}, marks=pytest.mark.long),
    ],
)
def test_any_locale_takes_any_name(environment: dict[str, str]) -> None:
    write_song("Ünïcode 音.wav", seconds=0.2)
    done = in_shell("stemwright separate *.wav --json", **environment)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    (folder,) = Path("stems").iterdir()
    assert json.loads(done.stdout)["stems"][0]["path"].endswith("vocals.wav")
    assert (folder / "vocals.wav").is_file()


def test_a_name_of_255_bytes() -> None:
    for letters in ("x" * 251, "é" * 125 + "x", "音" * 83 + "xx"):
        name = f"{letters}.wav"
        assert len(name.encode()) == 255
        write_song("song.wav", seconds=0.2).rename(name)
        done = run("separate", name, "--json")
        assert done.code == 0, done.err
        assert Path(done.objects[0]["stems"][0]["path"]).is_file()


def test_names_that_begin_with_a_dash() -> None:
    write_song("song.wav", seconds=0.2).rename("-song.wav")
    one_error(run("separate", "-song.wav"), words=["'-song.wav'", "./-song.wav", "--"])
    assert run("separate", "-song.wav").code == 2
    assert run("separate", "./-song.wav").code == 0
    assert run("separate", "--", "-song.wav").code == 0
    assert "No such option" in run("separate", "-q", "song.wav").err
    assert Path("stems/-song/vocals.wav").is_file()


def test_names_that_differ_in_how_an_accent_is_written_get_folders_of_their_own() -> None:
    for folder, name in (("a", "caf\u00e9"), ("b", "cafe\u0301"), ("c", "CAFE\u0301")):
        write_song(f"{folder}/{name}.wav", seconds=0.2)
    done = run("separate", "a", "b", "c", "--json")
    assert [Path(facts["output_dir"]).name for facts in done.objects] == [
        "caf\u00e9",
        "cafe\u0301 (2)",
        "CAFE\u0301 (3)",
    ]


def test_names_are_not_obeyed_by_the_terminal() -> None:
    name = "a\u202egnos\x1b[2J\x07\u2066b\nc\u200fש"
    assert printable(name) == "a_gnos_[2J__b_c\u200fש"
    write_song(f"{name}.wav", seconds=0.2)
    done = run("separate", f"{name}.wav")
    assert done.code == 0
    for character in "\u202e\x1b\x07\u2066":
        assert character not in done.out + done.err


def test_json_of_a_name_that_is_no_unicode_can_be_read_by_all() -> None:
    name = os.fsdecode(b"caf\xe9 \xf0\x9f\x8e\xb5.wav")
    write_song("song.wav", seconds=0.2).rename(name)
    done = spawn("separate", name, "missing\udce9.wav", "--json")
    assert done.code == 3
    assert "\\ud" not in done.out.replace("\\ud83c\\udfb5", "").lower()
    assert [facts["input"] for facts in done.objects] == ["caf\ufffd 🎵.wav", "missing\ufffd.wav"]
    assert json.loads(json_text({"a": "\ud83c\udfb5", "b": ["\udc80x"]})) == {"a": "🎵", "b": ["\ufffdx"]}


if sys.platform == "win32":
    pytest.skip("no shell of Unix", allow_module_level=True)
