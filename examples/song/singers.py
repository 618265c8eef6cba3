"""The singers: flite's voices sing given words on given notes, syllable by syllable."""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from examples.song.score import BEATS, CHORUS, CLOCK, DURATION_S, HARMONIES, MELODY, OOHS, Line, Sung
from training.compose.note import Note
from training.rendering.effects import Audio
from training.voices.contour import FRAME_S, SingingStyle, pitch_contour
from training.voices.phrase import Articulation, set_to_notes
from training.voices.utterance import Syllable, Utterance, utterance
from training.voices.vocoder import SAMPLE_RATE, Timbre, render
from training.voices.voice import Voice

PAD_FRAMES = 10  # training.voices.utterance puts 50 ms before what was said.
_VOWELS = frozenset(["aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw"])
_GLIDING = frozenset(["aw", "ay", "ey", "ow", "oy"])
# fmt: off
_ONSETS = frozenset([
    "bl", "br", "dr", "fl", "fr", "gl", "gr", "kl", "kr", "kw", "pl", "pr",
    "shr", "sk", "sl", "sm", "sn", "sp", "st", "sw", "thr", "tr", "tw",
])
# fmt: on


@dataclass(frozen=True)
class Singer:
    """A flite voice with its vocal tract and singing style."""

    voice: Voice
    timbre: Timbre
    style: SingingStyle
    articulation: Articulation
    speed: float = 0.95


@dataclass(frozen=True)
class Take:
    """One pass of a singer: at ``pan`` (-1 left, 1 right), ``cents`` off, ``late_s`` behind, down ``octaves``."""

    singer: Singer
    pan: float = 0.0
    gain_db: float = 0.0
    cents: float = 0.0
    late_s: float = 0.0
    octaves: int = 0


@dataclass(frozen=True)
class _Phone:
    name: str
    start: int
    end: int

    @property
    def is_vowel(self) -> bool:
        return self.name in _VOWELS


_SLT = Voice("flite", "slt", "en-us", True)
_RMS = Voice("flite", "rms", "en-us", False)
LEAD = Singer(
    _SLT,
    Timbre(breath=0.06, hiss=0.35, tilt_db_per_octave=2.5, ring_db=8.0, air_db=6.0, consonant_db=-7.0),
    SingingStyle(
        glide_s=0.06,
        overshoot_cents=12,
        scoop_cents=70,
        scoop_chance=0.15,
        fall_chance=0.0,
        vibrato_hz=5.4,
        vibrato_cents=32,
        vibrato_onset_s=0.35,
        drift_cents=5,
        flutter_cents=2,
    ),
    Articulation(melisma_chance=0.0, breath_chance=1.0, breath_db=-36, dynamics_db=6, release_s=0.09),
)
_SOFT = replace(LEAD.articulation, breath_chance=0.0, dynamics_db=3.0, release_s=0.14)
_STRAIGHT = replace(LEAD.style, vibrato_cents=16, scoop_chance=0.1)
_WOMAN = Singer(
    _SLT, replace(LEAD.timbre, formant_ratio=0.95, breath=0.16, ring_db=1, consonant_db=-11), _STRAIGHT, _SOFT
)
_GIRL = replace(_WOMAN, timbre=replace(_WOMAN.timbre, formant_ratio=1.06))
_MAN = Singer(
    _RMS, replace(LEAD.timbre, formant_ratio=1.02, breath=0.14, ring_db=2, consonant_db=-11), _STRAIGHT, _SOFT
)
# The lead once more at both sides.
DOUBLES = (Take(LEAD, -0.5, -9, -7, 0.014), Take(LEAD, 0.5, -9, 8, 0.022))
# Two takes of each line, left and right; the men sing the lower line an octave below.
UPPER = (Take(_WOMAN, -0.75, 0, -5, 0.012), Take(_GIRL, 0.75, 0, 6, -0.008))
LOWER = (Take(_GIRL, -0.45, -1, 5, 0.016), Take(_WOMAN, 0.5, -1, -6, 0.006))
MEN = (Take(_MAN, -0.3, 0, -4, 0.01, 1), Take(_MAN, 0.35, 0, 5, 0.02, 1))


def lead() -> Audio:
    """The lead voice, ``(2, samples)``: in the middle, and from the chorus on doubled softly at both sides."""
    mix = _silence()
    for number, line in enumerate(MELODY):
        for copy, take in enumerate((Take(LEAD), *(DOUBLES if line.start >= CHORUS * BEATS else ()))):
            _sing(mix, line, line.notes, take, np.random.default_rng((7, number, copy)))
    return mix.astype(np.float32)


