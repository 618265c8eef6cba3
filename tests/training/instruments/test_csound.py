import numpy as np
import pytest

from training.compose.note import Note
from training.instruments import csound
from training.instruments.csound import MODELS, SAMPLE_RATE_HZ, Model

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(not csound.installed(), reason="Debian's csound and csound-plugins are not installed"),
]

STEP_S, NOTE_S = 0.9, 0.8


def cents_off(sound: np.ndarray, frequency_hz: float) -> float:
    """How far the period of a sound is from that of a pitch, whatever the octave."""
    sound = sound - sound.mean()
    spectrum = np.fft.rfft(sound, 2 * len(sound))
    alike = np.fft.irfft(np.abs(spectrum) ** 2)
    first, last = (int(SAMPLE_RATE_HZ / frequency_hz * factor) for factor in (0.45, 2.3))
    lag = first + int(np.argmax(alike[first:last]))
    before, at, after = alike[lag - 1 : lag + 2]
    period = lag + 0.5 * (before - after) / (before - 2 * at + after)
    cents = 1200 * np.log2(SAMPLE_RATE_HZ / period / frequency_hz)
    return float((cents + 600) % 1200 - 600)


@pytest.mark.parametrize(
    "model", [pytest.param(model, id=model.code.split("\n")[-1].split()[1]) for of in MODELS.values() for model in of]
)
def test_models_are_in_tune_and_heard_over_their_range(model: Model) -> None:
    pitches = list(range(model.lowest, model.highest + 1, 7))
    notes = [Note(STEP_S * index, NOTE_S, pitch, 90) for index, pitch in enumerate(pitches)]
    audio = csound.play(notes, [model], STEP_S * len(pitches), np.random.default_rng(5))
    assert audio.shape == (2, round(STEP_S * len(pitches) * SAMPLE_RATE_HZ)) and np.isfinite(audio).all()
    off = []
    for index, pitch in enumerate(pitches):
        start = round((STEP_S * index + 0.2) * SAMPLE_RATE_HZ)
        segment = audio[0, start : start + SAMPLE_RATE_HZ // 2]
        assert np.sqrt(np.mean(segment**2)) > 1e-4, f"silent at {pitch}"
        off.append(abs(cents_off(segment, 440 * 2 ** ((pitch - 69) / 12))))
    assert np.median(off) < 35 and max(off) < 90


def test_notes_beyond_a_range_are_moved_by_octaves() -> None:
    (model,) = MODELS["organ"]
    high, low = (
        csound.play([Note(0, 0.7, pitch, 90)], [model], 0.8, np.random.default_rng(1)) for pitch in (103, 91 - 12)
    )
    assert abs(cents_off(high[0, 4000:30000], 440 * 2 ** ((79 - 69) / 12))) < 20
    assert np.abs(high - low).max() < 1e-6


def test_an_error_of_csound_is_told() -> None:
    with pytest.raises(RuntimeError, match="csound ended with"):
        csound.play([Note(0, 0.5, 60, 90)], [Model("a1 nosuchmodel ifrq", (), 40, 80)], 1.0, np.random.default_rng(1))
