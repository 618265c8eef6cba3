"""Sets syllables to notes: consonants at their natural speed before the beat, vowels held, the rest after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.compose.note import Note
from training.voices.contour import FRAME_S
from training.voices.utterance import Syllable, Utterance
from training.voices.vocoder import Frames

LEAD_S = 0.6  # Room before the first beat of a phrase for a breath and its consonants.
RELEASE_S = 0.25  # Room after its last note.


@dataclass(frozen=True)
class Articulation:
    """How words meet notes. `melisma_chance`: a note carries on the vowel before it; `breath_db`: intake of air."""

    melisma_chance: float = 0.15
    breath_chance: float = 0.6
    breath_db: float = -30.0
    dynamics_db: float = 6.0
    release_s: float = 0.08
    whispered: bool = False


def phrases(notes: Sequence[Note], rest_s: float = 0.22, longest_s: float = 9.0) -> list[list[Note]]:
    """One singer's notes cut at rests, in order; of notes that start at once only the highest is kept."""
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


@dataclass
class _Track:
    """The frames of a phrase while they are laid out: which source frame sounds when, how loud."""

    source: NDArray[np.float64]
    gain_db: NDArray[np.float64]
    held: NDArray[np.bool_]


def set_to_notes(
    notes: Sequence[Note],
    next_line: Callable[[], Utterance],
    articulation: Articulation,
    rng: np.random.Generator,
) -> tuple[Frames, float]:
    """Frames of a sung phrase, and the time in seconds of the first. `next_line` gives fresh lines as words run out."""
    start_s = notes[0].start_s - LEAD_S
    frames = int(np.ceil((notes[-1].end_s + RELEASE_S - start_s) / FRAME_S))
    groups = _melismas(notes, articulation, rng)
    lines: list[Utterance] = []
    words: list[tuple[int, Syllable]] = []  # (frames before its line, syllable)
    offset = 0
    while len(words) < len(groups):
        spoken = next_line()
        words += [(offset, syllable) for syllable in spoken.syllables]
        lines.append(spoken)
        offset += len(spoken.voiced)
    log_envelope = np.concatenate([line.log_envelope for line in lines])
    aperiodicity = np.concatenate([line.aperiodicity for line in lines])
    voiced = np.concatenate([line.voiced for line in lines])

    track = _Track(np.full(frames, -1.0), np.full(frames, -np.inf), np.zeros(frames, bool))
    beats = [round((group[0].start_s - start_s) / FRAME_S) for group in groups]
    ends = [round((group[-1].end_s - start_s) / FRAME_S) for group in groups]
    onsets = []
    for index, (before, syllable) in enumerate(words[: len(groups)]):
        room = beats[index] - (ends[index - 1] if index else 0)
        # A consonant may take up to 40% of a note that it cuts short.
        most = beats[index] - 40 if not index else room + int(0.4 * (ends[index - 1] - beats[index - 1]))
        onsets.append(int(np.clip(syllable.core_start - syllable.start, 0, max(0, min(most, 50)))))
        del before
    for index, ((before, syllable), group) in enumerate(zip(words, groups, strict=False)):
        legato = index + 1 < len(groups) and groups[index + 1][0].start_s - group[-1].end_s < 0.09
        stop = beats[index + 1] - onsets[index + 1] if legato else ends[index]
        if index + 1 < len(groups):
            stop = min(stop, beats[index + 1] - onsets[index + 1])
        _lay(track, before, syllable, beats[index], onsets[index], max(stop, beats[index] + 4), legato, articulation)
        _level(track, log_envelope, before, syllable, group, beats[index] - onsets[index], stop, start_s, articulation)

    sounding = track.source >= 0
    position = np.clip(np.where(sounding, track.source, 0), 0, len(voiced) - 1.001)
    low = position.astype(int)
    weight = (position - low).astype(np.float32)[:, None]
    # (frames, POINTS): between two source frames, in log power.
    envelope = log_envelope[low] * (1 - weight) + log_envelope[low + 1] * weight
    noise = aperiodicity[low] * (1 - weight) + aperiodicity[low + 1] * weight
    is_voiced = (voiced[np.rint(position).astype(int)] | track.held) & sounding
    gain_db = _shape(track, articulation)
    if rng.random() < articulation.breath_chance:
        _breathe(envelope, gain_db, words[0], log_envelope, beats[0] - onsets[0], articulation, rng)
    if articulation.whispered:
        is_voiced[:] = False
    return Frames(envelope.astype(np.float32), noise.astype(np.float32), is_voiced, gain_db), start_s


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


