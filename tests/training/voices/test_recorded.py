"""People's voices, from recordings that a synthesiser makes here in the place of theirs."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

if not shutil.which("espeak-ng"):
    pytest.skip("espeak-ng is not installed (apt-get install espeak-ng)", allow_module_level=True)
if importlib.util.find_spec("pyworld") is None:
    pytest.skip("pyworld is not installed (pip install 'stemwright[train]')", allow_module_level=True)

from training.compose.note import Note
from training.voices import recorded, singer, speech
from training.voices.voice import SpeechUnavailableError, Voice
from training.voices.world import pyworld

pytestmark = pytest.mark.training

WORDS = ("moon", "river", "golden morning", "away")


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Voice]:
    """A woman who says four words, each in a file with half a second of silence around it; nobody else is installed."""
    folder = tmp_path / "share" / "ktuberling" / "sounds" / "uk"
    folder.mkdir(parents=True)
    for word in WORDS:
        samples, rate = speech.speak(Voice("espeak-ng", "f2", "en-us", True), word)
        silence = np.zeros(rate // 2)
        soundfile.write(folder / f"{word}.wav", np.concatenate([silence, samples, silence]), rate)
    monkeypatch.setattr(recorded, "ROOT", tmp_path / "share")
    monkeypatch.setenv("STEMWRIGHT_VOICE_CACHE", str(tmp_path / "cache"))
    for cached in (recorded.recordings, speech.catalogue):
        cached.cache_clear()
    (voice,) = recorded.voices()
    yield voice
    for cached in (recorded.recordings, speech.catalogue):
        cached.cache_clear()


def test_speakers_have_names_of_their_own() -> None:
    names = [speaker.voice.name for speaker in recorded.SPEAKERS]
    assert len(names) == len(set(names)) > 30


def test_a_line_is_words_without_the_silence_around_them(person: Voice) -> None:
    assert (person.name, person.female) == ("ktuberling-uk", True)
    text = recorded.line(person, np.random.default_rng(1))
    assert text == recorded.line(person, np.random.default_rng(1)) != recorded.line(person, np.random.default_rng(2))
    samples, rate = recorded.read(text)
    files = text.split(recorded.SEPARATOR)
    seconds = sum(soundfile.info(recorded.ROOT / file).duration - 1 for file in files)
    assert 1 < len(files) <= recorded.MOST_FILES
    assert 0.5 * seconds < len(samples) / rate < seconds
    assert np.abs(samples).max() == pytest.approx(recorded.PEAK, rel=0.05)


def test_recordings_of_silence_are_told(person: Voice) -> None:
    soundfile.write(recorded.ROOT / "silence.wav", np.zeros(8000), 8000)
    with pytest.raises(SpeechUnavailableError, match=r"silence\.wav"):
        recorded.read("silence.wav")


def test_people_are_drawn_half_of_the_time(person: Voice) -> None:
    rng = np.random.default_rng(3)
    drawn = [speech.draw_voice(rng, True) for _ in range(200)]
    assert 80 < drawn.count(person) < 120
    assert person not in [speech.draw_voice(rng, False) for _ in range(50)]


def test_a_person_sings_the_melody(person: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(singer, "draw_voice", lambda rng, female: person)
    monkeypatch.setattr(recorded, "voices", lambda: ())  # who sings does not recite
    tune = [Note(0.8 + 0.6 * index, 0.55, pitch, 100) for index, pitch in enumerate((60, 64, 67, 64, 60))]
    audio = singer.sing(tune, 4.5, np.random.default_rng(4), False)
    pitch, times = pyworld.harvest(audio.mean(0).astype(np.float64), 44_100)
    for note in tune:
        voiced = pitch[(times > note.start_s + 0.15) & (times < note.end_s - 0.1) & (pitch > 0)]
        semitones = (12 * np.log2(np.median(voiced) / 440) + 69 - note.pitch) % 12
        assert min(semitones, 12 - semitones) < 1


def test_a_person_recites_where_there_is_a_melody(person: Voice) -> None:
    mix = np.zeros((2, 44_100 * 4))
    singer._recite(mix, [Note(1, 1, 60, 90), Note(2, 0.5, 62, 90)], person, np.random.default_rng(5))
    audible_s = np.flatnonzero(np.abs(mix[0]) > 1e-3) / 44_100
    assert 1 <= audible_s[0] < 1.2 and 2.2 < audible_s[-1] <= 2.5
