"""A synthesiser: subtractive, FM and wavetable voices for leads, pads, arpeggios and basses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from training.compose.note import Note

SAMPLE_RATE_HZ = 44100
WAVES = ("saw", "pulse", "triangle", "sine", "fm", "table")


@dataclass(frozen=True)
class SynthPatch:
    """A programme of the synthesiser.

    Attributes:
        wave: one of ``WAVES``.
        voices: number of unison voices, spread in stereo.
        detune_cents: between the outermost voices.
        width: duty cycle of the pulse wave.
        ratio, index: frequency ratio and depth of the FM modulator.
        table: amplitudes of the wavetable's partials.
        sub: level of a sine one octave below.
        attack_s, decay_s, sustain, release_s: amplitude envelope.
        cutoff_hz: low-pass cut-off after the sweep.
        sweep: factor of the cut-off at the onset of a note.
        sweep_s: duration of the sweep.
        resonance_db: resonance at the cut-off.
        vibrato_cents, vibrato_hz: depth and rate of the vibrato, which starts after 0.15 s.
        drift_cents: random pitch drift.
        breath: level of noise under the same envelope.
        octave: transposition of the line in octaves.
        glide_s: portamento time from the note before; 0 is off.
        drop: semitones by which the pitch falls at the onset (as in the attack of an 808).
        drive: gain before saturation; 0 is clean.
    """

    wave: str = "saw"
    voices: int = 1
    detune_cents: float = 0.0
    width: float = 0.5
    ratio: float = 1.0
    index: float = 2.0
    table: tuple[float, ...] = (1.0,)
    sub: float = 0.0
    attack_s: float = 0.005
    decay_s: float = 0.3
    sustain: float = 0.7
    release_s: float = 0.1
    cutoff_hz: float = 3000.0
    sweep: float = 1.0
    sweep_s: float = 0.2
    resonance_db: float = 0.0
    vibrato_cents: float = 0.0
    glide_s: float = 0.0
    drop: float = 0.0
    drive: float = 0.0
    vibrato_hz: float = 5.3
    drift_cents: float = 0.0
    breath: float = 0.0
    octave: int = 0


def play(notes: Sequence[Note], sound: SynthPatch, duration_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Renders a line, ``(2, samples)`` at 44.1 kHz, dry."""
    samples = round(duration_s * SAMPLE_RATE_HZ)
    audio = np.zeros((2, samples), np.float32)
    steady, swept = _filters(sound)
    before = notes[0].pitch if notes else 60
    for note in notes:
        start = round(note.start_s * SAMPLE_RATE_HZ)
        count = min(samples - start, round((note.duration_s + sound.release_s) * SAMPLE_RATE_HZ))
        if count < 64:
            continue
        raw = _raw(note, before, sound, count, rng)
        before = note.pitch
        time = np.arange(count) / SAMPLE_RATE_HZ
        voiced = sosfilt(steady, raw, axis=-1)
        if abs(sound.sweep - 1) > 0.05:
            openness = np.exp(-time / sound.sweep_s)
            voiced = voiced * (1 - openness) + sosfilt(swept, raw, axis=-1) * openness
        voiced *= _envelope(sound, note.duration_s, time) * (note.velocity / 127)
        if sound.drive:
            voiced = np.tanh(voiced * sound.drive) / np.tanh(max(1.0, sound.drive))
        audio[:, start : start + count] += voiced.astype(np.float32)
    return audio


