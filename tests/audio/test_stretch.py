"""Another speed: the pitch stays, stems add up, onsets stay sharp and in place, and blocks do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.audio.stretch import Signals, stretched

RATE = 44_100


def changed(signals: Signals, speed: float = 1.0, semitones: float = 0.0, block: int = 65_536) -> Signals:
    blocks = [signals[:, :, start : start + block] for start in range(0, signals.shape[2], block)]
    return np.concatenate(list(stretched(blocks, RATE, speed=speed, semitones=semitones)), axis=2)


def music(seed: int = 0, n_signals: int = 3, seconds: float = 3) -> Signals:
    """Chords and hits in stereo."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(RATE * seconds)) / RATE
    parts = []
    for _ in range(n_signals):
        wave = sum(np.sin(2 * np.pi * hz * time + rng.uniform(0, 6)) for hz in rng.uniform(100, 3000, 5))
        hits = rng.standard_normal(len(time)) * np.exp(-20 * (time % 0.5))
        parts.append(np.stack([0.05 * wave + 0.02 * hits, 0.04 * wave - 0.03 * hits]))
    return np.array(parts, np.float32)


def decibels(signal: NDArray[np.float32], error: NDArray[np.float32]) -> float:
    return float(10 * np.log10((signal.astype(float) ** 2).sum() / ((error.astype(float) ** 2).sum() + 1e-30)))


@pytest.mark.parametrize("speed", [0.5, 0.75, 1.25, 2.0])
@pytest.mark.parametrize("semitones", [0, -3])
def test_stems_add_up_to_the_changed_song(speed: float, semitones: float) -> None:
    stems = music()
    song = stems.sum(axis=0, keepdims=True)
    output = changed(np.concatenate([stems, song]), speed, semitones)
    assert abs(output.shape[2] - stems.shape[2] / speed) <= 2
    assert decibels(output[3], output[3] - output[:3].sum(axis=0)) > 100
    np.testing.assert_allclose(changed(song, speed, semitones)[0], output[3], atol=1e-6)


def test_at_speed_1_nothing_changes() -> None:
    stems = music()
    assert decibels(stems, stems - changed(stems)) > 110


@pytest.mark.parametrize(("speed", "semitones"), [(0.5, 0), (0.8, 0), (2, 0), (1, 2), (1, -7), (1, 12), (0.75, 5)])
def test_a_tone_has_the_pitch_that_was_wanted(speed: float, semitones: float) -> None:
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE)).astype(np.float32)[None, None]
    output = changed(tone, speed, semitones)[0, 0]
    middle = output[len(output) // 4 : 3 * len(output) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 20))
    peak = int(spectrum.argmax())
    left, top, right = np.log(spectrum[peak - 1 : peak + 2])
    hz = (peak + 0.5 * (left - right) / (left - 2 * top + right)) * RATE / (1 << 20)
    assert abs(1200 * np.log2(hz / (440 * 2 ** (semitones / 12)))) < 0.1
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    peak = int(power.argmax())
    assert power.sum() - power[peak - 8 : peak + 9].sum() < 1e-4 * power.sum(), "other tones beside it"


@pytest.mark.parametrize(("speed", "most_ms"), [(1.0, 0.5), (0.75, 5), (1.25, 5), (0.5, 12)])
def test_an_onset_is_in_its_place_and_short(speed: float, most_ms: float) -> None:
    places = RATE // 2 * np.arange(1, 6)
    clicks = np.zeros((1, 1, 3 * RATE), np.float32)
    for place in places:
        clicks[0, 0, place : place + 64] = np.hanning(64)
    energy = changed(clicks, speed)[0, 0] ** 2
    for place in places[1:4]:
        around = np.arange(-6000, 6000)
        weights = energy[round(place / speed) - 6000 : round(place / speed) + 6000]
        middle = (weights * around).sum() / weights.sum()
        spread = np.sqrt((weights * (around - middle) ** 2).sum() / weights.sum())
        assert abs(middle) < 0.005 * RATE and spread < most_ms / 1000 * RATE


def test_a_stem_alone_keeps_its_stereo_and_silence_stays_silent() -> None:
    stems = music(n_signals=2)
    stems[0, 1] = 0
    output = changed(stems, 0.75)
    assert not output[0, 1].any() and output[0, 0].any()


@pytest.mark.parametrize("block", [1, 700, 10**9])
def test_blocks_do_not_matter(block: int) -> None:
    stems = music(seconds=0.3 if block == 1 else 3)
    np.testing.assert_allclose(changed(stems, 0.8, 2, block), changed(stems, 0.8, 2), atol=2e-6)
