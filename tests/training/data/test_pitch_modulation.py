import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import hilbert

from training.data.features import SAMPLE_RATE_HZ
from training.data.pitch_modulation import PitchBend, PitchModulation, modulate_pitch

pytestmark = pytest.mark.training

SECONDS = 2.0
SAMPLES = round(SECONDS * SAMPLE_RATE_HZ)
STILL = PitchModulation(0.0, 5.0, 0.3, ())


def tone(hz: float) -> torch.Tensor:
    wave = np.sin(2 * np.pi * hz * np.arange(SAMPLES) / SAMPLE_RATE_HZ).astype(np.float32)
    return torch.from_numpy(np.stack([wave, 0.5 * wave]))


def cents(audio: torch.Tensor, hz: float) -> NDArray[np.float64]:
    """The pitch above ``hz`` every 6 ms, but for the ends."""
    phase = np.unwrap(np.angle(hilbert(audio[0].numpy())))
    frequency_hz = np.diff(phase) / (2 * np.pi) * SAMPLE_RATE_HZ
    smooth = np.convolve(frequency_hz, np.ones(256) / 256, "valid")[2000:-2000:256]
    return np.asarray(1200 * np.log2(smooth / hz))


def test_no_wavering_changes_nothing() -> None:
    audio = tone(440)
    assert torch.allclose(modulate_pitch(audio, STILL), audio, atol=1e-6)


def test_vibrato_moves_the_pitch_as_far_as_it_says_and_comes_and_goes() -> None:
    moved = cents(modulate_pitch(tone(440), PitchModulation(50, 5, 0.5, ())), 440)  # one swell in two seconds
    centred = moved - np.median(moved)
    assert 40 < centred.max() < 60 and -60 < centred.min() < -40
    quarter = len(centred) // 8
    assert np.abs(centred[:quarter]).max() < 25 and np.abs(centred[-quarter:]).max() < 25


def test_a_bend_goes_to_another_pitch_and_back() -> None:
    moved = cents(modulate_pitch(tone(440), PitchModulation(0, 5, 0.3, (PitchBend(0.5, 200, 0.1, 0.6),))), 440)
    assert moved.max() - moved.min() == pytest.approx(200, abs=8)
    assert abs(moved[0] - moved[-1]) < 4
    assert 0.5 < (moved - moved.min() > 190).sum() * 256 / SAMPLE_RATE_HZ < 0.8


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_channels_move_together_and_nothing_is_read_beyond_the_ends(seed: int) -> None:
    pitch_modulation = PitchModulation.draw(np.random.default_rng(seed), SECONDS)
    places = pitch_modulation.read_positions(SAMPLES)
    assert places[0] == 0 and float(places[-1]) == pytest.approx(SAMPLES - 1)
    assert bool((places.diff() > 0.7).all()) and bool((places.diff() < 1.4).all())
    moved = modulate_pitch(tone(300), pitch_modulation)
    assert moved.shape == (2, SAMPLES)
    assert torch.allclose(moved[1], 0.5 * moved[0], atol=1e-6)
    assert 0.9 < float(moved[0].abs().max()) < 1.1
