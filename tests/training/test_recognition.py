"""What a network recognises, in sums over bands: against the audio itself, and with presence given."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from stemwright.evaluation.reference_songs import find_songs
from stemwright.evaluation.sdr import sdr_db
from stemwright.stems import STEMS
from training import recognition, score
from training.checkpoints.checkpoint import Checkpoint
from training.data import features
from training.network.designs import build
from training.network.unet import NetworkShape
from training.recognition import BandedMix, Findings

RATE = features.SAMPLE_RATE_HZ
Audio = NDArray[np.float32]


def tone(hz: float, seconds: float = 1.5) -> Audio:
    wave = 0.2 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([wave, 0.5 * wave]).astype(np.float32)


def masks_for(frames: int, **parts: tuple[float, float]) -> Tensor:
    """Masks that give each stem its share of the bands below and above 64."""
    masks = torch.zeros(len(STEMS), 2, 384, frames)
    for stem, (low, high) in parts.items():
        masks[STEMS.index(stem), :, :64], masks[STEMS.index(stem), :, 64:] = low, high
    return masks


STEREO = {"bass": tone(100), "guitar": tone(2000)}


def test_sdr_follows_from_the_masks() -> None:
    mix = BandedMix.of(STEREO)
    right = masks_for(mix.powers.shape[-1], bass=(1, 0), guitar=(0, 1))
    assert min(mix.sdr_db(right).values()) > 40
    silence = torch.zeros_like(right)
    assert mix.sdr_db(silence) == pytest.approx({"bass": 0, "guitar": 0}, abs=1e-4)
    halves = masks_for(mix.powers.shape[-1], bass=(0.5, 0.5), guitar=(0.5, 0.5))
    # half of itself and half of an equally loud other one: the error has half the energy
    assert mix.sdr_db(halves) == pytest.approx({"bass": 3.01, "guitar": 3.01}, abs=0.1)


def test_it_is_near_what_the_audio_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal((2, 3 * RATE))).astype(np.float32)
    stems = {"drums": noise, "bass": tone(90, 3.0), "keyboard": tone(700, 3.0)}
    mix = BandedMix.of(stems)
    frames = mix.powers.shape[-1]
    steady = masks_for(frames, drums=(0.2, 0.7), bass=(0.8, 0), keyboard=(0, 0.3))

    class Steady(torch.nn.Module):
        def forward(self, seen: Tensor) -> Tensor:
            return masks_for(seen.shape[-1], drums=(0.2, 0.7), bass=(0.8, 0), keyboard=(0, 0.3))[None].add(1e-9).log()

    estimates = score.separate(Steady(), np.sum(list(stems.values()), axis=0, dtype=np.float32))
    for stem, found in mix.sdr_db(steady).items():
        assert found == pytest.approx(sdr_db(stems[stem], estimates[STEMS.index(stem)]), abs=0.25)


def test_ideal_masks_are_better_than_any_guess() -> None:
    mix = BandedMix.of({"drums": tone(400), "bass": tone(100), "guitar": tone(100.0, 1.5)[::-1].copy()})
    ideal = mix.ideal_masks()
    assert torch.allclose(ideal.sum(0), torch.ones(()), atol=1e-5)
    equal = torch.full_like(ideal, 1 / len(STEMS))
    assert all(mix.sdr_db(ideal)[stem] > mix.sdr_db(equal)[stem] for stem in ("drums", "bass", "guitar"))


def test_shares_add_up_and_say_where_a_stem_went() -> None:
    mix = BandedMix.of(STEREO)
    shares = mix.shares(masks_for(mix.powers.shape[-1], bass=(0.75, 0), synth=(0.25, 0.4), guitar=(0, 0.6)))
    assert shares["bass"][STEMS.index("bass")] == pytest.approx(0.75, abs=0.01)
    assert shares["guitar"][STEMS.index("synth")] == pytest.approx(0.4, abs=0.01)
    assert all(found.sum() == pytest.approx(1) for found in shares.values())


def test_given_presence_gives_the_instruments_that_play_what_absent_ones_had() -> None:
    mix = BandedMix.of(STEREO)
    given = mix.given_presence(masks_for(mix.powers.shape[-1], bass=(0.3, 0.1), guitar=(0.1, 0.3), fx=(0.6, 0.6)))
    assert float(given[STEMS.index("fx")].abs().max()) == 0
    assert float(given[STEMS.index("bass"), 0, 0, 0]) == pytest.approx(0.3)
    assert float(given[STEMS.index("guitar"), 0, 0, 0]) == pytest.approx(0.7)
    assert torch.allclose(given.sum(0), torch.ones(()))


def test_unknown_stems_count_as_they_are_only() -> None:
    mixes = [STEREO, {"vocals": tone(300), "unlabelled": tone(800)}]
    findings = recognition.measure(mixes, lambda powers: masks_for(powers.shape[-1], vocals=(1, 1)))
    counts = {name: len(found.sdr_db) for name, found in findings.items()}
    assert counts.pop(recognition.AS_THEY_ARE) == 2
    assert set(counts.values()) == {1}


def test_given_means_scale_the_estimates_to_the_truth() -> None:
    mix = BandedMix.of(STEREO)
    halves = masks_for(mix.powers.shape[-1], bass=(0.5, 0.5), guitar=(0.5, 0.5))
    spectrum = mix.given_means(halves, recognition.MEANS["true mean spectrum given"])
    assert min(mix.sdr_db(spectrum).values()) > 20  # they share no band
    level = mix.given_means(halves, recognition.MEANS["true level given"])
    assert torch.allclose(level.sum(0), torch.ones(()), atol=1e-5)
    assert mix.sdr_db(level)["bass"] == pytest.approx(3.01, abs=0.3)  # both are equally loud, and stay so


def test_means_and_medians() -> None:
    found = Findings([{"bass": 1.0, "singing": 9.0}, {"bass": 2.0, "guitar": -3.0}, {"bass": 6.0}])
    assert found.medians() == {"bass": 2.0, "singing": 9.0, "guitar": -3.0}
    assert found.mean() == pytest.approx(1.5)  # rows of stems, not of sums
    assert found.mean(recognition.RARE) == -3
    assert "mean 1.50, of the rarer stems -3.00, of all rows 3.00; medians: bass 2.00" in found.summary()


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    quiet = np.zeros((2, 4 * RATE), np.float32)
    for name, stems in {"a": {"bass": 100, "guitar": 2000}, "b": {"bass": 80}}.items():
        (tmp_path / name).mkdir()
        for stem, hz in stems.items():
            audio = quiet.copy()
            audio[:, RATE : RATE + round(1.5 * RATE)] = tone(hz)
            soundfile.write(tmp_path / name / f"{stem}.flac", audio.T, RATE)
    return tmp_path


def test_cuts_of_stems_alone_and_in_pairs(songs: Path) -> None:
    found = find_songs(songs)
    single = list(recognition.alone(found, 30.0))
    assert [list(cut) for cut in single] == [["bass"], ["guitar"], ["bass"]]
    length = features.frames_to_samples(recognition.CUT_FRAMES)
    for cut in single:
        (audio,) = cut.values()
        assert audio.shape == (2, length)
        assert np.sqrt(np.mean(audio**2)) == pytest.approx(recognition.LEVEL, rel=1e-3)
    both = list(recognition.pairs(found, 30.0, 6))
    assert len(both) == 6 and all(set(pair) == {"bass", "guitar"} for pair in both)
    assert [set(song) for song in recognition.whole_songs(found, 30.0)] == [{"bass", "guitar"}]
    assert not list(recognition.pairs(found[1:], 30.0, 6))  # nothing to pair with


def test_the_network_in_the_wheel_is_measured(
    songs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["recognition", str(songs), "--alone"])
    recognition.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line[:4] in ("bass", "guit")]
    assert [row[0] for row in rows] == ["bass", "guitar"]
    assert all(sum(map(int, row[1:])) == pytest.approx(100, abs=6) for row in rows)


@pytest.mark.long
def test_a_checkpoint_is_measured_with_its_biases(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    network = build(NetworkShape(design="small-split"))
    Checkpoint(network.shape, network.state_dict(), network.state_dict(), {}).save(tmp_path / "checkpoint.pt")
    recognised = []
    for options in (["--logit-bias", "bass=20"], ["--low-cut", "bass=20000", "--onset-prior", "0.25"]):
        command = ["recognition", str(songs), "--alone", "--checkpoint", str(tmp_path / "checkpoint.pt")]
        monkeypatch.setattr(sys, "argv", [*command, *options])
        recognition.main()
        (row,) = (line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("bass"))
        recognised.append(int(row[1 + STEMS.index("bass")]))
    assert recognised == [100, 0]