def backing() -> Audio:
    """The backing voices, ``(2, samples)``: harmonies in the chorus, oohs in the verse."""
    mix = _silence()
    number = 0
    for line in MELODY:
        parts = HARMONIES.get(line.start, ())
        for pitches, takes in zip(parts, (UPPER, LOWER + MEN), strict=False):
            notes = [replace(note, pitch=pitch) for note, pitch in zip(line.notes, pitches, strict=True)]
            for take in takes:
                number += 1
                _sing(mix, line, notes, take, np.random.default_rng((8, number)))
    first = OOHS[0][0]
    line = Line(int(first), " ".join(["ooh"] * len(OOHS)), ())
    for voice, takes in enumerate((UPPER, LOWER, MEN)):
        notes = [Sung(beat - first, beats, pitches[voice]) for beat, beats, pitches in OOHS]
        for take in takes:
            number += 1
            softer = replace(take, octaves=0, gain_db=take.gain_db - 5)
            _sing(mix, line, notes, softer, np.random.default_rng((9, number)))
    return mix.astype(np.float32)


def _silence() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.zeros((2, round(DURATION_S * SAMPLE_RATE)))


def _sing(
    mix: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    line: Line,
    sung: Sequence[Sung],
    take: Take,
    rng: np.random.Generator,
) -> None:
    """Adds a line to ``mix``, ``(2, samples)``."""
    notes = []
    for note in sung:
        start_s = CLOCK.at(line.start + note.beat)
        velocity = 96 if note.beat % 1 == 0 else 88
        length_s = CLOCK.at(line.start + note.beat + note.beats) - start_s
        notes.append(Note(start_s + take.late_s, length_s, note.pitch - 12 * take.octaves, velocity))
    spoken = _spoken(take.singer, line.words, sung)
    frames, start_s = set_to_notes(notes, lambda: spoken, take.singer.articulation, rng)
    pitch = pitch_contour(notes, start_s, len(frames.voiced), take.singer.style, rng) * 2 ** (take.cents / 1200)
    sound = render(frames, pitch, take.singer.timbre) * 10 ** (take.gain_db / 20)
    at = round(start_s * SAMPLE_RATE)
    count = min(len(sound), mix.shape[1] - at)
    angle = (take.pan + 1) * np.pi / 4
    mix[:, at : at + count] += np.array(((np.cos(angle),), (np.sin(angle),))) * sound[:count]


def _spoken(singer: Singer, words: str, sung: Sequence[Sung]) -> Utterance:
    """The words as ``singer`` says them, with a syllable for every note.

    Raises:
        ValueError: the number of syllables differs from the number of notes.
    """
    syllables = _syllables(_phones(singer, words))
    wanted = sum(not note.carries for note in sung)
    if len(syllables) != wanted:
        raise ValueError(f"'{words}' has {len(syllables)} syllables and {wanted} notes.")
    carried = sum(note.carries for note in sung)
    for _ in range(carried):  # always at a line's end: the vowel is shared out
        last = syllables.pop()
        middle = (last.core_start + last.core_end) // 2
        syllables += [Syllable(last.start, last.core_start, middle, middle)]
        syllables += [Syllable(middle, middle, last.core_end, last.end)]
    return replace(utterance(singer.voice, words, singer.speed), syllables=tuple(syllables))


def _phones(singer: Singer, words: str) -> list[_Phone]:
    """What flite says and when, in 5 ms frames of the analysis."""
    with tempfile.TemporaryDirectory() as folder:
        stretch = f"duration_stretch={1.25 / singer.speed:.3f}"
        command = ["flite", "-voice", singer.voice.name, "--setf", stretch, "-psdur", "-t", words]
        said = subprocess.run(
            [*command, "-o", str(Path(folder, "speech.wav"))], check=True, capture_output=True, text=True
        ).stdout
    phones, start = [], PAD_FRAMES
    for name, _, end_s in (word.partition(":") for word in said.split()):
        end = PAD_FRAMES + round(float(end_s) / FRAME_S)
        phones.append(_Phone(name, start, end))
        start = end
    return [phone for phone in phones if phone.name != "pau"]


def _syllables(phones: Sequence[_Phone]) -> list[Syllable]:
    """A syllable for every vowel. As singers do, as many consonants as one can begin with go to the next vowel."""
    vowels = [index for index, phone in enumerate(phones) if phone.is_vowel]
    borders = [0]
    for before, after in pairwise(vowels):
        first = max(before + 1, after - 1)  # the onset is at least the last consonant, where there is one
        if first > before + 1 and phones[first - 1].name + phones[first].name in _ONSETS:
            first -= 1
        borders.append(first)
    borders.append(len(phones))
    found = []
    for vowel, (first, stop) in zip(vowels, pairwise(borders), strict=True):
        start, end = phones[vowel].start, phones[vowel].end
        length = end - start
        # The edges of a vowel belong to its neighbours; of a diphthong the first half is held and the rest is the glide.
        core_end = start + round((0.55 if phones[vowel].name in _GLIDING else 0.8) * length)
        core_start = start + min(7, round(0.3 * length))
        found.append(Syllable(phones[first].start, core_start, max(core_end, core_start + 4), phones[stop - 1].end))
    return found
