import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from training import round as rounds
from training.checkpoints import shards
from training.checkpoints.checkpoint import Checkpoint
from training.network.unet import NetworkShape, UNet
from training.rendering import background

pytestmark = pytest.mark.training

TINY = replace(NetworkShape(), widths=(8, 8, 8, 8, 8, 8))


def write_song(folder: Path, stems: tuple[str, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for stem in stems:
        soundfile.write(folder / f"{stem}.flac", rng.normal(0, 0.1, (88_200, 2)), 44_100, subtype="PCM_16")


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a corpus, a checkpoint and recordings to evaluate on, which a test names where it wants them."""
    monkeypatch.delenv("STEMWRIGHT_EVAL_DIR", raising=False)  # else each round scores the real songs for minutes
    for number in (0, 1, 3):  # by the checksum of its name, song-0 is held out
        write_song(tmp_path / "corpus" / f"song-{number}", ("vocals", "drums", "bass"), number)
    write_song(tmp_path / "recordings" / "real", ("vocals", "drums"), 7)
    shards.save(checkpoint(), tmp_path / "checkpoints")
    return tmp_path


def checkpoint(seed: int = 1) -> Checkpoint:
    torch.manual_seed(seed)
    network = UNet(TINY)
    with torch.no_grad():
        network.prior[-2:] += 4  # all sounds like effects, which is soon unlearned
    state = network.state_dict()
    return Checkpoint(TINY, state, state, {"state": {}}, step=500, minutes=9.0, audio_s=7200.0)


def arguments(room: Path, *more: str, minutes: float = 0.03) -> list[str]:
    named = ["--corpus", str(room / "corpus"), "--checkpoints", str(room / "checkpoints"), "--run", str(room / "run")]
    fixed = ["--log", str(room / "log.csv"), "--device", "cpu", "--batch", "2", "--frames", "128", "--no-compile"]
    return ["--minutes", str(minutes), *named, *fixed, "--memory-gb", "0.01", *more]


def gpu_round(room: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "OUT": str(room / "out"),
        "PYTHON": sys.executable,
        "STEMWRIGHT_ROUND_HOME": str(room / "home"),
        "STEMWRIGHT_ROUND_WORK": str(room),
        "STEMWRIGHT_ROUND_COPY_S": "1",
    }
    environment.pop("STEMWRIGHT_EVAL_DIR", None)
    command = [str(Path(rounds.__file__).parents[1] / "scripts" / "gpu-round"), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


@pytest.mark.long
def test_a_round_in_a_call_leaves_its_checkpoint_and_the_next_call_continues_it(room: Path) -> None:
    options = arguments(room)
    cut = [options.index(name) for name in ("--corpus", "--run", "--log")]  # the script names these
    options = [
        word for number, word in enumerate(options) if number not in {at + side for at in cut for side in (0, 1)}
    ]
    done = gpu_round(room, "train", *options)
    assert done.returncode == 0, done.stderr
    first = shards.load(room / "out" / "pieces")
    assert first is not None and first.shape == TINY and first.step > 500
    assert (room / "out" / "log.csv").exists()
    longer = [*options]
    longer[longer.index("--minutes") + 1] = "0.3"
    done = gpu_round(room, "train", *longer)
    assert done.returncode == 0, done.stderr
    second = shards.load(room / "out" / "pieces")
    assert second is not None and second.step > first.step
    assert json.loads((room / "run" / "start.json").read_text())["minutes"] == 9.0  # one round, in two calls


def test_a_round_in_a_call_says_what_it_needs(room: Path) -> None:
    assert gpu_round(room).returncode == 2
    failed = gpu_round(
        room, "train", "--minutes", "1", "--checkpoints", str(room / "checkpoints"), "--shape", "nothing"
    )
    assert failed.returncode == 2 and "invalid choice: 'nothing'" in failed.stderr


def rows(room: Path) -> list[dict[str, str]]:
    with (room / "log.csv").open(newline="") as log:
        return list(csv.DictReader(log))


def test_a_checkpoint_comes_back_from_its_pieces(tmp_path: Path) -> None:
    first, second = checkpoint(1), checkpoint(2)
    written = shards.save(first, tmp_path, max_bytes=50_000)
    assert len(written) > 3 and all(path.stat().st_size <= 50_000 for path in written)
    shards.save(second, tmp_path, max_bytes=50_000)
    loaded = shards.load(tmp_path)
    assert loaded is not None and not any(path.exists() for path in written[:-1])
    assert (loaded.shape, loaded.step, loaded.minutes, loaded.audio_s) == (TINY, 500, 9.0, 7200.0)
    assert loaded.optimiser == {}  # a run from there begins with a fresh one
    for name, value in second.average.items():
        assert loaded.average[name].dtype == value.dtype
        assert torch.allclose(loaded.average[name].float(), value.float(), atol=1e-3), name


def test_no_checkpoint_and_a_broken_one_are_told_apart(tmp_path: Path) -> None:
    assert shards.load(tmp_path) is None
    piece, *_ = shards.save(checkpoint(), tmp_path, max_bytes=50_000)
    kept = piece.read_bytes()
    piece.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    with pytest.raises(shards.DamagedError, match="damaged"):
        shards.load(tmp_path)
    piece.unlink()
    with pytest.raises(shards.DamagedError, match=piece.name):
        shards.load(tmp_path)


def test_a_round_learns_keeps_what_is_better_and_says_so(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_EVAL_DIR", str(room / "recordings"))
    write_song(room / "games" / "lake", ("strings", "not-vocals-backing_vocals-strings"), 7)
    beside = ("--recordings", str(room / "games"))
    rounds.main(arguments(room, "--learning-rate", "0.2", "--out", str(room / "out"), *beside))
    (row,) = rows(room)
    assert (row["songs"], row["held_out_songs"], row["kept"]) == ("3", "1", "yes")
    assert float(row["held_out_loss"]) < float(row["held_out_loss_before"])
    assert float(row["minutes"]) > 0 and float(row["audio_hours_in_all"]) >= 2
    assert row["vocals"] and row["drums"] and not row["guitar"]
    kept = shards.load(room / "out")
    assert kept is not None and kept.step > 500 and kept.minutes > 9 and kept.audio_s > 7200
    # On a machine that is taken away, the run's own pieces are what is left.
    left = shards.load(room / "run" / "pieces")
    assert left is not None and left.step == kept.step
    old = shards.load(room / "checkpoints")
    assert old is not None and old.step == 500


@pytest.mark.long
def test_a_killed_round_goes_on_and_what_is_worse_is_not_kept(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds.main(arguments(room, "--learning-rate", "0.2"))
    begun = json.loads((room / "run" / "start.json").read_text())
    first = Checkpoint.load(room / "run" / "checkpoint.pt")
    assert begun["minutes"] == 9.0 and first.step > 500 and first.optimiser
    longer = first.minutes - 9 + 0.03  # however long its last step took
    rounds.main(arguments(room, "--resume", minutes=longer))
    second = Checkpoint.load(room / "run" / "checkpoint.pt")
    assert second.step > first.step and 9 + longer <= second.minutes < 9.5 + longer
    assert json.loads((room / "run" / "start.json").read_text()) == begun
    before = shards.load(room / "checkpoints")
    losses = iter((3.0, 3.5))
    monkeypatch.setattr(rounds, "mean_loss", lambda *_: next(losses))
    rounds.main(arguments(room))
    assert rows(room)[-1]["kept"] == "no"
    after = shards.load(room / "checkpoints")
    assert before is not None and after is not None and after.step == before.step


def test_another_shape_begins_from_nothing(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(TINY, widths=(8, 16, 8, 8, 8, 8))
    monkeypatch.setitem(rounds.SHAPES, "wide", other)
    rounds.main(arguments(room, "--shape", "wide", "--out", str(room / "out"), minutes=0.01))
    stored = Checkpoint.load(room / "run" / "checkpoint.pt")
    assert stored.shape == other and 0 < stored.step < 500 and stored.minutes < 1


@pytest.mark.long
def test_songs_are_rendered_while_it_trains(room: Path) -> None:
    """These two are there already, so that nothing has to sound; the process that finds them is the real one."""
    for seed in (40, 41):
        write_song(room / "corpus" / f"rock-{seed:06d}", ("guitar",), seed)
        (room / "corpus" / f"rock-{seed:06d}" / "song.json").write_text('{"singing": {}}')
    rounds.main(arguments(room, "--songs", "2", "--first", "40", "--render-workers", "1", minutes=0.01))
    text = (room / "run" / "rendering.log").read_text()
    assert "rock-000040 is there" in text and "rock-000041 is there" in text
    assert rows(room)[0]["songs"] == "4"


def test_rendering_that_is_not_over_ends_with_its_round(tmp_path: Path) -> None:
    with background.render_in_background(tmp_path / "corpus", 0, 10**6, 1, tmp_path / "log") as songs:
        assert songs.running and songs.failure_message() is None
    assert not songs.running


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--corpus", "nothing"), "--songs to render"),
        (("--frames", "100"), "multiple of 64"),
        (("--recordings", "not_found_message"), "scripts/recordings not_found_message makes one"),
        (("--resume",), "leave out --resume"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    room: Path,
    more: tuple[str, ...],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(room)
    with pytest.raises(SystemExit):
        rounds.main(arguments(room, *more))
    assert sentence in capsys.readouterr().err


def test_a_run_goes_on_from_the_checkpoint_that_is_kept(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--checkpoints", str(room / "checkpoints"), "--run", str(room / "next")]
    shards.main(named)
    begun = Checkpoint.load(room / "next" / "checkpoint.pt")
    assert (begun.step, begun.minutes) == (500, 9.0) and "2.0 h" in capsys.readouterr().out
    shards.main([*named[:3], str(room / "fresh"), "--from-zero"])
    fresh = Checkpoint.load(room / "fresh" / "checkpoint.pt")
    assert (fresh.step, fresh.minutes, fresh.audio_s) == (0, 0.0, 0.0) and "0.0 minutes" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        shards.main(named)
    assert "another folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        shards.main(["--checkpoints", str(room), "--run", str(room / "other")])
    assert "no checkpoint" in capsys.readouterr().err


def test_the_checkpoint_of_the_repository_is_whole() -> None:
    kept = shards.load(rounds.TRAINING / "checkpoints" / "kept")
    assert kept is not None and kept.shape.design == "short-instance-split" and kept.step > 0
    assert kept.averaged_network()(torch.zeros(1, 4, 384, 64)).isfinite().all()
