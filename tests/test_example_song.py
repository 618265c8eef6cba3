"""The example song that `make run` separates is whole, as long and as small as promised, tagged, and does not clip."""

from pathlib import Path

import av
import numpy as np
import pytest

from stemwright.audio.decode import Decoder

SONG = Path(__file__).resolve().parents[1] / "examples" / "song.mp3"


@pytest.fixture(scope="module")
def audio() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    with Decoder(SONG) as decoder:
        assert decoder.format.sample_rate == 44100
        whole = np.concatenate(list(decoder), axis=1)
        assert not decoder.notes
    return np.asarray(whole, np.float32).reshape(2, -1)


def test_it_is_about_fifty_seconds_of_stereo(audio: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    assert 40 * 44100 < audio.shape[1] < 60 * 44100
    left, right = audio
    assert np.corrcoef(left, right)[0, 1] < 0.99


def test_it_is_small() -> None:
    assert SONG.stat().st_size < 1_500_000


def test_it_is_loud_and_does_not_clip(audio: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    peak = float(np.abs(audio).max())
    assert 0.7 < peak < 0.99
    # A clipped wave stays at its peak for samples on end.
    at_peak = (np.abs(audio) > 0.999 * peak).sum(axis=1)
    assert at_peak.max() < 10


def test_every_second_sounds_until_the_end(audio: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    seconds = audio.shape[1] // 44100
    # (2, seconds, 44100) -> (seconds,)
    level = (audio[:, : seconds * 44100].reshape(2, seconds, 44100) ** 2).mean(axis=(0, 2))
    assert np.all(level[:-2] > 1e-5)
    assert np.abs(audio[:, -441:]).max() < 0.01


def test_it_is_tagged() -> None:
    with av.open(str(SONG)) as container:
        tags = container.metadata
    assert tags["title"] == "Lanterns on the Water"
    assert tags["artist"] == "Stemwright"
    assert "CC0" in tags["comment"]
