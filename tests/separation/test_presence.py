from __future__ import annotations

import numpy as np
import pytest

from stemwright.separation.presence import Presence, level_rows, score_presence


def judged(part_energy: np.ndarray, mix_energy: np.ndarray) -> Presence:
    return score_presence(level_rows(part_energy, mix_energy, 10))


def test_level_rows_sum_segments_and_keep_a_shorter_last_one() -> None:
    rows = level_rows(np.full((25, 2), 0.5), np.ones(25), 10)
    np.testing.assert_array_equal(rows, [[10, 10, 5, 5], [10, 10, 5, 5], [5, 5, 2.5, 2.5]])


def test_a_part_that_leaks_is_absent_and_one_that_plays_is_present() -> None:
    mix = np.ones(1000)
    presence = judged(np.outer(mix, [0.9, 1e-7]), mix)
    assert presence.present == (True, False)
    assert presence.scores[0] > 0.98
    assert presence.scores[1] < 0.02


def test_a_part_that_plays_for_a_tenth_of_the_song_is_present() -> None:
    mix = np.ones(1000)
    parts = np.outer(mix, [1.0, 1e-7])
    parts[400:500, 1] = 0.3
    assert judged(parts, mix).present == (True, True)


def test_what_sounds_in_a_silent_stretch_does_not_count() -> None:
    mix = np.ones(1000)
    mix[500:] = 1e-9
    parts = np.outer(mix, [1.0, 1e-7])
    parts[500:, 1] = mix[500:]
    assert judged(parts, mix).present == (True, False)


def test_in_silence_nothing_is_present() -> None:
    assert judged(np.zeros((100, 3)), np.zeros(100)).present == (False, False, False)


@pytest.mark.parametrize("n_parts", [2, 12])
def test_what_nobody_claims_is_the_rest(n_parts: int) -> None:
    mix = np.ones(100)
    presence = judged(np.outer(mix, [1e-7] * n_parts), mix)
    assert presence.present == (*[False] * (n_parts - 1), True)


def test_of_a_song_without_samples_nothing_is_present() -> None:
    assert score_presence(np.zeros((0, 4))).present == (False, False)
