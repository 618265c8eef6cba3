"""Trials of equal data: the same mixes for all, and a killed one continues as if it had not been."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from training import recognition, trial
from training.checkpoints.checkpoint import Checkpoint

pytestmark = pytest.mark.training

STEPS = 3


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        folder = tmp_path / "corpus" / name
        folder.mkdir(parents=True)
        for stem in ("vocals", "drums", "bass"):
            soundfile.write(folder / f"{stem}.flac", rng.normal(0, 0.1, (176_400, 2)), 44_100, subtype="PCM_16")
    return tmp_path / "corpus"


def run(monkeypatch: pytest.MonkeyPatch, corpus: Path, folder: Path, *options: str) -> Checkpoint:
    fixed = ["--corpus", str(corpus), "--run", str(folder), "--batch", "1", "--frames", "128"]
    monkeypatch.setattr(sys, "argv", ["trial", *fixed, "--scratch", "small-split", *options])
    trial.main()
    return Checkpoint.load(folder / "checkpoint.pt")


def same(first: Checkpoint, second: Checkpoint) -> bool:
    return all(torch.equal(first.average[name], second.average[name]) for name in first.average)


def test_a_killed_trial_continues_as_if_it_had_not_been(
    monkeypatch: pytest.MonkeyPatch, corpus: Path, tmp_path: Path
) -> None:
    whole = run(monkeypatch, corpus, tmp_path / "whole", "--steps", str(STEPS))
    assert whole.step == STEPS and whole.audio_s == pytest.approx(STEPS * 128 * 1024 / 44_100)

    class Killed(Exception):
        pass

    steps = trial.Trial.train_step

    def die(self: trial.Trial, batch: object) -> float:
        if self.step == 2:
            raise Killed
        loss = steps(self, batch)  # type: ignore[arg-type]
        self.save()
        return loss

    with monkeypatch.context() as patched:
        patched.setattr(trial.Trial, "train_step", die)
        with pytest.raises(Killed):
            run(monkeypatch, corpus, tmp_path / "killed", "--steps", str(STEPS))
    continued = run(monkeypatch, corpus, tmp_path / "killed", "--steps", str(STEPS))
    assert continued.step == STEPS and same(whole, continued)


def test_other_mixes_teach_something_else(monkeypatch: pytest.MonkeyPatch, corpus: Path, tmp_path: Path) -> None:
    usual = run(monkeypatch, corpus, tmp_path / "usual", "--steps", "1")
    plain = run(monkeypatch, corpus, tmp_path / "plain", "--steps", "1", "--mixes", "unaugmented")
    assert not same(usual, plain)


def test_a_trial_without_songs_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path / "nothing", tmp_path / "run", "--steps", "1")
    assert "render some with python -m training.rendering.corpus" in capsys.readouterr().err


def test_a_trial_with_a_cue_is_measured_with_it(
    monkeypatch: pytest.MonkeyPatch, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = run(monkeypatch, corpus, tmp_path / "cue", "--steps", "1", "--cue", "tonality")
    assert (checkpoint.shape.cue, checkpoint.shape.planes) == ("tonality", 6)
    command = ["recognition", str(corpus), "--checkpoint", str(tmp_path / "cue/checkpoint.pt"), "--frames", "128"]
    monkeypatch.setattr(sys, "argv", command)
    recognition.main()
    assert "as they are: mean" in capsys.readouterr().out
