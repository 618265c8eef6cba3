"""Published checkpoints on a real song, through the command: added, used, killed and resumed, downloaded, refused."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import COMMAND, RATE_HZ, Run, run
from tests.models.published import Pair, demucs_package, msst_config, msst_pair

SONG = Path(__file__).parents[2] / "examples/song.mp3"
ARCHITECTURES = ["bs_roformer", "mel_band_roformer", "scnet", "htdemucs", "mdx23c"]
QUICK = ["mel_band_roformer"]
"""What `make test` kills; `make test-long` kills the others too."""


@pytest.fixture(autouse=True)
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def command(*words: str | Path, code: int = 0) -> Run:
    done = run(*map(str, words))
    assert done.code == code, done.err
    return done


def added(pair: Pair, name: str) -> None:
    command("models", "add", "--name", name, "--config", pair.config, "--checkpoint", pair.checkpoint)


def check_sum(facts: dict[str, Any], song: Path) -> None:
    """The stems on the disk add up to the song: bit for bit, or, where random weights needed a gain, to its rounding."""
    folder = Path(facts["output_dir"])
    total = sum(soundfile.read(folder / f"{stem['name']}.wav", dtype="int32")[0] >> 16 for stem in facts["stems"])
    whole = (soundfile.read(song, dtype="int32")[0] >> 16) * 10 ** (facts["gain_db"] / 20)
    assert np.abs(total - whole).max() <= (0 if facts["gain_db"] == 0 else 0.51)
    assert facts["residual_db"] < (-190 if facts["gain_db"] == 0 else -85)


def excerpt(path: Path, seconds: int) -> Path:
    """Some seconds from the middle of the example song, in 16 bits."""
    import av

    with av.open(str(SONG)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    samples = np.concatenate(frames, axis=1)[:, 20 * RATE_HZ : (20 + seconds) * RATE_HZ]
    soundfile.write(path, samples.T, RATE_HZ, "PCM_16")
    return path


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the example song in 16 bits."""
    return excerpt(tmp_path_factory.mktemp("song") / "song.wav", 3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_added_checkpoint_separates_and_the_stems_add_up(architecture: str, song: Path, tmp_path: Path) -> None:
    added(msst_pair(tmp_path, architecture), "mine")
    done = command("separate", song, "--stems", "twelve", "--plan", "mine", "--threads", "1", "--json", "--quiet")
    facts = json.loads(done.out)
    assert facts["plan"] == "mine"
    assert facts["models"][0].startswith("mine@")
    check_sum(facts, song)
    sounding = {stem["name"] for stem in facts["stems"] if stem["peak_dbfs"] is not None}
    assert {"vocals", "drums", "bass"} <= sounding
    assert sounding <= {"vocals", "drums", "bass", "fx"}


def test_a_demucs_package_is_one_file_that_needs_no_configuration_of_weights(song: Path, tmp_path: Path) -> None:
    pair = msst_pair(tmp_path, "htdemucs")
    package = demucs_package(tmp_path)
    added(Pair(pair.config, package), "packed")
    facts = json.loads(command("separate", song, "--plan", "packed", "--threads", "1", "--json", "--quiet").out)
    check_sum(facts, song)
    assert [stem["name"] for stem in facts["stems"]] == ["vocals", "instrumental"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a Unix signal")
@pytest.mark.parametrize(
    "architecture", [pytest.param(one, marks=[] if one in QUICK else pytest.mark.long) for one in ARCHITECTURES]
)
def test_a_killed_run_resumes_to_the_same_bytes(architecture: str, tmp_path: Path) -> None:
    added(msst_pair(tmp_path, architecture), "mine")
    song = excerpt(tmp_path / "song.wav", 10)
    wanted = ["separate", str(song), "--stems", "twelve", "--plan", "mine", "--quiet", "--threads", "1"]
    command(*wanted, "--out", "straight")
    process = subprocess.Popen([*COMMAND, *wanted, "--out", "broken"])
    state = Path("broken/.song.stemwright/1/state.json")
    while process.poll() is None:
        try:
            if json.loads(state.read_text())["n_chunks"] >= 5:
                break
        except (OSError, ValueError):
            pass
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was over before it could be killed"
    assert not list(Path("broken").glob("song/*.wav"))
    command(*wanted, "--out", "broken", "--resume")
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(out, "song").glob("*.wav")}
        for out in ("straight", "broken")
    ]
    assert len(digests[0]) == 12
    assert digests[0] == digests[1]


