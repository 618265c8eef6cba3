from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import run
from tests.models.small_registry import small_registry
from tests.separation.installed import own_machine

DENOISER = "mel-band-roformer-denoise-aufr33"


def test_noise_is_removed_by_a_network_that_is_downloaded_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_machine(tmp_path, monkeypatch)
    song = np.random.default_rng(3).uniform(-0.4, 0.4, (44_100, 2))
    soundfile.write(tmp_path / "song.wav", song, 44_100, "PCM_16")
    with small_registry(tmp_path, monkeypatch, DENOISER):
        done = run("separate", str(tmp_path / "song.wav"), "--denoise", "--out", str(tmp_path / "stems"), "--json")
    assert done.code == 0, done.err
    assert f"Downloading {DENOISER}, once: " in done.err
    result = json.loads(done.out)
    assert result["models"][0].startswith(f"{DENOISER}@")
    assert result["notes"][0] == "Noise was removed first; it is in 'instrumental'."


def test_the_model_is_shown_as_a_step_and_not_as_a_plan() -> None:
    assert "before any plan, with --denoise" in run("models", "show", DENOISER).out
    assert json.loads(run("models", "show", DENOISER, "--json").out)["removes"] == "noise"
