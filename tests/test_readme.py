"""What README, docs/kie-and-crun.md and docs/api.md have readers paste, run as it stands there against a real server.

Two addresses are replaced, for their ports may be taken here: the server's, and that of the receiver of callbacks. Before a
separation is deleted its callback is waited for: one that was not sent yet is forgotten with it, as a busy machine showed.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.stems import STEMS
from tests.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
KIE_AND_CRUN = (ROOT / "docs" / "kie-and-crun.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()

SERVER = "http://127.0.0.1:8000"
RECEIVER = "http://127.0.0.1:9000/hook"
SHORT_S = 6
WEBHOOK_KEY = "a key of the tests"


def section(page: str, title: str) -> str:
    """What stands under a heading of the second or a deeper level."""
    found = re.search(rf"^(##+) {re.escape(title)}\n(.*?)(?=^##+ |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no section '{title}'"
    return found[2]


def commands(page: str, title: str) -> str:
    """The lines to paste of a section: those that are indented, whole paragraphs of them."""
    paragraphs = re.findall(r"(?:^    .*\n)+(?:\n(?:^    .*\n)+)*", section(page, title), re.MULTILINE)
    lines = textwrap.dedent("\n".join(paragraphs))
    return "\n".join(line for line in lines.splitlines() if not line.startswith("make serve"))


def program(title: str) -> str:
    """The Python of a section of docs/api.md."""
    found = re.search(r"```python\n(.*?)```", section(API, title), re.DOTALL)
    assert found is not None
    return found[1]


@dataclass(frozen=True)
class Terminal:
    """A folder with the example song, a server at work in it, and a receiver of callbacks."""

    folder: Path
    server: str
    hook: str
    received: Path

    def run(self, *scripts: str) -> None:
        """Runs what is pasted, one after the other in one shell."""
        script = "\n".join(scripts)
        for address, here in ((SERVER, self.server), (RECEIVER, self.hook)):
            assert address in script
            script = script.replace(address, here)
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def callbacks(self, count: int) -> list[str]:
        """What the receiver printed, once it has printed so many lines."""
        wait_until(lambda: len(self.received.read_text().splitlines()) >= count, f"{count} callbacks")
        return self.received.read_text().splitlines()


@contextmanager
def terminal(folder: Path, seconds: float | None) -> Iterator[Terminal]:
    """A terminal; the song is cut to ``seconds``, or whole."""
    (folder / "examples").mkdir()
    song = folder / "examples" / "song.mp3"
    if seconds is None:
        shutil.copyfile(ROOT / "examples" / "song.mp3", song)
    else:
        _cut_song(song, seconds)
    ports = _free_ports()
    hook, received = f"http://127.0.0.1:{ports[1]}/hook", folder / "received"
    (folder / "receiver.py").write_text(program("Callbacks").replace("9000", str(ports[1])))
    # The environment may give the port, which the page's own line leaves at 8000.
    environment = _environment() | {"STEMWRIGHT_PORT": str(ports[0])}
    with received.open("w") as out, (folder / "log").open("w") as log:
        listening = subprocess.Popen([sys.executable, "receiver.py"], cwd=folder, env=environment, stdout=out)
        serving = subprocess.Popen(["stemwright", "serve"], cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            for port in ports:
                wait_until(partial(_listens, port), f"something listens on port {port}")
            wait_until(lambda: "Your API key" in (folder / "log").read_text(), "the server prints its key")
            yield Terminal(folder, f"http://127.0.0.1:{ports[0]}", hook, received)
        finally:
            for process in (serving, listening):
                process.terminate()
            for process in (serving, listening):
                process.wait(PATIENCE_S)
            print((folder / "log").read_text())  # shown where a test fails


def _cut_song(path: Path, seconds: float) -> None:
    samples, rate = soundfile.read(ROOT / "examples" / "song.mp3", frames=round(seconds * 44_100), dtype="float32")
    soundfile.write(path, samples, rate, format="MP3")


def _environment() -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("STEMWRIGHT_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return bare | {"PATH": path, "STEMWRIGHT_WEBHOOK_KEY": WEBHOOK_KEY, "PYTHONUNBUFFERED": "1"}


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True


def sound(path: Path) -> NDArray[np.float64]:
    samples, _ = soundfile.read(path, dtype="float64")
    return np.asarray(samples)


def level_db(difference: NDArray[np.float64], song: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(difference**2) / np.mean(song**2) + 1e-20))


def check_stems(stems: Path, song: Path) -> None:
    """One task made two stems and the other twelve, and those of each add up to the song, as far as MP3 can."""
    counts = []
    for folder in stems.iterdir():
        files = list(folder.iterdir())
        counts.append(len(files))
        rest = sum(sound(file) for file in files) - sound(song)
        assert level_db(rest, sound(song)) < -25
    assert sorted(counts) == [2, len(STEMS)]


def check(folder: Path, seconds: float | None) -> None:
    with terminal(folder, seconds) as here:
        (folder / "client.py").write_text(program("The Python client").replace(SERVER, here.server))
        python = "STEMWRIGHT_KEY=$KEY python client.py"
        wait = f"until [ $(wc -l < {here.received}) -ge 3 ]; do sleep 0.1; done"
        examples = commands(API, "Examples").replace("curl -s -X DELETE", f"{wait}\ncurl -s -X DELETE")
        assert wait in examples
        here.run(commands(KIE_AND_CRUN, "Try it with curl"), examples, python)
        song = folder / "examples" / "song.mp3"
        check_stems(folder / "stems" / "kie", song)
        check_stems(folder / "stems" / "crun", song)
        mixed = sound(song)
        parts = [sound(path) for path in (folder / "stems" / "own").glob("*.wav")]
        assert len(parts) == 3
        # The decoder of this test may round the last bit of the song's MP3 otherwise than the server's.
        assert np.abs(sum(parts) - mixed).max() <= 2**-14
        assert len(list((folder / "stems" / "client").glob("*.flac"))) == len(STEMS)
        for line in here.callbacks(3):
            assert line.endswith("signatures: right, right"), line


def test_the_lines_of_the_pages_work_when_pasted(tmp_path: Path) -> None:
    check(tmp_path, SHORT_S)


@pytest.mark.long
def test_the_lines_of_the_pages_work_with_the_whole_song(tmp_path: Path) -> None:
    check(tmp_path, None)


def test_make_serve_is_the_command_that_is_tested() -> None:
    rule = re.search(r"^serve:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert rule is not None and rule[1].strip() == "@$(BIN)/stemwright serve"
    assert "make serve" in section(KIE_AND_CRUN, "Try it with curl")
    assert "make serve" in section(README, "The server")


def test_the_lines_of_python_in_the_readme_print_what_came_out(tmp_path: Path) -> None:
    lines = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert lines is not None
    _cut_song(tmp_path / "song.mp3", 1.0)
    done = subprocess.run(
        [sys.executable, "-c", lines[1]], cwd=tmp_path, env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(STEMS)
    assert sorted(path.stem for path in (tmp_path / "stems" / "song").glob("*.wav")) == sorted(STEMS)


def test_the_readme_begins_with_the_commands_of_the_makefile() -> None:
    first = re.findall(r"^    (.*)$", README, re.MULTILINE)[:2]
    assert [line.split("#")[0].strip() for line in first] == ["make run", "make test"]


def test_badges_say_what_pyproject_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pictures = ROOT / "docs" / "pictures"
    assert f">{project['requires-python'].removeprefix('>=')}+<" in (pictures / "badge-python.svg").read_text()
    assert f">{project['license']}<" in (pictures / "badge-licence.svg").read_text()