def test_a_model_for_the_voice_alone_leaves_the_rest_in_fx(song: Path, tmp_path: Path) -> None:
    added(msst_pair(tmp_path, "mel_band_roformer", labels=("vocals", "other"), target="vocals"), "voice")
    facts = json.loads(
        command("separate", song, "--stems", "twelve", "--plan", "voice", "--threads", "1", "--json", "--quiet").out
    )
    assert {stem["name"] for stem in facts["stems"] if stem["present"]} == {"vocals", "fx"}
    assert len(list(Path(facts["output_dir"]).glob("*.wav"))) == 12, (
        "an absent stem is a silent file, not a missing one"
    )


@pytest.mark.parametrize("label", ["Instrumental", "other"])
def test_of_a_model_for_the_accompaniment_the_voice_is_what_it_leaves(label: str, song: Path, tmp_path: Path) -> None:
    added(msst_pair(tmp_path, "mel_band_roformer", labels=("vocals", label), target=label), "band")
    facts = json.loads(command("separate", song, "--plan", "band", "--threads", "1", "--json", "--quiet").out)
    check_sum(facts, song)
    assert all(stem["present"] for stem in facts["stems"])


def test_weights_of_an_unstated_licence_are_refused_where_only_permissive_ones_may_run(song: Path) -> None:
    done = command("separate", song, "--plan", "bs-roformer-sw", "--license", "permissive", code=4)
    assert "bs-roformer-sw" in done.err
    assert "permissive" in done.err
    assert not Path("stems").exists()


def test_evaluate_holds_to_the_licence_too_and_looks_at_the_folder_first(tmp_path: Path, song: Path) -> None:
    truth = tmp_path / "truth" / "one"
    truth.mkdir(parents=True)
    for stem in ("vocals", "drums"):
        (truth / f"{stem}.wav").write_bytes(song.read_bytes())
    wanted = ("--plan", "bs-roformer-sw", "--license", "permissive")
    assert "permissive" in command("evaluate", truth.parent, *wanted, code=4).err
    assert "bs-roformer-sw" not in command("evaluate", tmp_path / "nowhere", *wanted, code=3).err


def test_without_the_net_a_missing_model_is_told_with_the_place_for_its_file(
    song: Path, monkeypatch: pytest.MonkeyPatch, models_folder: Path
) -> None:
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    done = command("separate", song, "--plan", "htdemucs", code=4)
    assert "955717e8-8726e21a.th" in done.err
    assert str(models_folder) in done.err


def test_the_best_plan_says_what_stands_in_for_what(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing installed and no net, the network in the wheel does what it can, and the result says so."""
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    facts = json.loads(
        command("separate", song, "--stems", "twelve", "--plan", "best", "--threads", "1", "--json", "--quiet").out
    )
    assert facts["plan"] == "best"
    assert [model.split("@")[0] for model in facts["models"]] == ["stemwright-12"]
    check_sum(facts, song)
    notes = " ".join(facts["notes"])
    assert "stemwright-12 is used in place of bs-roformer-leap-xe-vocals" in notes
    assert "'lead and backing' was skipped" in notes


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("cut", "checkpoint"),
        ("other architecture", "is missing"),
        ("wrong shape", "has shape"),
        ("unknown labels", "--stem"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_when_it_is_added(tmp_path: Path, harm: str, said: str) -> None:
    pair = msst_pair(
        tmp_path, "bs_roformer", labels=("kick", "snare") if harm == "unknown labels" else ("vocals", "other")
    )
    config, checkpoint = pair.config, pair.checkpoint
    if harm == "cut":
        checkpoint.write_bytes(checkpoint.read_bytes()[:2000])
    elif harm == "other architecture":
        checkpoint = msst_pair(tmp_path, "scnet").checkpoint
    elif harm == "wrong shape":
        config.write_text(config.read_text().replace("dim: 16", "dim: 24"))
    done = command("models", "add", "--name", "bad", "--config", config, "--checkpoint", checkpoint, code=4)
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert "bad" not in command("models", "list").out


def test_what_the_fixture_makes_is_what_people_publish() -> None:
    assert set(msst_config("bs_roformer")) == {"audio", "model", "training", "inference"}