def _filters(sound: SynthPatch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    def sections(cutoff_hz: float) -> NDArray[np.float64]:
        cutoff_hz = min(18000.0, max(60.0, cutoff_hz))
        omega = 2 * np.pi * cutoff_hz / SAMPLE_RATE_HZ
        quality = 0.707 * 10 ** (sound.resonance_db / 20)
        alpha, cosine = np.sin(omega) / (2 * quality), np.cos(omega)
        resonant = np.array((((1 - cosine) / 2, 1 - cosine, (1 - cosine) / 2, 1 + alpha, -2 * cosine, 1 - alpha),)) / (
            1 + alpha
        )
        return np.asarray(np.concatenate((resonant, butter(2, cutoff_hz, fs=SAMPLE_RATE_HZ, output="sos"))), np.float64)

    return sections(sound.cutoff_hz), sections(sound.cutoff_hz * sound.sweep)


def _raw(note: Note, before: int, sound: SynthPatch, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(count) / SAMPLE_RATE_HZ
    semitones = np.full(count, float(note.pitch - 69 + 12 * sound.octave))
    if sound.glide_s:
        semitones += (before - note.pitch) * np.exp(-time / sound.glide_s * 3)
    if sound.drop:
        semitones += sound.drop * np.exp(-time / 0.02)
    if sound.vibrato_cents:
        semitones += (
            sound.vibrato_cents
            / 100
            * np.sin(2 * np.pi * sound.vibrato_hz * (time + rng.random()))
            * np.clip((time - 0.15) / 0.3, 0, 1)
        )
    if sound.drift_cents:
        points = rng.normal(0, sound.drift_cents / 100, count // 4410 + 2)
        semitones += np.interp(time, np.arange(len(points)) * 0.1, points)
    frequency = 440 * 2 ** (semitones / 12)
    stereo = np.zeros((2, count))
    for voice in range(sound.voices):
        place = 2 * voice / max(1, sound.voices - 1) - 1 if sound.voices > 1 else 0.0
        step = frequency * 2 ** (place * sound.detune_cents / 2400) / SAMPLE_RATE_HZ
        phase = np.cumsum(step) + rng.random()
        angle = (0.8 * place + 1) * np.pi / 4
        stereo += _wave(sound, phase, step, time) * np.array(((np.cos(angle),), (np.sin(angle),)))
    if sound.sub:
        stereo += sound.sub * np.sin(np.pi * np.cumsum(frequency) / SAMPLE_RATE_HZ)
    stereo /= np.sqrt(sound.voices)
    if sound.breath:
        stereo += sound.breath * rng.standard_normal(count)
    return stereo


def _wave(
    sound: SynthPatch, phase: NDArray[np.float64], step: NDArray[np.float64], time: NDArray[np.float64]
) -> NDArray[np.float64]:
    if sound.wave == "saw":
        return _saw(phase % 1, step)
    if sound.wave == "pulse":
        return _saw(phase % 1, step) - _saw((phase + sound.width) % 1, step)
    if sound.wave == "triangle":
        return np.asarray(2 / np.pi * np.arcsin(np.sin(2 * np.pi * phase)), np.float64)
    if sound.wave == "fm":
        depth = sound.index * (0.3 + 0.7 * np.exp(-time / max(0.05, sound.sweep_s)))
        return np.asarray(np.sin(2 * np.pi * phase + depth * np.sin(2 * np.pi * sound.ratio * phase)), np.float64)
    if sound.wave == "table":
        partials = np.arange(1, len(sound.table) + 1)
        levels = np.array(sound.table) * (partials * float(step.max()) < 0.45)
        cycle = (levels[:, None] * np.sin(2 * np.pi * partials[:, None] * np.arange(2049) / 2048)).sum(axis=0)
        return np.asarray(
            np.interp(phase % 1 * 2048, np.arange(2049), cycle / (np.abs(cycle).max() + 1e-9)), np.float64
        )
    return np.asarray(np.sin(2 * np.pi * phase), np.float64)


def _saw(phase: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """A band-limited sawtooth (PolyBLEP over two samples; V. Valimaki and A. Huovilainen, 2007)."""
    saw = 2 * phase - 1
    rising = phase < step
    along = phase[rising] / step[rising]
    saw[rising] -= 2 * along - along**2 - 1
    falling = phase > 1 - step
    along = (phase[falling] - 1) / step[falling]
    saw[falling] -= along**2 + 2 * along + 1
    return saw


def _envelope(sound: SynthPatch, held_s: float, time: NDArray[np.float64]) -> NDArray[np.float64]:
    rise = np.clip(time / max(0.001, sound.attack_s), 0, 1)
    fall = sound.sustain + (1 - sound.sustain) * np.exp(-np.maximum(0, time - sound.attack_s) / sound.decay_s * 2)
    release = np.exp(-np.maximum(0, time - held_s) / max(0.005, sound.release_s) * 4)
    edge = np.clip((time[-1] - time) / 0.003, 0, 1)
    return np.asarray(rise * fall * release * edge, np.float64)
