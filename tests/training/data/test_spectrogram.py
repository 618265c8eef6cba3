import pytest
import torch
from torch import Tensor

from stemwright.models.bands import BANDS_384
from stemwright.stems import STEMS
from training.data import features
from training.data.augmentation import MixPart, MixPlan, Reverb
from training.data.spectrogram import Batch, add_reverb, fill_batch, shape_transients

pytestmark = pytest.mark.training

FRAMES = 128


def strokes(every: int = 16) -> Tensor:
    """Steady noise ``(2, frames, bins)`` with a stroke now and then."""
    rng = torch.Generator().manual_seed(1)
    spectra = torch.randn(2, FRAMES, 2049, generator=rng, dtype=torch.complex64)
    spectra[:, ::every] *= 4
    return spectra


def height_db(spectra: Tensor, bins: slice, every: int = 16) -> float:
    """Energy of a stroke over that of a frame between two."""
    energy = spectra[..., bins].abs().square().sum((0, 2))
    return float(10 * (energy[::every].mean() / energy[every // 2 :: every].mean()).log10())


@pytest.mark.parametrize(("power", "less", "more"), [(0.5, 14.0, 22.0), (-0.5, 3.0, 9.5), (0.0, 11.0, 13.0)])
def test_strokes_stand_out_or_sink_in(power: float, less: float, more: float) -> None:
    before, spectra = strokes(), strokes()
    shape_transients(spectra, (power, power, power))
    assert less < height_db(spectra, slice(0, 2049)) < more
    energies = [float(each.abs().square().sum()) for each in (before, spectra)]
    assert energies[1] == pytest.approx(energies[0], rel=1e-3)


def test_lows_mids_and_highs_are_shaped_apart() -> None:
    spectra = strokes()
    shape_transients(spectra, (0.5, 0.0, -0.5))
    low, middle, high = (height_db(spectra, bins) for bins in (slice(0, 23), slice(24, 232), slice(233, 2049)))
    assert low > middle + 2 > high + 4


def test_silence_stays_silence() -> None:
    spectra = torch.zeros(2, FRAMES, 2049, dtype=torch.complex64)
    shape_transients(spectra, (0.6, 0.6, 0.6))
    add_reverb(spectra, Reverb(-6, 1.0), seed=3)
    assert not spectra.abs().any()


@pytest.mark.parametrize("decay_s", [0.3, 1.2])
def test_a_tail_falls_by_60_db_in_its_time_and_faster_above(decay_s: float) -> None:
    spectra = torch.zeros(2, FRAMES, 2049, dtype=torch.complex64)
    spectra[:, 0] = 1
    add_reverb(spectra, Reverb(-6, decay_s), seed=3)
    level_db = 20 * spectra[0].abs().clamp_min(1e-12).log10()  # (frames, bins)
    frame_s = features.HOP / features.SAMPLE_RATE_HZ
    first, last = 1, 1 + round(decay_s / 3 / frame_s)
    fallen_db = level_db[first] - level_db[last]
    assert float(fallen_db[5]) == pytest.approx(60 * (last - first) * frame_s / decay_s, rel=0.02)
    assert float(fallen_db[2000]) > 1.8 * float(fallen_db[5])
    assert torch.equal(spectra[0], spectra[1])  # mono stays mono
    assert float(spectra[:, 0].abs().max()) == 1  # what is heard itself stays as it is


def test_a_steady_sound_gets_a_tail_of_the_level_that_is_named() -> None:
    rng = torch.Generator().manual_seed(2)
    dry = torch.randn(2, 512, 2049, generator=rng, dtype=torch.complex64)
    wet = dry.clone()
    add_reverb(wet, Reverb(-10, 0.5), seed=4)
    tail = (wet - dry)[:, 64:, :200]
    assert float(10 * (tail.abs().square().mean() / dry.abs().square().mean()).log10()) == pytest.approx(-10, abs=1)


def test_a_codec_leaves_holes_above_and_stems_share_the_loss() -> None:
    time = torch.arange(features.frames_to_samples(64)) / features.SAMPLE_RATE_HZ
    rng = torch.Generator().manual_seed(5)
    tone = 0.2 * torch.sin(2 * torch.pi * 5000 * time)
    noise = 0.002 * torch.randn(len(time), generator=rng)
    audio = torch.stack([torch.stack([tone, tone]), torch.stack([noise, noise])])  # (parts, 2, samples)
    parts = tuple(MixPart("song", stem, 0, len(time), False, 1.0, 0.0, None, 1.0) for stem in ("synth", "fx"))
    plain, coded = (MixPlan(parts, False, 1.0, 1.0, None, 0.0, codec_db) for codec_db in (None, 12.0))
    batches = []
    for plan in (plain, coded):
        batches.append(Batch.empty(1, 64))
        fill_batch(audio, [plan], batches[-1])
    before, after = batches
    bands = (BANDS_384.widths.cumsum() - BANDS_384.widths) * features.SAMPLE_RATE_HZ / features.N_FFT
    low = torch.from_numpy(bands < 1400)
    near = torch.from_numpy((bands > 4800) & (bands < 4910))  # beside the tone: the noise there is not worth a bit
    assert torch.equal(after.powers[:, :, low], before.powers[:, :, low])
    assert after.powers[0, 0, near].mean() < 0.1 * before.powers[0, 0, near].mean()
    at = int(after.powers[0, 0].mean(1).argmax())
    assert torch.allclose(after.powers[0, 0, at], before.powers[0, 0, at], rtol=0.05)
    fx = STEMS.index("fx")
    lost = after.magnitudes[0, fx, 0, near].mean() / before.magnitudes[0, fx, 0, near].mean()
    assert lost < 0.4
