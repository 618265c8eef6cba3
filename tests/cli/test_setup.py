"""``stemwright setup``, and what it changes for the other commands: the ladder climbed from nothing, over a local mirror."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stemwright.models import registry
from stemwright.separation.plan import plan_of
from tests.cli.conftest import RATE_HZ, Run, one_error, run, write_song
from tests.models.small_registry import Mirror, small_registry
from tests.separation.installed import install, own_machine

ROOT = Path(__file__).parents[2]
GOOD = plan_of("good").steps[0].models[0]


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    own_machine(tmp_path, monkeypatch)
    monkeypatch.setattr("stemwright.cli.speed_test.measured_time_ratio", lambda plan, device, threads: 0.05)
    with small_registry(tmp_path, monkeypatch, GOOD) as mirror:
        yield mirror


def setup(*arguments: str, code: int = 0) -> Run:
    done = run("setup", *arguments)
    assert done.code == code, done.out + done.err
    return done


def plans(done: Run) -> dict[str, dict[str, Any]]:
    return {plan["plan"]: plan for plan in json.loads(done.out)["plans"]}


@pytest.mark.parametrize("runtime", [pytest.param("pytorch", marks=pytest.mark.long), "onnx"])
def test_the_same_command_gets_better_once_a_plan_is_set_up(
    runtime: str, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stranger does: `make run`, the line that it prints, `make run` again; with PyTorch, and without."""
    monkeypatch.setenv("STEMWRIGHT_RUNTIME", runtime)
    if runtime == "onnx":
        for package in ("torch", "safetensors", "yaml", "onnx"):
            monkeypatch.setitem(sys.modules, package, None)
    shutil.copy(ROOT / "examples/song.mp3", "song.mp3")
    command = ("separate", "song.mp3", "--stems", "twelve", "--duration", "2", "--threads", "2")
    first = run(*command, "--json")
    assert first.code == 0
    assert first.objects[0]["plan"] == "fast"
    assert mirror.asked == [], "nothing is downloaded that was not asked for"
    lines = [line for line in first.err.splitlines() if "stemwright setup --plan good" in line]
    assert len(lines) == 1 == first.err.count("better")
    assert first.objects[0]["better"]["command"] == "stemwright setup --plan good"

    done = setup("--plan", "good", "--yes")
    assert "good is installed: `stemwright separate SONG` uses it from now on" in done.out
    assert set(mirror.asked) == {file.name for file in registry.find(GOOD).files}

    second = run(*command)
    assert "plan good" in second.out and "song.mp3: separated" in second.out, "the stems of the other plan are replaced"
    assert "setup --plan good" not in second.err
    result = json.loads(Path("stems/song/.stemwright.json").read_text())["result"]
    assert result["plan"] == "good"
    assert result["models"][0].startswith(f"{GOOD}@")
    assert result["residual_db"] <= -85
    kept = run(*command)
    assert "those of plan good" in kept.out


def test_make_run_is_that_command() -> None:
    rule = (ROOT / "Makefile").read_text().partition("\nrun:")[2].splitlines()[1]
    assert rule.strip() == '@$(BIN)/stemwright separate "$(SONG)" --stems $(STEMS)'


def test_without_a_terminal_nothing_is_asked_and_nothing_is_downloaded(mirror: Mirror) -> None:
    done = setup()
    for words in ("fast", "good (recommended)", "best", GOOD, "MIT", "unstated", "uSDR, MVSep Multisong", "cores"):
        assert words in done.out
    assert "stemwright setup --plan good --yes" in done.out.splitlines()[-1]
    assert f"127.0.0.1 has {registry.find(GOOD).files[0].name}" in done.out
    assert not Path("../models").exists()


def test_json_has_the_ladder_and_the_machine() -> None:
    done = setup("--json", "--stems", "two")
    facts = json.loads(done.out)
    assert (facts["recommended"], facts["stems"]) == ("good", "two")
    assert facts["machine"]["cores"] >= 1 and facts["machine"]["weights_free_bytes"] > 0
    good = plans(done)["good"]
    assert good["download_bytes"] == registry.find(GOOD).size_bytes
    assert (good["installed"], good["can_run"], good["worth_its_time"], good["needs_torch"]) == (
        False,
        True,
        True,
        False,
    )
    assert good["licences"] == [registry.find(GOOD).licence]
    fast = plans(done)["fast"]
    assert fast["installed"] and isinstance(fast["song_minutes"], float) and fast["song_minutes"] > 0
    assert done.err == ""


def test_json_after_a_download_says_that_it_is_there() -> None:
    done = setup("--json", "--yes", "--quiet")
    good = plans(done)["good"]
    assert (good["installed"], good["download_bytes"]) == (True, 0)
    assert done.err == ""
    again = setup("--yes")
    assert "good is installed" in again.out.splitlines()[-1]


def test_fewer_stems_may_need_fewer_downloads() -> None:
    two, twelve = (plans(setup("--json", "--stems", stems))["best"] for stems in ("two", "twelve"))
    assert two["download_bytes"] == registry.find(plan_of("best").steps[0].models[0]).size_bytes
    assert twelve["download_bytes"] > two["download_bytes"]


