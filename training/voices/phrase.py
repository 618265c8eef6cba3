"""Aligns syllables with notes: consonants at natural speed before the beat, held vowels, then final consonants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.compose.note import Note
from training.voices.contour import FRAME_S, wander
from training.voices.utterance import Syllable, Utterance
from training.voices.vocoder import Frames

LEAD_S = 0.6  # Time before the first beat of a phrase, for a breath and the consonants.
TAIL_S = 0.25  # Time after the last note of a phrase.
VOWEL_DB = -60.0  # Mean power of a vowel at gain 0, on the scale of the vocoder.


@dataclass(frozen=True)
class Articulation:
    """How syllables are sung on notes.

    `melisma_chance`: probability that a note continues the vowel before it. `breath_db`: level of breaths relative to
    vowels. `dynamics_db`: level change from velocity 90 to 127. `sustain`: share of a note that sounds before a rest.
    """

    melisma_chance: float = 0.15
    breath_chance: float = 0.6
    breath_db: float = -30.0
    dynamics_db: float = 6.0
    release_s: float = 0.08
    sustain: float = 1.0
    whispered: bool = False


def phrases(notes: Sequence[Note], rest_s: float = 0.22, longest_s: float = 9.0) -> list[list[Note]]:
    """Splits a singer's notes at rests. A note ends where the next starts; of two at once the higher is kept."""
    line: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.start_s, -note.pitch)):
        if line and note.start_s - line[-1].start_s < 0.04:
            continue
        if line and line[-1].end_s > note.start_s:
            last = line.pop()
            line.append(Note(last.start_s, note.start_s - last.start_s, last.pitch, last.velocity))
        line.append(note)
    cut: list[list[Note]] = []
    for note in line:
        if cut and note.start_s - cut[-1][-1].end_s < rest_s and note.end_s - cut[-1][0].start_s < longest_s:
            cut[-1].append(note)
        else:
            cut.append([note])
    return cut


