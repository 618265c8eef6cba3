"""Random programmes of the synthesiser: leads, pads, basses, keyboards, and imitations of strings and winds."""

import functools
from pathlib import Path

import numpy as np
import soundfile

from training.instruments import library
from training.instruments.synthesis import WAVES, SynthPatch

CYCLE, PARTIALS = 256, 48
"""Samples per cycle in a file of single-cycle waves, and the number of partials used."""

_WAVETABLES = 0.3
"""Share of oscillators with single-cycle waves of the library, if it has any."""


def _spread(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _oscillator(rng: np.random.Generator) -> tuple[str, tuple[float, ...]]:
    if (files := _wavetables()) and rng.random() < _WAVETABLES:
        return "table", _partials(files[int(rng.integers(len(files)))], rng)
    wave = str(rng.choice(WAVES, p=(0.34, 0.2, 0.1, 0.06, 0.15, 0.15)))
    count = int(rng.integers(3, 24))
    table = tuple((rng.random(count) / np.arange(1, count + 1) ** rng.uniform(0.3, 1.5)).tolist())
    return wave, table


@functools.lru_cache(maxsize=1)
def _wavetables() -> tuple[Path, ...]:
    found = [instrument for instrument in library.instruments() if instrument.family == "wavetable"]
    return tuple(recording.path for instrument in found for recording in library.recordings(instrument))


def _partials(path: Path, rng: np.random.Generator) -> tuple[float, ...]:
    """Amplitudes of the partials of a single-cycle wave file."""
    audio, _ = soundfile.read(path, dtype="float32", always_2d=True)
    cycles = audio[: len(audio) // CYCLE * CYCLE, 0].reshape(-1, CYCLE)
    levels = np.abs(np.fft.rfft(cycles[int(rng.integers(len(cycles)))]))[1 : PARTIALS + 1]
    if not levels.max() > 1e-3:
        return (1.0,)  # silent file
    return tuple((levels / levels.max()).tolist())


def lead(rng: np.random.Generator) -> SynthPatch:
    """A lead: bright, sustained, often with glide."""
    wave, table = _oscillator(rng)
    return SynthPatch(
        wave,
        voices=int(rng.choice((1, 2, 3, 7))),
        detune_cents=_spread(rng, 4, 40),
        width=float(rng.uniform(0.1, 0.5)),
        ratio=float(rng.choice((0.5, 1, 2, 3, 1.41))),
        index=float(rng.uniform(0.5, 5)),
        table=table,
        sub=float(rng.choice((0, 0, 0.4))),
        attack_s=_spread(rng, 0.002, 0.06),
        decay_s=_spread(rng, 0.1, 1),
        sustain=float(rng.uniform(0.4, 1)),
        release_s=_spread(rng, 0.04, 0.3),
        cutoff_hz=_spread(rng, 900, 9000),
        sweep=float(rng.uniform(1, 4)),
        sweep_s=_spread(rng, 0.05, 0.5),
        resonance_db=float(rng.uniform(0, 9)),
        vibrato_cents=float(rng.choice((0, 10, 25))),
        glide_s=float(rng.choice((0, 0, 0.06, 0.12))),
        drive=float(rng.choice((0, 0, 2, 5))),
    )


def pad(rng: np.random.Generator) -> SynthPatch:
    """A pad: slow attack, wide, soft."""
    wave, table = _oscillator(rng)
    return SynthPatch(
        wave,
        voices=int(rng.choice((2, 3, 4))),
        detune_cents=_spread(rng, 6, 35),
        width=float(rng.uniform(0.15, 0.5)),
        ratio=float(rng.choice((0.5, 1, 2, 3))),
        index=float(rng.uniform(0.3, 2)),
        table=table,
        sub=float(rng.choice((0, 0.3))),
        attack_s=_spread(rng, 0.05, 1.2),
        decay_s=1.0,
        sustain=float(rng.uniform(0.7, 1)),
        release_s=_spread(rng, 0.3, 1.5),
        cutoff_hz=_spread(rng, 500, 5000),
        sweep=float(rng.uniform(0.5, 2)),
        sweep_s=_spread(rng, 0.5, 3),
        resonance_db=float(rng.uniform(0, 5)),
        vibrato_cents=float(rng.choice((0, 5))),
    )


def pluck(rng: np.random.Generator) -> SynthPatch:
    """A plucked sound for arpeggios and stabs, with a short filter sweep."""
    wave, table = _oscillator(rng)
    return SynthPatch(
        wave,
        voices=int(rng.choice((1, 1, 2, 5))),
        detune_cents=_spread(rng, 4, 35),
        width=float(rng.uniform(0.1, 0.5)),
        ratio=float(rng.choice((1, 2, 3, 3.5, 7))),
        index=float(rng.uniform(0.5, 4)),
        table=table,
        attack_s=0.002,
        decay_s=_spread(rng, 0.06, 0.6),
        sustain=float(rng.choice((0, 0, 0.3, 0.6))),
        release_s=_spread(rng, 0.03, 0.4),
        cutoff_hz=_spread(rng, 400, 4000),
        sweep=_spread(rng, 1.5, 10),
        sweep_s=_spread(rng, 0.03, 0.3),
        resonance_db=float(rng.uniform(0, 10)),
        drive=float(rng.choice((0, 0, 2))),
    )


def bass(rng: np.random.Generator) -> SynthPatch:
    """A synth bass: sub, 808, acid, reese, FM or plain."""
    kind = str(rng.choice(("sub", "sub", "sub", "808", "808", "acid", "reese", "fm", "plain", "plain")))
    slide = float(rng.choice((0, 0.06)))
    if kind == "sub":
        wave = str(rng.choice(("sine", "triangle")))
        return SynthPatch(
            wave,
            sustain=0.9,
            release_s=0.08,
            cutoff_hz=_spread(rng, 200, 1200),
            glide_s=slide,
            drive=float(rng.choice((0, 1, 3))),
        )
    if kind == "808":
        decay_s, drop, drive = _spread(rng, 0.4, 2), float(rng.uniform(5, 24)), float(rng.uniform(0, 6))
        return SynthPatch(
            "sine", decay_s=decay_s, sustain=0.1, release_s=0.2, cutoff_hz=4000, drop=drop, drive=drive, glide_s=slide
        )
    if kind == "acid":
        return SynthPatch(
            str(rng.choice(("saw", "pulse"))),
            decay_s=0.25,
            sustain=0.4,
            cutoff_hz=_spread(rng, 150, 700),
            sweep=_spread(rng, 3, 14),
            sweep_s=_spread(rng, 0.06, 0.3),
            resonance_db=float(rng.uniform(8, 18)),
            glide_s=slide,
            drive=float(rng.uniform(0, 5)),
        )
    if kind == "reese":
        return SynthPatch(
            "saw",
            3,
            _spread(rng, 15, 50),
            sub=0.5,
            sustain=1.0,
            cutoff_hz=_spread(rng, 300, 2000),
            drive=float(rng.uniform(0, 4)),
        )
    if kind == "fm":
        return SynthPatch(
            "fm",
            ratio=float(rng.choice((0.5, 1, 2, 3))),
            index=float(rng.uniform(1, 5)),
            decay_s=_spread(rng, 0.15, 0.8),
            sustain=0.4,
            cutoff_hz=_spread(rng, 800, 6000),
            sub=float(rng.choice((0, 0.5))),
        )
    return SynthPatch(
        str(rng.choice(("saw", "pulse", "triangle"))),
        voices=int(rng.choice((1, 2))),
        detune_cents=8,
        width=float(rng.uniform(0.2, 0.5)),
        sub=float(rng.uniform(0, 0.8)),
        decay_s=_spread(rng, 0.1, 0.8),
        sustain=float(rng.uniform(0.2, 1)),
        cutoff_hz=_spread(rng, 200, 2500),
        sweep=_spread(rng, 1, 6),
        sweep_s=_spread(rng, 0.05, 0.3),
        resonance_db=float(rng.uniform(0, 8)),
        drive=float(rng.choice((0, 0, 2, 4))),
    )


def electric_piano(rng: np.random.Generator) -> SynthPatch:
    """An electric piano: two FM operators, as in the eighties, or a tine with some drive."""
    ratio = float(rng.choice((1, 1, 1, 2, 3, 14)))
    return SynthPatch(
        "fm",
        voices=int(rng.choice((1, 2))),
        detune_cents=_spread(rng, 2, 12),
        ratio=ratio,
        index=float(rng.uniform(0.3, 1.8)) if ratio < 5 else float(rng.uniform(0.05, 0.25)),
        attack_s=0.002,
        decay_s=_spread(rng, 0.8, 3),
        sustain=0.0,
        release_s=_spread(rng, 0.06, 0.3),
        cutoff_hz=_spread(rng, 1500, 7000),
        sweep=1.0,
        sweep_s=_spread(rng, 0.1, 0.8),
        drive=float(rng.choice((0, 0, 1.5, 3))),
    )


_DRAWBARS = (1, 3, 2, 4, 6, 8, 10, 12, 16)  # partials of the 16-foot pipe, in order of the drawbars


def organ(rng: np.random.Generator) -> SynthPatch:
    """An organ of nine drawbars, each at one of eight positions."""
    places = rng.integers(0, 9, len(_DRAWBARS))
    places[:3] = np.maximum(places[:3], (0, 0, 5))
    table = [0.0] * 16
    for partial, place in zip(_DRAWBARS, places.tolist(), strict=True):
        table[partial - 1] = 0.0 if place == 0 else 10 ** (-3 * (8 - place) / 20)
    drive = float(rng.choice((0, 0, 1.5, 3)))
    return SynthPatch(
        "table",
        table=tuple(table),
        octave=-1,
        attack_s=0.004,
        sustain=1.0,
        release_s=0.02,
        cutoff_hz=_spread(rng, 3500, 9000),
        drive=drive,
    )


def bowed(rng: np.random.Generator, players: int) -> SynthPatch:
    """A bowed string or section: like a sawtooth with drift and bow noise, without body resonances."""
    count = 40
    tilt, bumps = float(rng.uniform(0.7, 1.3)), rng.uniform(0.3, 1.5, count)
    return SynthPatch(
        "table",
        voices=players,
        detune_cents=float(rng.uniform(8, 28)) if players > 1 else 0.0,
        table=tuple((bumps / np.arange(1, count + 1) ** tilt).tolist()),
        attack_s=_spread(rng, 0.03, 0.25),
        decay_s=1.0,
        sustain=float(rng.uniform(0.8, 1)),
        release_s=_spread(rng, 0.08, 0.35),
        cutoff_hz=_spread(rng, 2500, 9000),
        vibrato_cents=float(rng.uniform(0, 28)),
        vibrato_hz=float(rng.uniform(4.5, 6.5)),
        drift_cents=float(rng.uniform(3, 12)),
        breath=float(rng.uniform(0.005, 0.05)),
    )


def blown(rng: np.random.Generator, family: str) -> SynthPatch:
    """A wind instrument: ``brass`` is brighter when louder; ``woodwinds`` are flute, clarinet, oboe or saxophone."""
    partials = np.arange(1, 31)
    bumps = rng.uniform(0.5, 1.4, 30)
    sweep, breath, cutoff_hz = 1.0, float(rng.uniform(0.01, 0.05)), _spread(rng, 2500, 9000)
    kind = "brass" if family == "brass" else str(rng.choice(("flute", "clarinet", "oboe", "saxophone")))
    if kind == "brass":
        levels = bumps / partials ** float(rng.uniform(0.4, 1.0))
        sweep, cutoff_hz = float(rng.uniform(0.3, 0.9)), _spread(rng, 1200, 6000)
    elif kind == "flute":
        levels = bumps / partials ** float(rng.uniform(1.8, 2.8))
        breath = float(rng.uniform(0.05, 0.25))
    elif kind == "clarinet":
        levels = bumps / partials ** float(rng.uniform(0.6, 1.2)) * np.where(partials % 2 == 1, 1.0, 0.12)
    else:
        peak = float(rng.uniform(2, 6))
        levels = bumps * (0.4 / partials**0.8 + np.exp(-(((partials - peak) / 2) ** 2)))
    return SynthPatch(
        "table",
        voices=int(rng.choice((1, 1, 1, 3))),
        detune_cents=float(rng.uniform(5, 18)),
        table=tuple(levels.tolist()),
        attack_s=_spread(rng, 0.015, 0.09),
        decay_s=0.5,
        sustain=float(rng.uniform(0.7, 1)),
        release_s=_spread(rng, 0.04, 0.15),
        cutoff_hz=cutoff_hz,
        sweep=sweep,
        sweep_s=_spread(rng, 0.03, 0.12),
        vibrato_cents=float(rng.uniform(0, 25)),
        vibrato_hz=float(rng.uniform(4.3, 6.2)),
        glide_s=float(rng.choice((0, 0.02, 0.04))),
        drift_cents=float(rng.uniform(2, 9)),
        breath=breath,
    )
