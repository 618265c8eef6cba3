"""The network in the wheel on a small song that the composer writes and this repository's own models play."""

import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.evaluation.sdr import sdr_db
from stemwright.separation.separator import Separator
from training.compose.note import Note
from training.compose.song import compose
from training.instruments import hits, plucked

pytestmark = pytest.mark.training

RATE, SECONDS, SEED = 44_100, 12.0, 34  # rock: drums, bass and guitar are played, the rest is left out
KINDS = {
    35: "kick",
    36: "kick",
    38: "snare",
    40: "snare",
    42: "hat",
    44: "hat",
    46: "open_hat",
    49: "crash",
    51: "ride",
}
LEVELS_DB = {"drums": -20.0, "bass": -20.0, "guitar": -26.0}

SDR_DB = {"drums": 5.28, "bass": 4.67, "guitar": 1.78}
"""What the network in the wheel scores, in dB: another network has other figures, the same one has these everywhere."""


def beat(notes: tuple[Note, ...]) -> NDArray[np.float32]:
    """``(2, samples)`` of drums, every stroke of a kind alike."""
    rng = np.random.default_rng(1)
    sounds = {kind: hits.strike(kind, rng) for kind in sorted({*KINDS.values(), "tom"})}
    audio = np.zeros((2, round(SECONDS * RATE)), np.float32)
    for note in notes:
        start = round(note.start_s * RATE)
        sound = sounds[KINDS.get(note.pitch, "tom")][:, : audio.shape[1] - start]
        audio[:, start : start + sound.shape[1]] += sound * np.float32(note.velocity / 127)
    return audio


def stems() -> dict[str, NDArray[np.float32]]:
    """Each stem at its level."""
    rng = np.random.default_rng(2)
    notes = {part.stem: part.notes for part in compose(SEED, SECONDS).parts}
    played = {
        "drums": beat(notes["drums"]),
        "bass": plucked.play(notes["bass"], plucked.electric_bass(rng), SECONDS, rng),
        "guitar": plucked.play(notes["guitar"], plucked.acoustic_guitar(rng), SECONDS, rng),
    }
    return {
        stem: audio * np.float32(10 ** (LEVELS_DB[stem] / 20) / np.sqrt(np.mean(audio**2)))
        for stem, audio in played.items()
    }


def test_the_network_in_the_wheel_scores_what_it_did() -> None:
    true = stems()
    made = Separator().separate(np.sum(list(true.values()), axis=0), RATE)
    assert {stem: sdr_db(audio, made[stem]) for stem, audio in true.items()} == pytest.approx(SDR_DB, abs=0.1)
