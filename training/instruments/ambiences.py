"""Ambiences from filtered noise and grains: crowds, applause, rain, vinyl, hum, engines, wind, surf."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, oaconvolve, sosfilt

SAMPLE_RATE_HZ = 44100

Stereo = NDArray[np.float64]


def make(length_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """One ambience of a random kind, ``(2, samples)``, peak 1, with fades."""
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    count = max(64, int(length_s * SAMPLE_RATE_HZ))
    sound = kind(count, rng)
    edge = min(count // 3, int(rng.uniform(0.02, 1.0) * SAMPLE_RATE_HZ))
    ramp = np.linspace(0, 1, edge)
    sound[:, :edge] *= ramp
    sound[:, count - edge :] *= ramp[::-1]
    return np.asarray(sound / (np.abs(sound).max() + 1e-9), np.float32)


def _band(noise: Stereo, low_hz: float, high_hz: float) -> Stereo:
    sos = butter(2, (low_hz, min(high_hz, 20000)), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sos, noise, axis=-1), np.float64)


def _unsteady(count: int, rate_hz: float, depth: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A random level around 1, ``(samples,)``: ``rate_hz`` values per second, linearly interpolated."""
    points = np.exp(depth * rng.standard_normal(int(count / SAMPLE_RATE_HZ * rate_hz) + 3))
    return np.asarray(np.interp(np.arange(count) / SAMPLE_RATE_HZ * rate_hz, np.arange(len(points)), points))


def _scattered(count: int, per_s: float, grain: NDArray[np.float64], rng: np.random.Generator) -> Stereo:
    """A short sound at random times, levels and pan positions."""
    impulses = np.zeros((2, count))
    number = max(1, int(per_s * count / SAMPLE_RATE_HZ))
    at, side, level = rng.integers(0, count, number), rng.random(number), rng.exponential(1.0, number)
    np.add.at(impulses[0], at, level * (1 - side))
    np.add.at(impulses[1], at, level * side)
    return np.asarray(oaconvolve(impulses, grain[None], axes=-1)[:, :count], np.float64)


def _crowd(count: int, rng: np.random.Generator) -> Stereo:
    """Crowd: noise in vowel formants, with the syllable rhythm of many voices."""
    sound = np.zeros((2, count))
    for _ in range(int(rng.integers(5, 14))):
        pitch_hz = float(rng.uniform(90, 260))
        time = np.arange(count) / SAMPLE_RATE_HZ
        wander = np.cumsum(pitch_hz * _unsteady(count, 3, 0.12, rng)) / SAMPLE_RATE_HZ
        voice = 2 * (wander % 1) - 1 + 0.3 * rng.standard_normal(count)
        formant_hz = float(rng.uniform(300, 900))
        speech = _band(voice[None], formant_hz * 0.7, formant_hz * 1.4) + 0.4 * _band(voice[None], 1200, 2800)
        rate = float(rng.uniform(3, 6))
        syllables = np.clip(np.sin(2 * np.pi * rate * time + rng.uniform(0, 6)), 0, 1) * _unsteady(
            count, rate, 0.8, rng
        )
        side = float(rng.random())
        sound += speech * syllables * np.array(((1 - side,), (side,)))
    murmur = _band(rng.standard_normal((2, count)), 200, 1500)
    return np.asarray(sound + murmur * (0.3 * np.abs(sound).mean()), np.float64)


def _applause(count: int, rng: np.random.Generator) -> Stereo:
    time = np.arange(int(0.03 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    clap = _band(rng.standard_normal((1, len(time))), float(rng.uniform(500, 900)), float(rng.uniform(2500, 6000)))[0]
    claps = _scattered(count, float(np.exp(rng.uniform(np.log(20), np.log(600)))), clap * np.exp(-time / 0.006), rng)
    return claps * _unsteady(count, 1, 0.3, rng)


def _rain(count: int, rng: np.random.Generator) -> Stereo:
    time = np.arange(int(0.02 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    drop = np.sin(2 * np.pi * float(rng.uniform(1500, 5000)) * time) * np.exp(-time / 0.003)
    drops = _scattered(count, float(rng.uniform(15, 200)), drop, rng)
    hiss = _band(rng.standard_normal((2, count)), float(rng.uniform(400, 2000)), float(rng.uniform(6000, 15000)))
    return drops + float(rng.uniform(0.1, 0.8)) * hiss * _unsteady(count, 0.5, 0.2, rng)


def _old_record(count: int, rng: np.random.Generator) -> Stereo:
    """Crackle, hiss and turntable rumble."""
    time = np.arange(200) / SAMPLE_RATE_HZ
    crackle = _scattered(count, float(rng.uniform(5, 120)), rng.standard_normal(200) * np.exp(-time / 4e-4), rng)
    hiss = _band(rng.standard_normal((2, count)), 1000, 9000)
    rumble = _band(rng.standard_normal((2, count)), 20, 70)
    return crackle + float(rng.uniform(0.02, 0.3)) * hiss + float(rng.uniform(0, 0.8)) * rumble


def _hum(count: int, rng: np.random.Generator) -> Stereo:
    """Mains hum and machine noise."""
    time = np.arange(count) / SAMPLE_RATE_HZ
    mains_hz = float(rng.choice((50, 60)))
    partials = range(1, int(rng.integers(3, 16)))
    tone = sum(
        np.sin(2 * np.pi * mains_hz * n * time + rng.uniform(0, 6)) * rng.random() / n ** rng.uniform(0, 1)
        for n in partials
    )
    return np.stack((tone, tone)) + float(rng.uniform(0, 0.3)) * _band(rng.standard_normal((2, count)), 200, 6000)


def _engine(count: int, rng: np.random.Generator) -> Stereo:
    """An engine that changes speed and passes by."""
    time = np.linspace(0, 1, count)
    low, high = np.sort(np.exp(rng.uniform(np.log(25), np.log(160), 2)))
    turns = np.cumsum(low + (high - low) * time ** float(rng.uniform(0.5, 3))) / SAMPLE_RATE_HZ
    bangs = np.exp(-8 * (turns % 1)) * (1 + 0.4 * np.sin(np.pi * turns)) + 0.2 * rng.standard_normal(count)
    sound = _band(bangs[None], 30, float(rng.uniform(500, 4000)))
    side = 0.5 + 0.5 * np.sin(np.pi * (time - 0.5) * float(rng.choice((-1, 1))))
    return np.asarray(sound * np.stack((1 - side, side)), np.float64)


def _waves(count: int, rng: np.random.Generator) -> Stereo:
    """Wind or surf: low-passed noise with a slowly varying level."""
    pole = float(rng.uniform(0.8, 0.995))
    noise = lfilter([1 - pole], [1, -pole], rng.standard_normal((2, count)), axis=-1)
    time = np.arange(count) / SAMPLE_RATE_HZ
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * float(rng.uniform(0.05, 0.3)) * time + float(rng.uniform(0, 6)))
    return np.asarray(noise * (0.15 + swell ** float(rng.uniform(1, 4))) * _unsteady(count, 2, 0.25, rng), np.float64)


_KINDS: tuple[Callable[[int, np.random.Generator], Stereo], ...] = (
    _crowd,
    _applause,
    _rain,
    _old_record,
    _hum,
    _engine,
    _waves,
)
