"""Composition: theory, songs, and what they are made of. Nothing sounds here."""

import numpy as np
import pytest

from stemwright.stems import STEMS
from training.compose import arrangement
from training.compose.genres import GENRES, GUESTS
from training.compose.grooves import GROOVES, PERCUSSION
from training.compose.score import Clock
from training.compose.song import compose
from training.compose.theory import MODES, PROGRESSIONS, STANDARD_TUNING, Chord, Key, finger, harmonise, voice
from training.instruments import kits


def test_the_same_seed_gives_the_same_song() -> None:
    assert compose(11) == compose(11)
    assert compose(11) != compose(12)


def test_every_stem_is_frequent() -> None:
    songs = [compose(seed, 10.0) for seed in range(150)]
    for stem in STEMS:
        share = sum(any(part.stem == stem for part in song.parts) for song in songs) / len(songs)
        assert share > 0.2, stem


@pytest.mark.parametrize("seed", range(20))
def test_notes_lie_in_the_song_and_on_the_keyboard(seed: int) -> None:
    song = compose(seed)
    assert song.parts
    for part in song.parts:
        assert part.stem in STEMS
        for note in part.notes:
            assert 0 <= note.start_s < song.plan.duration_s
            assert note.duration_s > 0
            assert 0 <= note.pitch <= 127
            assert 1 <= note.velocity <= 127


def test_genres_name_only_what_exists() -> None:
    for genre in GENRES.values():
        assert set(genre.modes) <= set(MODES)
        assert set(genre.progressions) <= set(PROGRESSIONS)
        assert set(genre.drums) <= set(GROOVES)
        assert set(genre.percussion) <= set(PERCUSSION)
        assert {stem for stem, _, _ in (*genre.seats, *GUESTS)} <= set(STEMS)


def test_every_role_of_every_genre_can_be_written() -> None:
    rng = np.random.default_rng(0)
    plan = compose(1).plan
    lead = arrangement.lead(plan, rng)
    for genre in GENRES.values():
        for stem, role, _ in genre.seats:
            written = any(arrangement.write(plan, genre, stem, role, lead, rng) for _ in range(12))
            assert written, (stem, role)


def test_grooves_fill_their_bar() -> None:
    for style, choices in GROOVES.items():
        steps = 12 if style == "waltz" else 16
        for groove in choices:
            for pattern in (groove.kick, groove.snare, groove.time):
                assert len(pattern) == steps, (style, pattern)
            assert groove.timekeeper in kits.KEYS


def test_a_key_steps_along_its_scale() -> None:
    key = Key(2, "major")  # D major
    assert [key.step(62, steps) for steps in (-1, 0, 1, 2, 7)] == [61, 62, 64, 66, 74]
    assert key.snap(63) == 62
    assert harmonise(key, 4).pitch_classes == (9, 1, 4)  # A major


def test_voices_move_as_little_as_they_can() -> None:
    c_major, a_minor = Chord(0, (0, 4, 7)), Chord(9, (0, 3, 7))
    first = voice(c_major, 3, 62)
    second = voice(a_minor, 3, 62, first)
    assert {pitch % 12 for pitch in first} == {0, 4, 7}
    assert {pitch % 12 for pitch in second} == {9, 0, 4}
    assert sum(abs(new - old) for new, old in zip(second, first, strict=True)) <= 3


@pytest.mark.parametrize("swing", [0.5, 0.6, 2 / 3])
def test_swing_moves_the_offbeat_and_keeps_the_beat(swing: float) -> None:
    clock = Clock(120, swing)
    assert clock.at(3) == pytest.approx(1.5)
    assert clock.at(3.5) == pytest.approx((3 + swing) * 0.5)
    times = [clock.at(beat / 8) for beat in range(64)]
    assert times == sorted(times)


@pytest.mark.parametrize("position", [0, 2, 5, 7])
@pytest.mark.parametrize("root", range(12))
def test_a_grip_lies_under_one_hand(root: int, position: int) -> None:
    grip = finger(Chord(root, (0, 4, 7)), position)
    assert 3 <= len(grip) <= 6
    assert grip[0] % 12 == root
    assert {pitch % 12 for pitch in grip} <= {root, (root + 4) % 12, (root + 7) % 12}
    assert grip[0] >= STANDARD_TUNING[0] + position
    assert grip[-1] <= STANDARD_TUNING[-1] + position + 11


def test_an_open_e_major_is_the_one_that_everybody_knows() -> None:
    assert finger(Chord(4, (0, 4, 7)), 0) == (40, 47, 52, 56, 59, 64)