def set_to_notes(
    notes: Sequence[Note], next_line: Callable[[], Utterance], articulation: Articulation, rng: np.random.Generator
) -> tuple[Frames, float]:
    """Frames of a sung phrase, and the time of the first in seconds. `next_line` gives each new line of lyrics."""
    start_s = notes[0].start_s - LEAD_S
    frames = int(np.ceil((notes[-1].end_s + TAIL_S - start_s) / FRAME_S))
    groups = _melismas(notes, articulation, rng)
    speech, words = _words(len(groups), next_line)

    beats = [_frame(group[0].start_s - start_s) for group in groups]
    ends = [max(beat + 4, _frame(group[-1].end_s - start_s)) for beat, group in zip(beats, groups, strict=True)]
    onsets = []
    for index, word in enumerate(words):
        # A consonant may use the rest before it and 40% of the note that it shortens, but at most 250 ms.
        room = beats[index] - ends[index - 1] + 0.4 * (ends[index - 1] - beats[index - 1]) if index else 50
        onsets.append(int(np.clip(word.core_start - word.start, 0, max(0, min(room, 50)))))
    source = np.full(frames, -1.0)
    held = np.zeros(frames, bool)
    even_db, effort_db = np.zeros(frames), np.zeros(frames)
    middle = float(np.median([note.pitch for note in notes]))
    for index, (word, group) in enumerate(zip(words, groups, strict=True)):
        before_next = beats[index + 1] - onsets[index + 1] if index + 1 < len(groups) else frames
        legato = index + 1 < len(groups) and groups[index + 1][0].start_s - group[-1].end_s < 0.09
        sustained = beats[index] + round(articulation.sustain * (ends[index] - beats[index]))
        stop = before_next if legato else min(sustained, before_next)
        stop = max(stop, min(beats[index] + 4, frames))
        _lay(source, held, word, beats[index], onsets[index], stop, before_next)
        vowel = speech.log_envelope[word.core_start : word.core_end + 1]
        vowel_db = 4.343 * np.log(np.exp(vowel).mean())
        # Speech fades along a line: set all vowels to the same level, then apply the dynamics of the notes.
        even_db[beats[index] - onsets[index] :] = VOWEL_DB - vowel_db
        for note in group:
            first = beats[index] - onsets[index] if note is group[0] else _frame(note.start_s - start_s)
            # High notes are louder than low ones.
            wanted_db = articulation.dynamics_db * (note.velocity - 90) / 37 + 0.25 * (note.pitch - middle)
            effort_db[first:] = wanted_db + _swell(note, frames - first, rng)

    sounding = source >= 0
    position = np.clip(source, 0, len(speech.voiced) - 1.001)
    low = position.astype(int)
    weight = (position - low).astype(np.float32)[:, None]
    # (frames, POINTS): interpolated between two source frames, in log power.
    envelope = speech.log_envelope[low] * (1 - weight) + speech.log_envelope[low + 1] * weight
    noise = speech.aperiodicity[low] * (1 - weight) + speech.aperiodicity[low + 1] * weight
    voiced = (speech.voiced[np.rint(position).astype(int)] | held) & sounding & (not articulation.whispered)
    envelope += (_smooth(even_db) / 4.343).astype(np.float32)[:, None]
    gain_db = _smooth(effort_db) + wander(frames, 0.4, 0.8, rng) + _edges_db(sounding, articulation.release_s)
    if rng.random() < articulation.breath_chance:
        _breathe(envelope, gain_db, speech.log_envelope[words[0].core_start], beats[0] - onsets[0], articulation, rng)
    return Frames(envelope, noise, voiced, gain_db), start_s


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moving average over 7 frames (35 ms), `(frames,)`."""
    return np.convolve(np.pad(values, 3, mode="edge"), np.full(7, 1 / 7), mode="valid")


def _frame(time_s: float) -> int:
    return round(time_s / FRAME_S)


def _melismas(notes: Sequence[Note], articulation: Articulation, rng: np.random.Generator) -> list[list[Note]]:
    """Notes grouped by syllable."""
    groups: list[list[Note]] = []
    for note in notes:
        joined = groups and note.start_s - groups[-1][-1].end_s < 0.06 and len(groups[-1]) < 4
        if joined and rng.random() < articulation.melisma_chance:
            groups[-1].append(note)
        else:
            groups.append([note])
    return groups


def _words(count: int, next_line: Callable[[], Utterance]) -> tuple[Utterance, list[Syllable]]:
    """`count` consecutive syllables, and the lines that contain them, joined."""
    lines: list[Utterance] = []
    words: list[Syllable] = []
    offset = 0
    while len(words) < count:
        line = next_line()
        words += [
            Syllable(word.start + offset, word.core_start + offset, word.core_end + offset, word.end + offset)
            for word in line.syllables
        ]
        lines.append(line)
        offset += len(line.voiced)
    speech = Utterance(
        np.concatenate([line.log_envelope for line in lines]),
        np.concatenate([line.aperiodicity for line in lines]),
        np.concatenate([line.voiced for line in lines]),
        tuple(words),
    )
    return speech, words[:count]


def _lay(
    source: NDArray[np.float64],
    held: NDArray[np.bool_],
    word: Syllable,
    beat: int,
    onset: int,
    stop: int,
    before_next: int,
) -> None:
    """Maps frames of the speech to frames of the song, for one syllable.

        speech   |start  core_start ~~~~~ core_end  end|
        song     |onset  beat ~~~~~~~~~~~~~~~~~ hold  stop|

    Outside the vowel (~) the mapping is one frame of speech to one frame of song.
    """
    source[beat - onset : beat] = np.arange(word.core_start - onset, word.core_start)
    coda = min(word.end - word.core_end, int(0.35 * (stop - beat)), 40)
    hold = stop - beat - coda
    vowel = word.core_end - word.core_start
    # Natural speed near the consonants, slowest in the middle of the vowel.
    steps = np.linspace(0, 1, hold, endpoint=False)
    natural = min(1.0, vowel / hold)
    source[beat : beat + hold] = word.core_start + vowel * (
        natural * steps + (1 - natural) * (0.5 + 4 * (steps - 0.5) ** 3)
    )
    held[beat : beat + hold] = True
    # A final consonant may sound for 60 ms after the note.
    ring = min(12, max(0, before_next - stop), word.end - word.core_end - coda)
    tail = source[beat + hold : stop + ring]
    tail[:] = word.core_end + np.arange(len(tail))


def _swell(note: Note, frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Level of a note in dB from its onset, `(frames,)`: long notes swell or fade."""
    if note.duration_s < 0.4:
        return np.zeros(frames)
    progress = np.minimum(np.arange(frames) * FRAME_S / note.duration_s, 1)
    return np.asarray(rng.normal(0, 2.5) * (progress - 0.5))


def _edges_db(sounding: NDArray[np.bool_], release_s: float) -> NDArray[np.float64]:
    """Fades in dB, `(frames,)`: attack of 10 ms, release of `release_s`, and -120 in rests."""
    frame = np.arange(len(sounding))
    silent = np.flatnonzero(~sounding)
    after = frame - silent[np.clip(np.searchsorted(silent, frame) - 1, 0, None)]
    until = silent[np.clip(np.searchsorted(silent, frame), 0, len(silent) - 1)] - frame
    rise = np.clip(after / 2, 0, 1)
    fall = np.clip(until * FRAME_S / max(release_s, 2 * FRAME_S), 0, 1)
    return np.asarray(20 * np.log10(np.where(sounding, rise * fall, 0) + 1e-6))


def _breathe(
    envelope: NDArray[np.float32],
    gain_db: NDArray[np.float64],
    vowel: NDArray[np.float32],
    first_sound: int,
    articulation: Articulation,
    rng: np.random.Generator,
) -> None:
    """Adds a breath before the phrase, in place: noise through the flattened formants of the vowel."""
    stop = first_sound - int(rng.integers(4, 12))
    start = max(0, stop - int(rng.integers(35, 80)))
    if stop - start < 20:
        return
    air = 0.4 * (vowel - vowel.mean())
    envelope[start:stop] = air - np.log(np.exp(air).mean()) + VOWEL_DB / 4.343
    swell = np.sin(np.pi * np.linspace(0.03, 0.97, stop - start)) ** 1.5
    gain_db[start:stop] = articulation.breath_db + 20 * np.log10(swell)
