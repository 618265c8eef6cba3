"""Singing: the contour as arithmetic, the sound as measured with another ear (harvest)."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if not shutil.which("espeak-ng"):
    pytest.skip("espeak-ng is not installed (apt-get install espeak-ng)", allow_module_level=True)
if importlib.util.find_spec("pyworld") is None:
    pytest.skip("pyworld is not installed (pip install 'stemwright[train]')", allow_module_level=True)


from training.compose.note import Note
from training.voices import utterance
from training.voices.contour import FRAME_S, SingingStyle, pitch_contour
from training.voices.phrase import Articulation, phrases, set_to_notes
from training.voices.singer import harmony, sing, voice_lines
from training.voices.utterance import POINTS, steady_voicing
from training.voices.vocoder import SAMPLE_RATE, Frames, Timbre, render
from training.voices.voice import Voice
from training.voices.world import pyworld

pytestmark = pytest.mark.training

TUNE = [Note(0.8, 0.6, 60, 90), Note(1.4, 0.4, 64, 100), Note(1.8, 0.9, 67, 110), Note(3.2, 0.8, 62, 80)]


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A cold cache of its own: nothing here may depend on what an earlier run left behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEMWRIGHT_VOICE_CACHE", str(tmp_path_factory.mktemp("voices")))
        utterance.utterance.cache_clear()
        yield


@st.composite
def melodies(draw: st.DrawFn) -> list[Note]:
    notes, time_s = [], draw(st.floats(0, 2))
    for _ in range(draw(st.integers(1, 8))):
        duration_s = draw(st.floats(0.03, 2))
        notes.append(Note(time_s, duration_s, draw(st.integers(36, 84)), draw(st.integers(1, 127))))
        time_s += duration_s + draw(st.sampled_from([0.0, 0.1, 1.0]))
    return notes


@settings(max_examples=60)
@given(notes=melodies(), seed=st.integers(0, 2**32 - 1))
def test_contour_is_whole_and_near_its_notes(notes: list[Note], seed: int) -> None:
    frames = int((notes[-1].end_s + 0.5) / FRAME_S)
    pitch = pitch_contour(notes, 0.0, frames, SingingStyle(), np.random.default_rng(seed))
    midi = 69 + 12 * np.log2(pitch / 440)
    assert pitch.shape == (frames,)
    assert np.isfinite(pitch).all()
    # A fall leaves the note by four semitones at most, everything else by less.
    assert midi.min() > min(note.pitch for note in notes) - 8
    assert midi.max() < max(note.pitch for note in notes) + 3


@pytest.mark.parametrize("interval", [-12, -1, 0, 5])
def test_contour_without_habits_is_the_melody(interval: int) -> None:
    plain = SingingStyle(0.05, 0, 0, 0, 0, 5, 0, 0.3, 0, 0)
    notes = [Note(0.0, 0.5, 60, 90), Note(0.5, 0.5, 60 + interval, 90)]
    midi = 69 + 12 * np.log2(pitch_contour(notes, 0.0, 200, plain, np.random.default_rng(0)) / 440)
    np.testing.assert_allclose(midi[:90], 60, atol=1e-9)
    np.testing.assert_allclose(midi[105:], 60 + interval, atol=1e-9)
    assert np.abs(np.diff(midi)).max() <= abs(interval) * 0.2


def test_an_untrained_singer_misses_notes_but_not_by_much() -> None:
    off = SingingStyle(0.05, 0, 0, 0, 0, 5, 0, 0.3, 0, 0, tuning_cents=30)
    notes = [Note(float(i), 1.0, 60 + i % 5, 90) for i in range(20)]
    midi = 69 + 12 * np.log2(pitch_contour(notes, 0.0, 4000, off, np.random.default_rng(0)) / 440)
    missed = 100 * (midi[100::200] - [note.pitch for note in notes])  # in the middle of every note
    assert 15 < np.std(missed) < 50


def test_chest_lifts_the_fundamental() -> None:
    frames = Frames(
        np.full((400, POINTS), -10, np.float32), np.zeros((400, POINTS), np.float32), np.ones(400, bool), np.zeros(400)
    )
    first, second = [], []
    for chest_db in (0.0, 9.0):
        sound = render(frames, np.full(400, 200.0), Timbre(breath=0, hiss=0, chest_db=chest_db))[22050:66150]
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        first.append(spectrum[200])
        second.append(spectrum[800])
    assert 20 * np.log10(first[1] / first[0]) == pytest.approx(9, abs=1)
    assert 20 * np.log10(second[1] / second[0]) == pytest.approx(0, abs=0.5)


def test_vibrato_starts_late_and_has_its_rate() -> None:
    style = SingingStyle(
        0.05, 0, 0, 0, 0, vibrato_hz=5.5, vibrato_cents=60, vibrato_onset_s=0.4, drift_cents=0, flutter_cents=0
    )
    midi = 12 * np.log2(pitch_contour([Note(0.0, 4.0, 69, 90)], 0.0, 800, style, np.random.default_rng(3)) / 440)
    assert np.abs(midi[: round(0.25 / FRAME_S)]).max() < 1e-9
    spectrum = np.abs(np.fft.rfft(midi[200:760] * np.hanning(560), 8192))
    assert 4.8 < np.argmax(spectrum) / (8192 * FRAME_S) < 6.2
    assert 0.2 < midi.max() < 0.7


def test_voicing_does_not_flicker() -> None:
    voiced = np.ones(60, bool)
    voiced[[10, 20, 21, 40]] = False
    assert steady_voicing(voiced).all()
    voiced[30:38] = False
    assert not steady_voicing(voiced)[31:37].any()


@given(
    notes=st.lists(
        st.builds(Note, st.floats(0, 20), st.floats(0.03, 3), st.integers(40, 80), st.integers(1, 127)), min_size=1
    )
)
def test_phrases_hold_one_note_at_a_time(notes: list[Note]) -> None:
    line = list(itertools.chain(*phrases(notes)))
    assert all(before.end_s <= after.start_s + 1e-9 for before, after in itertools.pairwise(line))
    assert {note.start_s for note in line} <= {note.start_s for note in notes}


def test_chords_are_shared_out_from_the_top() -> None:
    chords = [Note(start, 1.0, pitch, 90) for start in (0.0, 1.0) for pitch in (60, 64, 67)]
    assert [[note.pitch for note in line] for line in voice_lines(chords)] == [[67, 67], [64, 64], [60, 60]]


def test_harmony_stays_in_the_key() -> None:
    scale = [Note(float(i), 1.0, pitch, 90) for i, pitch in enumerate((60, 62, 64, 65, 67, 69, 71))]
    assert [note.pitch for note in harmony(scale, 2)] == [64, 65, 67, 69, 71, 72, 74]


@pytest.mark.parametrize("backing", [False, True])
def test_sound_is_whole_and_repeatable(backing: bool) -> None:
    first = sing(TUNE, 4.5, np.random.default_rng(11), backing)
    again = sing(TUNE, 4.5, np.random.default_rng(11), backing)
    assert first.shape == (2, round(4.5 * SAMPLE_RATE))
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.abs(first).max() == pytest.approx(0.9, abs=1e-6)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first[:, : round(0.1 * SAMPLE_RATE)]).max() < 1e-4
    if not backing:
        other = sing(TUNE, 4.5, np.random.default_rng(12), backing)
        assert np.abs(first - other).max() > 0.1


def test_a_cold_cache_sounds_like_a_warm_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warm = sing(TUNE, 4.5, np.random.default_rng(11), False)
    monkeypatch.setenv("STEMWRIGHT_VOICE_CACHE", str(tmp_path))
    utterance.utterance.cache_clear()
    np.testing.assert_array_equal(sing(TUNE, 4.5, np.random.default_rng(11), False), warm)
    assert list(tmp_path.rglob("*.npz"))


def test_nothing_to_sing_is_silence() -> None:
    assert not sing([], 1.0, np.random.default_rng(0), True).any()
    assert not sing([Note(5.0, 1.0, 60, 90)], 1.0, np.random.default_rng(0), False).any()


@pytest.mark.parametrize(
    "notes",
    [
        [Note(0.0, 0.5, 60, 90)],
        [Note(0.9, 5.0, 60, 90)],
        [Note(0.1 * i, 0.05, 60 + i % 3, 127) for i in range(15)],
        [Note(0.2, 1.0, 24, 1), Note(0.2, 1.0, 108, 127)],
    ],
    ids=["on the first sample", "past the end", "very fast", "out of range"],
)
def test_awkward_notes_are_sung(notes: list[Note]) -> None:
    sound = sing(notes, 1.6, np.random.default_rng(5), backing=len(notes) > 1)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize(("name", "octaves"), [("m3", -1), ("f2", 0)], ids=["baritone", "soprano"])
def test_the_melody_can_be_heard(name: str, octaves: int) -> None:
    notes = [replace(note, pitch=note.pitch + 12 * octaves) for note in TUNE]
    spoken = utterance.utterance(
        Voice("espeak-ng", name, "en-us", octaves == 0), "silver ocean stay with me tonight", 1.0
    )
    rng = np.random.default_rng(2)
    frames, start_s = set_to_notes(notes[:3], lambda: spoken, Articulation(melisma_chance=0), rng)
    sung = pitch_contour(notes[:3], start_s, len(frames.voiced), SingingStyle(), rng)
    pitch_hz, _ = pyworld.harvest(render(frames, sung, Timbre()), SAMPLE_RATE, f0_floor=60.0, f0_ceil=900.0)
    loud = frames.voiced & (frames.gain_db > frames.gain_db.max() - 30)
    pitch_hz, midi = pitch_hz[: len(loud)], np.full(len(loud), np.nan)
    for note in notes[:3]:
        at_s = start_s + FRAME_S * np.arange(len(loud)) - note.start_s
        midi[(at_s > 0.1) & (at_s < 0.6 * note.duration_s)] = note.pitch
    assert np.mean(pitch_hz[loud] > 0) > 0.95
    # Edges of words included: no octave is missed where the voicing changes.
    missed = 1200 * np.log2(pitch_hz[loud & (pitch_hz > 0)] / sung[loud & (pitch_hz > 0)])
    assert np.median(np.abs(missed)) < 10
    assert np.mean(np.abs(missed) > 600) < 0.01
    held = loud & (pitch_hz > 0) & np.isfinite(midi)
    assert held.sum() > 100
    assert np.median(np.abs(1200 * np.log2(pitch_hz[held] / 440) - 100 * (midi[held] - 69))) < 30