def _lay(
    track: _Track,
    before: int,
    syllable: Syllable,
    beat: int,
    onset: int,
    stop: int,
    legato: bool,
    articulation: Articulation,
) -> None:
    """Writes the source position of every frame of one syllable into the track."""
    stop = min(stop, len(track.source))
    core = syllable.core_start + before
    for frame in range(max(0, beat - onset), min(beat, len(track.source))):
        track.source[frame] = core - (beat - frame)
    length = stop - beat
    if length <= 0:
        return
    coda = min(syllable.end - syllable.core_end, int(0.35 * length), 40)
    hold = length - coda
    if coda and not legato:
        # The last consonant of a phrase may ring past the note.
        stop_after = min(len(track.source), stop + min(12, syllable.end - syllable.core_end - coda))
    else:
        stop_after = stop
    core_length = syllable.core_end - syllable.core_start
    # The middle of the vowel is held: it leaves the onset and enters the coda at natural speed where there is room.
    steps = np.linspace(0, 1, max(hold, 1), endpoint=False)
    natural = min(1.0, core_length / max(hold, 1))
    eased = natural * steps + (1 - natural) * (0.5 + 4 * (steps - 0.5) ** 3)
    track.source[beat : beat + hold] = core + core_length * eased
    track.held[beat : beat + hold] = True
    tail = np.arange(beat + hold, stop_after)
    track.source[tail] = np.minimum(core + core_length + (tail - beat - hold), before + syllable.end - 1)


def _level(
    track: _Track,
    log_envelope: NDArray[np.float32],
    before: int,
    syllable: Syllable,
    group: Sequence[Note],
    start: int,
    stop: int,
    start_s: float,
    articulation: Articulation,
) -> None:
    """Brings the vowel to the level its velocity asks for: speech fades along a line, singing does not."""
    core = log_envelope[before + syllable.core_start : before + syllable.core_end + 1]
    power_db = 4.343 * np.log(np.exp(core).mean())
    end = min(len(track.gain_db), stop + 20)
    for note in group:
        first = start if note is group[0] else round((note.start_s - start_s) / FRAME_S)
        wanted_db = -60 + articulation.dynamics_db * (note.velocity - 90) / 37
        track.gain_db[max(first, 0) : end] = np.clip(wanted_db - power_db, -80, 40)


def _shape(track: _Track, articulation: Articulation) -> NDArray[np.float64]:
    """Gain in dB of every frame: smoothed over 35 ms, with a release after the last frame and silence elsewhere."""
    frames = len(track.gain_db)
    sounding = np.flatnonzero(track.source >= 0)
    known = np.where(np.isfinite(track.gain_db), track.gain_db, np.nan)
    filled = np.interp(np.arange(frames), sounding, known[sounding])
    smooth = np.convolve(np.pad(filled, 3, mode="edge"), np.full(7, 1 / 7), mode="valid")
    present = (track.source >= 0).astype(np.float64)
    # Silence has soft edges: 10 ms in, the release out.
    release = max(2, round(articulation.release_s / FRAME_S))
    edges = np.convolve(np.pad(present, (2, 2), mode="edge"), np.full(5, 0.2), mode="valid") * present
    fall = np.minimum(1, _until_silence(present) / release)
    with np.errstate(divide="ignore"):
        return np.asarray(smooth + np.maximum(20 * np.log10(edges * fall), -90))


def _until_silence(present: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frames left until the next silent one, `(frames,)`."""
    left = np.zeros(len(present))
    for frame in range(len(present) - 2, -1, -1):
        left[frame] = left[frame + 1] + 1 if present[frame] else 0
    return left


def _breathe(
    envelope: NDArray[np.float32],
    gain_db: NDArray[np.float64],
    word: tuple[int, Syllable],
    log_envelope: NDArray[np.float32],
    first_sound: int,
    articulation: Articulation,
    rng: np.random.Generator,
) -> None:
    """An intake of air before the phrase: the vowel's formants, flattened, excited by noise."""
    length = int(rng.integers(35, 80))
    stop = first_sound - int(rng.integers(4, 12))
    start = max(0, stop - length)
    if stop - start < 20:
        return
    before, syllable = word
    vowel = log_envelope[before + syllable.core_start]
    level = vowel.mean()
    envelope[start:stop] = level + 0.4 * (vowel - level)
    power_db = 4.343 * np.log(np.exp(envelope[start]).mean())
    swell = np.sin(np.pi * np.linspace(0.03, 0.97, stop - start)) ** 1.5
    gain_db[start:stop] = -60 - power_db + articulation.breath_db + 20 * np.log10(swell)
