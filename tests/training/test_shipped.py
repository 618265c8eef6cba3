"""The network in the wheel on a small song that the composer writes and this repository's own models play."""

import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.evaluation.sdr import sdr_db
from stemwright.separation.separator import Separator
from training.compose.song import compose
from training.instruments import hits, kits, plucked
from training.rendering import effects

pytestmark = pytest.mark.training

SECONDS, SEED = 12.0, 34  # rock: drums, bass and guitar are played, the rest is left out
LEVELS_DB = {"drums": -20.0, "bass": -20.0, "guitar": -26.0}

SDR_DB = {"drums": 8.55, "bass": 6.43, "guitar": 1.07}
"""What the network in the wheel scores, in dB: another network has other figures, the same one has these everywhere."""


def stems() -> dict[str, NDArray[np.float32]]:
    """Each stem at its level, ``(2, samples)``."""
    rng = np.random.default_rng(2)
    notes = {part.stem: part.notes for part in compose(SEED, SECONDS).parts}
    kit = {kind: kits.Drum((hits.strike(kind, rng),), gain=1.0, position=0.0) for kind in hits.KINDS}
    played = {
        "drums": kits.play(notes["drums"], kit, SECONDS),
        "bass": plucked.play(notes["bass"], plucked.electric_bass(rng), SECONDS, rng),
        "guitar": plucked.play(notes["guitar"], plucked.acoustic_guitar(rng), SECONDS, rng),
    }
    return {stem: effects.level(audio, LEVELS_DB[stem]) for stem, audio in played.items()}


def test_the_network_in_the_wheel_scores_what_it_did() -> None:
    true = stems()
    made = Separator().separate(np.sum(list(true.values()), axis=0), effects.SAMPLE_RATE_HZ)
    assert {stem: sdr_db(audio, made[stem]) for stem, audio in true.items()} == pytest.approx(SDR_DB, abs=0.1)
