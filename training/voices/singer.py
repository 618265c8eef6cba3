"""Renders one singer, or a group of singers, in stereo. Use this package through `sing`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from training.compose.note import Note
from training.voices import lyrics, recorded
from training.voices.contour import FRAME_S, SingingStyle, draw_style, pitch_contour
from training.voices.phrase import VOWEL_DB, Articulation, phrases, set_to_notes
from training.voices.speech import draw_voice
from training.voices.utterance import Utterance, utterance
from training.voices.vocoder import SAMPLE_RATE, Frames, Timbre, render
from training.voices.voice import Voice

# The number of different lines per voice is limited, so that the cache of analyses gets reused.
LINES_PER_VOICE = 12
VOWELS_PER_VOICE = 4
# Recorded voices have more lines, because a new line needs no synthesis.
LINES_PER_PERSON = 48


@dataclass(frozen=True)
class Singer:
    """A voice with singing style. `centre` is the MIDI pitch in the middle of the comfortable range."""

    voice: Voice
    timbre: Timbre
    style: SingingStyle
    articulation: Articulation
    centre: float


@dataclass(frozen=True)
class VoicePart:
    """One voice of an arrangement: singer and notes, detuned by `cents`, delayed by `late_s`, at `pan` (-1 is left)."""

    singer: Singer
    notes: Sequence[Note]
    pan: float = 0.0
    gain_db: float = 0.0
    cents: float = 0.0
    late_s: float = 0.0
    words: bool = True


def sing(notes: Sequence[Note], duration_s: float, rng: np.random.Generator, backing: bool) -> NDArray[np.float32]:
    """Sings `notes`: `(2, samples)` at 44.1 kHz with a peak of 0.9, silent in rests.

    Gives a lead vocal, or with `backing` the doubles, harmonies or choir. Of overlapping notes, a lead sings the
    highest, and a group shares them. Each singer transposes the line by octaves into a comfortable range. The same
    state of `rng` gives the same audio. Raises SpeechUnavailableError if no synthesiser is installed.
    """
    mix = np.zeros((2, round(duration_s * SAMPLE_RATE)))
    sung = [note for note in notes if note.start_s < duration_s and note.duration_s > 0.02]
    if sung:
        people = recorded.voices()
        if people and not backing and rng.random() < 0.12:
            _recite(mix, sung, people[int(rng.integers(len(people)))], rng)
        else:
            for part in _backing(sung, rng) if backing else _lead(sung, rng):
                _add_part(mix, part, rng)
        if backing:
            mix = _narrow(mix, rng)
        elif rng.random() < 0.3:
            _add_speech(mix, sung, rng)
    peak = np.abs(mix).max(initial=0.0)
    if peak > 0:
        mix *= 0.9 / peak
    return mix.astype(np.float32)


def draw_singer(rng: np.random.Generator, female: bool | None = None) -> Singer:
    """Draws a singer; for one in six, shifted formants change the sex of the voice."""
    female = bool(rng.random() < 0.5) if female is None else female
    bent = rng.random() < 1 / 6
    voice = draw_voice(rng, female != bent)
    ratio = rng.uniform(0.93, 1.08) * (1.0 if not bent else 1.16 if female else 0.88)
    bright = rng.random() < 0.15  # belted, or recorded with a bright microphone; most singing is darker than speech
    timbre = Timbre(
        formant_ratio=float(ratio),
        breath=float(0.35 * rng.beta(1.2, 3.0)),
        rasp=float(rng.uniform(0.1, 0.8)) if rng.random() < 0.12 else 0.0,
        hiss=float(rng.uniform(0.3, 0.9)),
        tilt_db_per_octave=float(rng.uniform(-1.5, 1.0) if bright else rng.uniform(-3.8, 0.2)),
        ring_db=float(rng.uniform(0, 8)),
        chest_db=float(rng.uniform(0, 10)),
        air_db=float(rng.uniform(0, 12) if bright else rng.uniform(-8, 6)),
        consonant_db=float(rng.uniform(-4, 7) if bright else rng.uniform(-7, 4)),
    )
    articulation = Articulation(
        melisma_chance=float(rng.uniform(0, 0.3)),
        breath_chance=float(rng.uniform(0.2, 0.9)),
        breath_db=float(rng.uniform(-38, -22)),
        dynamics_db=float(rng.uniform(3, 10)),
        release_s=float(rng.uniform(0.03, 0.18)),
    )
    centre = rng.uniform(58, 67) if female else rng.uniform(48, 57)
    return Singer(voice, timbre, draw_style(rng), articulation, float(centre))


def _lead(notes: Sequence[Note], rng: np.random.Generator) -> list[VoicePart]:
    singer = draw_singer(rng)
    if rng.random() < 0.07:
        singer, notes = _rapped(singer, notes, rng)
    parts = [VoicePart(singer, notes, pan=float(rng.uniform(-0.1, 0.1)))]
    if rng.random() < 0.25:  # A double track: the same singer again, at a lower level.
        parts.append(VoicePart(singer, notes, float(rng.uniform(-0.6, 0.6)), -7.0, float(rng.normal(0, 6)), 0.015))
    return parts


def _rapped(singer: Singer, notes: Sequence[Note], rng: np.random.Generator) -> tuple[Singer, list[Note]]:
    """Rap: intervals reduced to a quarter, syllables spoken instead of held."""
    middle = float(np.median([note.pitch for note in notes]))
    spoken = [replace(note, pitch=round(middle + 0.25 * (note.pitch - middle) + rng.normal(0, 1))) for note in notes]
    style = SingingStyle(
        glide_s=0.12, overshoot_cents=0, scoop_chance=0.5, fall_chance=0.8, vibrato_cents=0, drift_cents=70
    )
    articulation = replace(singer.articulation, melisma_chance=0.0, sustain=float(rng.uniform(0.5, 0.9)))
    return replace(singer, style=style, articulation=articulation, centre=singer.centre - 4), spoken


def _backing(notes: Sequence[Note], rng: np.random.Generator) -> list[VoicePart]:
    lines = voice_lines(notes)
    kind = rng.choice(["doubles", "harmonies", "choir", "whispers"], p=[0.25, 0.38, 0.32, 0.05])
    if kind == "harmonies" and len(lines) == 1:
        lines = [lines[0], harmony(lines[0], int(rng.choice([-2, 2, -5, 4])))]
    if kind == "choir" and len(lines) == 1:
        lines = [lines[0], harmony(lines[0], -2), harmony(lines[0], 2)][: int(rng.integers(1, 4))]
    lines = lines[:4]
    most = max(1, (8 if kind == "choir" else 4) // len(lines))
    doubles = int(rng.integers(1, most + 1)) if len(lines) > 1 else int(rng.integers(2, max(3, min(most, 6))))
    words = kind != "choir" or rng.random() < 0.3
    spread = rng.uniform(0.3, 1.0)
    female = bool(rng.random() < 0.5)
    singer = draw_singer(rng, female)
    parts = []
    for line in lines:
        for copy in range(doubles):
            if kind == "choir" or rng.random() < 0.3:
                singer = draw_singer(rng, bool(rng.random() < 0.5) if kind == "choir" else female)
            softened = replace(singer.articulation, breath_chance=0.1, dynamics_db=3.0, whispered=kind == "whispers")
            pan = spread * (2 * (copy + 0.5) / doubles - 1) if doubles > 1 else spread * rng.uniform(-1, 1)
            parts.append(
                VoicePart(
                    replace(singer, articulation=softened),
                    line,
                    float(np.clip(pan + rng.normal(0, 0.15), -1, 1)),
                    float(rng.uniform(-4, 0)),
                    float(rng.normal(0, 9)),
                    float(rng.normal(0, 0.018)),
                    words,
                )
            )
    return parts


def voice_lines(notes: Sequence[Note]) -> list[list[Note]]:
    """Distributes overlapping notes over as many lines as there are simultaneous notes, the highest first."""
    lines: list[list[Note]] = []
    for note in sorted(notes, key=lambda note: (round(note.start_s, 2), -note.pitch)):
        for line in lines:
            if line[-1].end_s <= note.start_s + 0.05:
                line.append(note)
                break
        else:
            lines.append([note])
    return lines


def harmony(notes: Sequence[Note], steps: int) -> list[Note]:
    """A parallel line `steps` degrees away (2 is a third above), in the major scale that contains most of the notes."""
    weight = np.zeros(12)
    for note in notes:
        weight[note.pitch % 12] += note.duration_s
    major = np.array([0, 2, 4, 5, 7, 9, 11])
    key = int(np.argmax([weight[(major + tonic) % 12].sum() for tonic in range(12)]))
    scale = np.array([key + 12 * octave + degree for octave in range(-1, 12) for degree in major])
    moved = [int(scale[np.clip(np.argmin(np.abs(scale - note.pitch)) + steps, 0, len(scale) - 1)]) for note in notes]
    return [replace(note, pitch=pitch) for note, pitch in zip(notes, moved, strict=True)]


def _add_part(mix: NDArray[np.float64], part: VoicePart, rng: np.random.Generator) -> None:
    singer = part.singer
    median = float(np.median([note.pitch for note in part.notes]))
    octaves = round((singer.centre - median) / 12)
    left, right = np.cos((part.pan + 1) * np.pi / 4), np.sin((part.pan + 1) * np.pi / 4)

    def next_line() -> Utterance:
        return _next_line(singer.voice, part.words, rng)

    for phrase in phrases(part.notes):
        # Each phrase has its own timing error.
        late_s = part.late_s + float(rng.normal(singer.style.late_s, 0.008 + singer.style.late_s / 2))
        moved = [replace(note, start_s=note.start_s + late_s, pitch=note.pitch + 12 * octaves) for note in phrase]
        frames, start_s = set_to_notes(moved, next_line, singer.articulation, rng)
        pitch = pitch_contour(moved, start_s, len(frames.voiced), singer.style, rng) * 2 ** (part.cents / 1200)
        sound = render(frames, pitch, singer.timbre)
        _place(mix, sound * 10 ** (part.gain_db / 20), start_s, left, right)


def _next_line(voice: Voice, words: bool, rng: np.random.Generator) -> Utterance:
    """A line of the voice, from a fixed set that is the same in every song."""
    person = voice.engine == "recorded"
    for _ in range(8):
        number = int(rng.integers(LINES_PER_PERSON if person else LINES_PER_VOICE if words else VOWELS_PER_VOICE))
        own = np.random.default_rng([number, int(words), *voice.name.encode(), *voice.language.encode()])
        if person:
            spoken = utterance(voice, recorded.line(voice, own), 1.0)
        else:
            text = lyrics.line(voice.language, own) if words else lyrics.vowels(own)
            spoken = utterance(voice, text, (0.85, 1.0, 1.2)[number % 3])
        if spoken.syllables:
            return spoken
    raise ValueError(f"voice {voice.name} of {voice.engine} gives speech without vowels: take it out of the catalogue")


def _recite(mix: NDArray[np.float64], notes: Sequence[Note], voice: Voice, rng: np.random.Generator) -> None:
    """Spoken vocals in place of the melody: recordings at slightly changed tape speed."""
    tape = float(rng.uniform(0.85, 1.12))
    for phrase in phrases(notes):
        spoken, length = [np.zeros(0)], round((phrase[-1].end_s - phrase[0].start_s) * SAMPLE_RATE)
        while sum(map(len, spoken)) < length:
            samples, rate = recorded.read(recorded.line(voice, rng))
            spoken.append(np.asarray(soxr.resample(samples, rate * tape, SAMPLE_RATE)))
        sound = np.concatenate(spoken)[:length]
        fade = min(length, SAMPLE_RATE // 20)
        sound[length - fade :] *= np.linspace(1, 0, fade)
        _place(mix, sound, phrase[0].start_s, 0.7, 0.7)


def _add_speech(mix: NDArray[np.float64], notes: Sequence[Note], rng: np.random.Generator) -> None:
    """Adds a spoken or whispered phrase in a gap of the melody of at least two seconds, if there is one."""
    ends = [0.0, *(note.end_s for note in sorted(notes, key=lambda note: note.start_s))]
    starts = [*(note.start_s for note in sorted(notes, key=lambda note: note.start_s)), mix.shape[1] / SAMPLE_RATE]
    gaps = [(end, start) for end, start in zip(np.maximum.accumulate(ends), starts, strict=True) if start - end > 2.0]
    if not gaps:
        return
    begin, end = gaps[rng.integers(len(gaps))]
    singer = draw_singer(rng)
    spoken = _next_line(singer.voice, True, rng)
    count = min(len(spoken.voiced), int((end - begin - 0.3) / FRAME_S))
    level = VOWEL_DB / 4.343 - np.log(np.exp(spoken.log_envelope).mean())
    whispered = rng.random() < 0.4
    frames = Frames(
        (spoken.log_envelope[:count] + level).astype(np.float32),
        spoken.aperiodicity[:count],
        spoken.voiced[:count] & (not whispered),
        -3.0 - 30 * np.maximum(0, 1 - np.arange(count)[::-1] / 8),
    )
    # A spoken sentence starts about a fifth below the singing and falls by another fifth.
    start_hz = 440 * 2 ** ((singer.centre - 7 - 69) / 12)
    fall = np.linspace(2, -5, count) + 1.5 * np.sin(2 * np.pi * np.arange(count) * FRAME_S / rng.uniform(0.4, 0.9))
    _place(mix, render(frames, start_hz * 2 ** (fall / 12), singer.timbre), begin + 0.15, 0.7, 0.7)


def _place(mix: NDArray[np.float64], sound: NDArray[np.float64], start_s: float, left: float, right: float) -> None:
    """Adds `sound` `(samples,)` to `mix` `(2, samples)` at `start_s`, cut to the length of the song."""
    at = round(start_s * SAMPLE_RATE)
    first, last = max(0, -at), min(len(sound), mix.shape[1] - at)
    if last > first:
        mix[0, at + first : at + last] += left * sound[first:last]
        mix[1, at + first : at + last] += right * sound[first:last]


def _narrow(mix: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Filters backing vocals: less low end, and often less high end, than the lead."""
    edges_hz = rng.uniform(120, 350), rng.uniform(5000, 16000)
    sections = butter(2, edges_hz, "bandpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(sosfilt(sections, mix, axis=1))
