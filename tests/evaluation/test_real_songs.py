import os
from pathlib import Path

import pytest

from stemwright.evaluation.reference_songs import find_songs
from stemwright.evaluation.scores import score_song

FOLDER = os.environ.get("STEMWRIGHT_EVAL_DIR")

pytestmark = pytest.mark.skipif(not FOLDER, reason="STEMWRIGHT_EVAL_DIR names no real songs with true stems")

# dB of the mix as estimate and of the oracle, measured once by another implementation (PyTorch's STFT)
KNOWN: dict[str, dict[str, tuple[float, float]]] = {
    "popband": {"bass": (2.56, 11.18), "drums": (-5.76, 7.15), "guitar": (-13.22, 2.74), "keyboard": (-9.06, 5.34)},
    "masaki_loop": {"bass": (-3.15, 7.93), "drums": (-7.75, 5.27), "synth": (0.73, 12.69)},
    "mir1k_leon_7_13": {"unlabelled": (-0.00, 10.82), "vocals": (0.00, 10.82)},
}


@pytest.mark.parametrize("name", KNOWN)
def test_mix_and_oracle_of_real_recordings(name: str) -> None:
    (song,) = find_songs(Path(FOLDER or "") / name)
    files = {"residual" if stem == "unlabelled" else stem: path for stem, path in song.stems.items()}
    scores = {score.name: score for score in score_song(song, files).scores}
    for stem, (mix_db, oracle_db) in KNOWN[name].items():
        assert scores[stem].mix_db == pytest.approx(mix_db, abs=0.05)
        assert scores[stem].oracle_db == pytest.approx(oracle_db, abs=0.05)
