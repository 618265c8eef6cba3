"""The systemd units, and the Containerfile."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.test_names import DEPLOY, containerfile

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
ROOT = DEPLOY.parent

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, with a command that is there."""
    for path in UNITS:
        text = path.read_text().replace(
            "/opt/stemwright/bin/stemwright", str(Path(sys.executable).with_name("stemwright"))
        )
        (tmp_path / path.name).write_text(text)
    return tmp_path


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_no_fault(installed: Path, unit: Path) -> None:
    name = unit.name.replace("@.", "@8001.")
    (installed / unit.name).rename(installed / name)
    command = ["systemd-analyze", "verify", "--man=no", str(installed / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    mine = [line for line in done.stderr.splitlines() if str(installed) in line or unit.stem.split("@")[0] in line]
    assert mine == [], done.stderr


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_calls_it_hardened(installed: Path, unit: Path) -> None:
    """Its score goes from 0, safe, to 10; above the threshold the command fails."""
    name = unit.name.replace("@.", "@8001.")
    (installed / unit.name).rename(installed / name)
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", str(installed / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_ends_gently_and_starts_again(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert {"Restart=always", "KillMode=mixed", "TimeoutStopSec=60", "NoNewPrivileges=yes"} <= set(lines)


class TestContainerfile:
    steps = containerfile()

    def stages(self) -> dict[str, list[tuple[str, str]]]:
        """The instructions of each stage, by its name."""
        stages: dict[str, list[tuple[str, str]]] = {}
        for step in self.steps:
            if step["instruction"] == "FROM":
                base, _, name = step["value"].partition(" AS ")
                stages[name] = list(stages.get(base, ()))
            elif stages:
                stages[list(stages)[-1]].append((step["instruction"], step["value"]))
        return stages

    def test_every_line_is_an_instruction(self) -> None:
        known = {"ARG", "FROM", "RUN", "COPY", "ENV", "WORKDIR", "VOLUME", "EXPOSE", "USER", "HEALTHCHECK"}
        assert {step["instruction"] for step in self.steps} - known == {"COMMENT", "ENTRYPOINT", "CMD"}

    @pytest.mark.parametrize("target", ["cpu", "cuda"])
    def test_an_image_runs_as_nobody_and_is_watched(self, target: str) -> None:
        stage = dict(self.stages()[target])
        assert stage["USER"] == "10001:10001"
        assert "/livez" in stage["HEALTHCHECK"]
        assert stage["ENTRYPOINT"] == '["stemwright"]' and stage["CMD"] == '["serve"]'
        volumes = set(re.findall(r'"(/\w+)"', stage["VOLUME"]))
        environment = " ".join(value for name, value in self.stages()[target] if name == "ENV")
        assert {"/data", "/cache", "/models"} == volumes
        assert all(f"={volume}" in environment for volume in volumes)

    def test_package_lists_do_not_stay_and_nothing_is_recommended(self) -> None:
        for _, value in [(name, value) for name, value in self.stages()["cuda"] if name == "RUN"]:
            if "apt-get install" in value:
                assert "--no-install-recommends" in value and "rm -rf /var/lib/apt/lists/*" in value

    def test_what_it_copies_exists_and_is_not_ignored(self) -> None:
        ignore = (ROOT / ".containerignore").read_text().splitlines()
        assert "*" in ignore
        sources = [
            word
            for step in self.steps
            if step["instruction"] == "COPY" and "--from" not in step["value"]
            for word in step["value"].split()[:-1]
        ]
        assert sources
        for source in sources:
            assert (ROOT / source).exists() and f"!{source}" in ignore
