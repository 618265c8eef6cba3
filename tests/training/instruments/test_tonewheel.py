import time
from collections.abc import Sequence

import numpy as np
import pytest

from tests.training.instruments.test_csound import cents_off
from training.compose.note import Note
from training.compose.song import Part
from training.instruments import players, tonewheel
from training.instruments.lv2 import SAMPLE_RATE_HZ

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(not tonewheel.installed(), reason="Debian's setbfree and faketime are not installed"),
]


@pytest.mark.parametrize("seed", range(6))
def test_registrations_are_heard_and_in_tune(seed: int) -> None:
    notes = [Note(0.2, 0.9, 48, 90), Note(1.3, 0.9, 67, 90)]
    audio = tonewheel.play(notes, 2.4, np.random.default_rng(seed))
    assert audio.shape == (2, round(2.4 * SAMPLE_RATE_HZ)) and np.isfinite(audio).all()
    for note in notes:
        start = round((note.start_s + 0.2) * SAMPLE_RATE_HZ)
        segment = audio[:, start : start + SAMPLE_RATE_HZ // 2].mean(0)
        assert np.sqrt(np.mean(segment**2)) > 1e-3
        assert abs(cents_off(segment, 440 * 2 ** ((note.pitch - 69) / 12))) < 40


def test_notes_beyond_the_keys_are_moved_by_octaves() -> None:
    high, low = (tonewheel.play([Note(0.2, 0.9, pitch, 90)], 1.4, np.random.default_rng(3)) for pitch in (103, 91))
    assert np.array_equal(high, low)
    assert np.abs(high).max() > 1e-3


def test_the_loudspeaker_makes_a_stereo_sound_and_the_same_seed_the_same() -> None:
    takes = []
    for _ in range(3):
        takes.append(tonewheel.play([Note(0.2, 1.5, 60, 90)], 2.0, np.random.default_rng(5)))
        time.sleep(0.5)  # it looks at the seconds
    once, *others = takes
    assert all(np.array_equal(once, other) for other in others)
    assert np.abs(once[0] - once[1]).max() > 0.1 * np.abs(once).max()


def test_it_plays_the_organ_parts_of_songs(monkeypatch: pytest.MonkeyPatch) -> None:
    played = []

    def play(notes: Sequence[Note], duration_s: float, rng: np.random.Generator) -> np.ndarray:
        played.append(notes)
        return np.zeros((2, round(duration_s * SAMPLE_RATE_HZ)), np.float32)

    monkeypatch.setattr(tonewheel, "play", play)
    part = Part("keyboard", "organ", (Note(0.1, 0.5, 60, 90),))
    for seed in range(40):
        players.play(part, 1.0, np.random.default_rng(seed))
    assert 4 < len(played) < 24
