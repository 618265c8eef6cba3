"""scripts/gpu-check with the CPU as its device: the same steps, small networks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_check import Outcome, main, one_model_each, run, steps, verdict
from benchmarks.gpu_steps import Step
from stemwright.models import registry
from stemwright.models.networks import ARCHITECTURES

ROOT = Path(__file__).parent.parent


def step(kind: str, precision: str = "float32", model: str = "htdemucs") -> Step:
    return Step(kind, model, "cpu", precision, small=True, threads=1)


def test_one_model_of_each_registered_architecture_is_checked() -> None:
    found = [registry.find(name).architecture for name in one_model_each()]
    assert len(set(found)) == len(found) >= 4 and set(found) <= set(ARCHITECTURES)


def test_the_precision_that_separations_use_comes_first() -> None:
    order = list(steps(["htdemucs", "scnet-large"], "cuda", small=False, threads=8, peers="folder"))
    assert [(one.kind, one.precision) for one in order[:2]] == [("precision", "float16")] * 2
    kinds = [one.kind for one in order]
    assert sorted(set(kinds), key=kinds.index) == ["precision", "throughput", "memory", "song", "peer"]
    assert {one.model for one in order if one.kind == "peer"} == {"htdemucs"}


def test_a_step_is_run_in_a_process() -> None:
    done = run(step("precision"), 600)
    assert (done.wrong, done.facts["finite"]) == ("", True) and done.facts["error_db"] < -100


def test_a_step_that_takes_too_long_is_ended() -> None:
    assert run(step("throughput"), 1).wrong.startswith("not done after")


def test_a_step_that_fails_is_wrong_and_says_why() -> None:
    done = run(step("precision", model="no-such-model"), 600)
    assert done.wrong.startswith("ended with 1") and "There is no model named" in done.wrong


@pytest.mark.parametrize(
    ("kind", "facts", "wrong"),
    [
        ("precision", {"finite": True, "error_db": -90.0}, ""),
        ("precision", {"finite": False, "error_db": -90.0}, "not finite"),
        ("precision", {"finite": True, "error_db": -20.0}, "above"),
        ("memory", {"error_db": -90.0, "batches": [8, 4, 4], "message": "x does not fit into the memory of cuda"}, ""),
        ("memory", {"error_db": -9.0, "batches": [8, 4, 4], "message": "x does not fit into the memory"}, "change"),
        ("memory", {"error_db": -90.0, "batches": [8], "message": "x does not fit into the memory"}, "smaller"),
        ("memory", {"error_db": -90.0, "batches": [8, 4], "message": ""}, "without memory"),
        ("song", {"sum_error_peak": 1e-7, "realtime_factor": 9.0}, ""),
        ("song", {"sum_error_peak": 1e-3, "realtime_factor": 9.0}, "miss"),
        ("peer", {"left_out": "no module"}, ""),
    ],
)
def test_what_counts_as_wrong(kind: str, facts: dict[str, Any], wrong: str) -> None:
    found = verdict(step(kind), facts)
    assert wrong in found and bool(found) == bool(wrong)


def test_what_no_time_was_left_for_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "check.json"
    assert main(["--device", "cpu", "--small", "--minutes", "0", "--models", "htdemucs", "--out", str(out)]) == 1
    assert "precision htdemucs float32" in json.loads(out.read_text())["left_out"]
    assert "no time was left for" in capsys.readouterr().out


def test_an_outcome_is_written_with_its_step() -> None:
    table = Outcome(step("precision"), {"error_db": -90.0}, 1.23, "").table()
    assert table["model"] == "htdemucs" and table["error_db"] == -90.0 and table["seconds"] == 1.2


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of the CPU")
def test_the_whole_rehearsal(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    command = [str(ROOT / "scripts/gpu-check"), "--device", "cpu", "--small", "--threads", "1", "--out", str(out)]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [*command, "--minutes", "60", "--peers", str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(out.read_text())
    assert {one["kind"] for one in result["steps"]} == {"precision", "throughput", "memory", "song", "peer"}
    assert not result["left_out"] and all(one["wrong"] == "" for one in result["steps"])
    assert {one["model"] for one in result["steps"]} == set(one_model_each())
