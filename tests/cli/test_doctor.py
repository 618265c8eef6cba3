import json
from pathlib import Path

import pytest

from tests.cli.conftest import files_below, run


def test_the_speed_is_measured_and_said_for_three_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    done = run("doctor", "--json")
    facts = json.loads(done.out)
    assert done.code == 0
    assert facts["estimate_s"] == pytest.approx(180 / facts["realtime_factor"], rel=0.01)
    assert facts["cores"] >= 1 and facts["memory_bytes"] > facts["memory_available_bytes"] > 0
    assert "CPUExecutionProvider" in facts["providers"]
    assert facts["cache_dir"] == str(tmp_path / "cache") and facts["cache_writable"]
    assert files_below(".") == files_below(tmp_path / "temporary") == []


def test_what_cannot_be_measured_is_said_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    done = run("doctor", "--plan", "no-such-plan")
    assert done.code == 4
    assert "not measured: There is no plan named 'no-such-plan'" in done.out
    assert "set STEMWRIGHT_CACHE_DIR" in done.out


def test_of_published_networks_the_operations_are_counted_and_nothing_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("STEMWRIGHT_MODEL_MIRROR", "http://127.0.0.1:9")
    facts = json.loads(run("doctor", "--plan", "best", "--json").out)
    assert set(facts["counted_s"]) >= {"bs-roformer-leap-xe-vocals", "bs-roformer-sw", "mega-53"}
    assert facts["estimate_s"] == pytest.approx(sum(facts["counted_s"].values()))
    assert facts["torch_devices"][0] == "cpu"
    assert "estimated from its operations" in run("doctor", "--plan", "best").out
    assert not (tmp_path / "models").exists()
