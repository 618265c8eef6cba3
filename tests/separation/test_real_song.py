"""The network in the wheel on real recordings with true stems."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.separation.options import Options
from stemwright.separation.separator import Separator

EVAL_DIR = os.environ.get("STEMWRIGHT_EVAL_DIR")
pytestmark = pytest.mark.skipif(EVAL_DIR is None, reason="STEMWRIGHT_EVAL_DIR names no folder of real songs")


@pytest.fixture(scope="module")
def separator() -> Separator:
    return Separator()


def true_stems(song: str) -> dict[str, np.ndarray]:
    assert EVAL_DIR is not None
    files = sorted((Path(EVAL_DIR) / song).glob("*.flac"))
    return {file.stem: soundfile.read(file, dtype="float32")[0].T for file in files}


def sdr_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    return float(10 * np.log10((reference**2).sum() / ((reference - estimate) ** 2).sum()))


@pytest.mark.parametrize(
    ("song", "stem", "least_db"),
    [("mir1k_titon_3_02", "vocals", 4.0), ("hardikj_song", "vocals", 1.5), ("nov2", "bass", 3.0)],
)
def test_a_stem_of_a_real_song_is_found(separator: Separator, song: str, stem: str, least_db: float) -> None:
    """Silence would score 0 dB, and the mix as estimate far less."""
    stems = true_stems(song)
    mix = np.sum(list(stems.values()), axis=0)
    made = separator.separate(mix, 44_100)
    assert sdr_db(stems[stem], made[stem]) > least_db


def test_a_real_song_in_mp3_comes_back_aligned_and_whole(separator: Separator, tmp_path: Path) -> None:
    """Through the whole chain: the stems of an MP3 add up to what the MP3 decodes to, without an offset."""
    from stemwright.audio.encode import Encoder, Tags
    from stemwright.audio.formats import OutputFormat

    mix = np.sum(list(true_stems("popband").values()), axis=0)
    mp3 = OutputFormat(name="mp3", extension="mp3", bit_depth=None, bitrate_kbps=192, lossless=False)
    song = tmp_path / "song.mp3"
    with Encoder(song, mp3, sample_rate=44_100, channels=2, tags=Tags(None, None, None, "mix")) as encoder:
        encoder.write(mix)
    result = separator.separate_file(song, Options(stems="twelve", out=tmp_path / "out", bit_depth=24))
    assert result.samples == mix.shape[1]
    assert result.residual_db is not None
    assert result.residual_db < -90
    total = sum(soundfile.read(stem.path, dtype="float64")[0].T for stem in result.stems) / 10 ** (result.gain_db / 20)
    window = total[0, 100_000:140_000]
    lags = np.correlate(mix[0, 99_900:140_100].astype(np.float64), window, "valid")
    assert int(lags.argmax()) - 100 == 0
    assert sdr_db(mix, total) > 10
