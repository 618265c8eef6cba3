"""The command, in this process and in one of its own, and small songs to give it."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from typer.testing import CliRunner

from stemwright.cli.app import app
from stemwright.database.engine import Database

RATE_HZ = 44_100
COMMAND = (sys.executable, "-W", "error", "-m", "stemwright")


@dataclass(frozen=True)
class Run:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in a folder of its own, with a cache of its own."""
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture(scope="session")
def untouched_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a server that nobody has used."""
    folder = tmp_path_factory.mktemp("untouched") / "data"
    database = Database.in_folder(folder)
    database.migrate()
    database.close()
    return folder


@pytest.fixture
def data(untouched_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, which commands take by themselves."""
    folder = Path(shutil.copytree(untouched_data, tmp_path / "data"))
    monkeypatch.setenv("STEMWRIGHT_DATA", str(folder))
    return folder


def run(*arguments: str) -> Run:
    """The command in this process. An error that is not expected fails the test."""
    result = CliRunner().invoke(app, list(arguments), prog_name="stemwright")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Run(result.exit_code, result.stdout, result.stderr)


def spawn(*arguments: str, stdin: bytes = b"", before: Callable[[], None] | None = None) -> Run:
    """The command in a process of its own, which ``before`` prepares."""
    done = subprocess.run(
        [*COMMAND, *arguments], input=stdin, capture_output=True, preexec_fn=before, timeout=240, check=False
    )
    return Run(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def without_privileges() -> None:
    """Makes permissions hold for root too: the command that is started next cannot override them (capabilities 1, 2)."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):
            if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "cannot drop a capability")


def music(seconds: float, rate_hz: int = RATE_HZ, channels: int = 2) -> NDArray[np.float64]:
    """A chord over a beat, ``(samples, channels)``."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).standard_normal((t.size, channels))
    chord = np.sum([np.sin(2 * np.pi * hz * t) for hz in (220.0, 277.2, 329.6)], axis=0)
    return np.asarray(0.08 * chord[:, None] + 0.2 * noise * np.exp(-20 * (t % 0.5))[:, None])


def write_song(
    path: Path | str, seconds: float = 2.0, rate_hz: int = RATE_HZ, channels: int = 2, subtype: str | None = None
) -> Path:
    """A short song in the format of its file name."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, music(seconds, rate_hz, channels), rate_hz, subtype)
    return path


def files_below(folder: Path | str) -> list[str]:
    """All files of a folder, hidden ones too, as paths within it."""
    folder = Path(folder)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def one_error(run: Run, *, words: Sequence[str] = ()) -> str:
    """The only error of a run: one line, no traceback."""
    assert "Traceback" not in run.err
    errors = [line for line in run.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, run.err
    for word in words:
        assert word in errors[0]
    return errors[0]
