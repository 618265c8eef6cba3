import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.evaluation.oracle import oracle_errors
from stemwright.evaluation.sdr import sdr_db

T = np.arange(60_000) / 44_100


def errors(stems: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate(list(oracle_errors([stems])), axis=-1)[..., : stems.shape[-1]]


def stereo(*signals: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.stack([np.stack([signal, signal]) for signal in signals]).astype(np.float32)


def oracle_sdr(stems: NDArray[np.float32]) -> list[float | None]:
    return [sdr_db(stem, stem + error) for stem, error in zip(stems, errors(stems), strict=True)]


def test_stems_apart_in_frequency_are_found_whole() -> None:
    stems = stereo(np.sin(2 * np.pi * 300 * T), np.sin(2 * np.pi * 5000 * T))
    assert min(db for db in oracle_sdr(stems) if db is not None) > 30


def test_twins_share_the_mix_evenly_and_are_found_exactly() -> None:
    noise = np.random.default_rng(0).standard_normal(T.size)
    assert min(db for db in oracle_sdr(stereo(noise, noise)) if db is not None) > 100


def test_one_stem_is_the_mix() -> None:
    noise = np.random.default_rng(0).standard_normal(T.size)
    assert np.abs(errors(stereo(noise))).max() < 1e-5


@pytest.mark.parametrize("n_stems", [2, 5])
def test_the_estimates_add_up_to_the_mix(n_stems: int) -> None:
    stems = stereo(*np.random.default_rng(1).standard_normal((n_stems, T.size)))
    assert np.abs(errors(stems).sum(axis=0)).max() < 1e-4


def test_it_is_better_than_the_mix_and_than_silence() -> None:
    rng = np.random.default_rng(2)
    stems = stereo(rng.standard_normal(T.size), 0.3 * rng.standard_normal(T.size))
    for stem, oracle in zip(stems, oracle_sdr(stems), strict=True):
        mix_db = sdr_db(stem, stems.sum(axis=0))
        assert oracle is not None and mix_db is not None
        assert oracle > max(mix_db, 0.0)


def test_silence_stays_silent() -> None:
    stems = stereo(np.zeros(T.size), np.zeros(T.size))
    assert not errors(stems).any()
