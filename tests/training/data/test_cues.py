"""What networks of trials see beside powers: each cue measures what it says, on sounds whose answer is known."""

import math

import pytest
import torch
from torch import Tensor

from stemwright.models.bands import BANDS_384
from training.data import features
from training.data.augmentation import MixPart, MixPlan
from training.data.cues import CUES, NO_CUE, network_input
from training.data.spectrogram import Batch, fill_batch

pytestmark = pytest.mark.training

FRAMES, FRAME = 24, 12
BIN_HZ = features.SAMPLE_RATE_HZ / features.N_FFT


def tone(hz: float, turn: float = 0.0) -> Tensor:
    """Spectra ``(1, 2, frames, bins)`` of a tone, the right channel ahead by an angle."""
    time_s = torch.arange(features.frames_to_samples(FRAMES), dtype=torch.float64) / features.SAMPLE_RATE_HZ
    audio = torch.stack([torch.cos(2 * torch.pi * hz * time_s), torch.cos(2 * torch.pi * hz * time_s + turn)])
    return features.spectrum(audio.float())[None]


def click(offset: int) -> Tensor:
    """Spectra of one sample, so far behind the centre of frame ``FRAME``."""
    audio = torch.zeros(2, features.frames_to_samples(FRAMES))
    audio[:, FRAME * features.HOP + features.N_FFT // 2 + offset] = 1
    return features.spectrum(audio)[None]


def noise(seed: int = 3) -> Tensor:
    audio = torch.randn(2, features.frames_to_samples(FRAMES), generator=torch.Generator().manual_seed(seed))
    return features.spectrum(0.1 * audio)[None]


@pytest.mark.parametrize("name", CUES)
@pytest.mark.parametrize("spectra", [tone(700), noise(), torch.zeros_like(noise())], ids=["tone", "noise", "silence"])
def test_planes_are_finite_and_small(name: str, spectra: Tensor) -> None:
    planes = CUES[name].of(spectra)
    assert planes.shape == (1, CUES[name].planes, BANDS_384.n_bands, FRAMES)
    assert planes.isfinite().all()
    assert (planes.abs() < 4).all()


@pytest.mark.parametrize("bins_off", [-0.3, 0.0, 0.4])
def test_instantaneous_frequency_is_that_of_the_tone(bins_off: float) -> None:
    band = 60  # a single bin
    cosine, sine, *_ = CUES["phase"].of(tone((band + bins_off) * BIN_HZ))[0, :, band, FRAME]
    turn = 2 * math.pi * features.HOP / features.N_FFT * bins_off
    assert (float(cosine), float(sine)) == pytest.approx((math.cos(turn), math.sin(turn)), abs=0.02)


@pytest.mark.parametrize("offset", [-300, 0, 200])
def test_group_delay_is_that_of_the_click(offset: int) -> None:
    cosine, sine = CUES["phase"].of(click(offset))[0, 2:, 100:, FRAME]
    turn = -2 * math.pi * offset / features.N_FFT
    torch.testing.assert_close(cosine, torch.full_like(cosine, math.cos(turn)), atol=0.01, rtol=0)
    torch.testing.assert_close(sine, torch.full_like(sine, math.sin(turn)), atol=0.01, rtol=0)


@pytest.mark.parametrize(("offset", "loudest"), [(-384, 0), (-128, 1), (128, 2), (384, 3)])
def test_short_windows_tell_where_in_the_frame_a_click_is(offset: int, loudest: int) -> None:
    levels = CUES["short-windows"].of(click(offset))[0, :, :, FRAME]
    assert (levels.argmax(0) == loudest).all()


@pytest.mark.parametrize("turn", [0.0, 1.0, -2.0])
def test_channels_tell_the_angle_between_left_and_right(turn: float) -> None:
    real, imaginary = CUES["channels"].of(tone(60 * BIN_HZ, turn))[0, :, 60, FRAME]
    assert (float(real), float(imaginary)) == pytest.approx((math.cos(turn), -math.sin(turn)), abs=0.01)


def test_channels_that_have_nothing_in_common_are_not_coherent() -> None:
    coherence = CUES["channels"].of(noise())[0].square().sum(0).sqrt()
    assert float(coherence[300:].mean()) < 0.3  # wide bands, over five frames


def test_tones_are_not_flat_along_bins_and_clicks_not_along_frames() -> None:
    of_noise = CUES["tonality"].of(noise())[0].mean((1, 2))
    of_tone = CUES["tonality"].of(tone(60 * BIN_HZ))[0, :, 60, FRAME]
    of_click = CUES["tonality"].of(click(0))[0, :, 60, FRAME]
    assert float(of_tone[0]) < float(of_noise[0]) - 0.3 and float(of_tone[1]) == pytest.approx(0, abs=0.01)
    assert float(of_click[1]) < float(of_noise[1]) - 0.3 and float(of_click[0]) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("name", CUES)
def test_a_batch_has_the_same_input_as_a_song(name: str) -> None:
    samples = features.frames_to_samples(FRAMES)
    audio = 0.1 * torch.randn(1, 2, samples, generator=torch.Generator().manual_seed(7))
    part = MixPart("song", "guitar", 0, samples, False, 1.0, 0.0, None, 1.0)
    batch = Batch.empty(1, FRAMES, cue=CUES[name])
    fill_batch(audio, [MixPlan((part,), False, 1.0, 1.0, None, 0.0)], batch, CUES[name])
    torch.testing.assert_close(batch.seen[0], network_input(features.spectrum(audio[0]), name))


def test_without_a_cue_the_input_is_the_powers() -> None:
    assert NO_CUE.of(noise()).shape[1] == 0
    assert torch.equal(network_input(noise()[0], "none"), features.features(features.planes(noise()[0])))