def test_what_takes_too_long_is_installed_and_it_is_said_that_it_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemwright.separation.ladder.MAX_TIME_RATIO", 0.01)
    done = setup("--plan", "good", "--yes")
    assert "`stemwright separate SONG --plan good` uses it" in done.out
    assert "--max-minutes allows more" in done.out
    write_song("song.wav", seconds=1)
    assert run("separate", "song.wav", "--json").objects[0]["plan"] == "fast"
    allowed = run("separate", "song.wav", "--json", "--max-minutes", "1")
    assert allowed.objects[0]["plan"] == "good"


def test_the_licence_setting_hides_what_it_forbids(mirror: Mirror) -> None:
    facts = plans(setup("--json", "--license", "permissive"))
    assert all(licence in ("MIT", "Apache-2.0") for plan in facts.values() for licence in plan["licences"])
    if not facts["good"]["models"]:
        done = setup("--plan", "good", "--yes", "--license", "permissive", code=4)
        one_error(done, words=["good", "permissive"])
        assert "none with such a licence" in done.out
    assert mirror.asked == [] or facts["good"]["models"]


def test_what_needs_pytorch_says_so_before_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemwright.models.devices.has_runtime", lambda model: model.in_wheel)
    needing = [name for name, plan in plans(setup("--json")).items() if plan["needs_torch"]]
    assert needing == ["good", "best"]
    done = setup("--plan", needing[-1], "--yes", code=4)
    one_error(done, words=[needing[-1], "pip install 'stemwright[torch]'"])
    assert f"{needing[-1]} needs PyTorch" in done.out


def test_what_needs_more_memory_than_there_is_is_said_and_not_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cpu_memory_limits", "separation.ladder"):
        monkeypatch.setattr(f"stemwright.{module}.memory_bytes", lambda: 300 * 10**6)
    done = setup()
    assert "good needs about" in done.out and "of memory, more than there is" in done.out
    assert "fast (recommended)" in done.out and "fast needs" not in done.out


def test_a_full_disk_is_said_before_a_download(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))
    one_error(setup("--plan", "good", "--yes", code=5), words=["free", "good takes", "STEMWRIGHT_MODELS_DIR"])
    assert {name for name in mirror.asked if not name.endswith(".th")} == set()
    assert not Path("../models").exists()


def test_a_host_that_does_not_answer_is_said_and_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_MODEL_MIRROR", "http://127.0.0.1:9")
    assert "network: 127.0.0.1" in setup().out
    assert "error: " in setup("--plan", "good", "--yes", code=4).err
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    assert "network: switched off" in setup().out
    one_error(setup("--plan", "good", code=4), words=["good", "STEMWRIGHT_OFFLINE"])


def test_offline_a_plan_that_is_not_installed_is_only_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    done = setup("--json")
    assert json.loads(done.out)["recommended"] == "fast"
    assert [plan["song_minutes"] for plan in plans(done).values()][1:] == [None, None]
    assert setup().out.count("none while STEMWRIGHT_OFFLINE is set") == 2
    write_song("song.wav", seconds=1)
    assert run("separate", "song.wav", "--json").objects[0]["better"] is None


@pytest.mark.parametrize("plan", ["auto", "htdemucs", "x" * 500])
def test_a_name_that_is_no_rung_is_refused(plan: str) -> None:
    one_error(setup("--plan", plan, code=2), words=["fast, good, best"])


def test_quiet_says_nothing() -> None:
    assert setup("--quiet").out == setup("--quiet").err == ""


def test_the_line_is_silent_with_quiet_and_said_once_for_many_songs() -> None:
    for name in ("a.wav", "b.wav"):
        write_song(name, seconds=0.5)
    assert run("separate", "a.wav", "b.wav").err.count("better stems: ") == 1
    assert run("separate", "a.wav", "b.wav", "--quiet").err == ""
    assert run("separate", "a.wav", "--plan", "fast", "--overwrite").err.count("better stems: ") == 0


def test_max_minutes_are_for_auto_alone() -> None:
    write_song("song.wav", seconds=0.5)
    one_error(run("separate", "song.wav", "--plan", "fast", "--max-minutes", "3"), words=["leave the plan out"])
    assert run("separate", "song.wav", "--max-minutes", "0").code == 2


def test_models_download_takes_plans(mirror: Mirror) -> None:
    assert f"{GOOD}: installed." in run("models", "download", "good").out
    assert mirror.asked[-1] == registry.find(GOOD).files[0].name
    one_error(run("models", "download", "auto"), words=["stemwright setup"])


def test_doctor_measures_what_auto_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(run("doctor", "--json").out)["plan"] == "fast"
    assert json.loads((tmp_path / "cache" / "speed.json").read_text())["gflop_per_s"] > 0
    install(tmp_path / "models", GOOD)
    monkeypatch.setattr("stemwright.models.speed.LEAST_CORE_GFLOP_PER_S", 1e3)
    facts = json.loads(run("doctor", "--json").out)
    assert facts["plan"] == "good"
    assert facts["counted_s"][GOOD] > 0 == facts["counted_s"]["stemwright-12"]


def test_a_test_song_has_a_sound_for_every_stage() -> None:
    from stemwright.cli.speed_test import _test_music

    music = _test_music(2.0)
    assert music.shape == (2, 2 * RATE_HZ)
    assert 0.1 < abs(music).max() < 1.0
