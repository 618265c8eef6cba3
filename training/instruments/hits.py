"""Synthesised drums: kicks, snares, claps, hi-hats, toms, cymbals, rimshots, shakers."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

SAMPLE_RATE_HZ = 44100
KINDS = ("kick", "snare", "clap", "hat", "open_hat", "tom", "rim", "crash", "ride", "shaker")

_SKIN_RATIOS = (1.0, 1.594, 2.136, 2.296, 2.653)  # modes of an ideal membrane
_METAL_HZ = (205.3, 304.4, 369.6, 522.7, 540.0, 800.0)  # six square waves of the classic analogue hi-hat


def strike(kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Synthesises one hit of a kind of ``KINDS``; ``(2, samples)``, peak 1."""
    if kind == "kick":
        sound = _kick(rng)
    elif kind in ("snare", "rim"):
        sound = _snare(rng, short=kind == "rim")
    elif kind == "tom":
        sound = _tom(rng)
    elif kind == "clap":
        sound = _clap(rng)
    elif kind == "shaker":
        sound = _shaker(rng)
    else:
        low, high = {"hat": (0.012, 0.06), "open_hat": (0.1, 0.35), "ride": (0.3, 0.6), "crash": (0.4, 0.8)}[kind]
        sound = _metal(rng, float(rng.uniform(low, high)))
    fade = min(len(sound), 400)
    sound[len(sound) - fade :] *= np.linspace(1, 0, fade)
    sound /= np.abs(sound).max() + 1e-9
    return np.stack((sound, sound)).astype(np.float32)


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _noise(rng: np.random.Generator, count: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    sos = butter(2, (low_hz, min(high_hz, 20000)), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sos, rng.standard_normal(count)), np.float64)


def _sweep(
    rng: np.random.Generator, floor_hz: float, ratio: float, decay_s: float, fall_s: float = 0.03
) -> NDArray[np.float64]:
    time = _time(min(1.5, decay_s * 6))
    frequency = floor_hz * (1 + (ratio - 1) * np.exp(-time / fall_s))
    return np.asarray(
        np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE_HZ + rng.uniform(0, 0.5)) * np.exp(-time / decay_s),
        np.float64,
    )


def _skin(
    rng: np.random.Generator, lowest_hz: float, decay_s: float, bend: float, brightness: float
) -> NDArray[np.float64]:
    """A drum head: membrane modes that start slightly sharp; higher modes decay faster."""
    time = _time(min(2.5, decay_s * 6))
    phase = 2 * np.pi * np.cumsum(lowest_hz * (1 + bend * np.exp(-time / 0.025))) / SAMPLE_RATE_HZ
    sound = np.zeros(len(time))
    for number, ratio in enumerate(_SKIN_RATIOS):
        tuned = ratio * float(rng.uniform(0.97, 1.03))
        level = float(rng.uniform(0.4, 1)) * brightness**number
        sound += level * np.sin(tuned * phase) * np.exp(-time * tuned**1.4 / decay_s)
    return sound


def _stick(rng: np.random.Generator, count: int, decay_s: float, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Stick noise: a noise burst, peak 1."""
    burst = _noise(rng, count, low_hz, high_hz) * np.exp(-np.arange(count) / (decay_s * SAMPLE_RATE_HZ))
    return np.asarray(burst / (np.abs(burst).max() + 1e-9), np.float64)


def _tom(rng: np.random.Generator) -> NDArray[np.float64]:
    if rng.random() < 0.3:  # electronic snare
        return _sweep(rng, float(rng.uniform(70, 150)), float(rng.uniform(1.2, 2)), float(rng.uniform(0.1, 0.4)))
    sound = _skin(
        rng,
        float(rng.uniform(65, 160)),
        float(rng.uniform(0.1, 0.5)),
        float(rng.uniform(0.03, 0.25)),
        float(rng.uniform(0.2, 0.6)),
    )
    return sound + rng.uniform(0.1, 0.5) * _stick(rng, len(sound), float(rng.uniform(0.002, 0.01)), 300, 5000)


def _kick(rng: np.random.Generator) -> NDArray[np.float64]:
    return _acoustic_kick(rng) if rng.random() < 0.6 else _electronic_kick(rng)


def _acoustic_kick(rng: np.random.Generator) -> NDArray[np.float64]:
    """Acoustic kick: a body of 45 to 95 Hz, damped or ringing, with a felt or wooden beater."""
    stuffed = rng.random() < 0.5
    body = _skin(
        rng,
        float(rng.uniform(45, 95)),
        float(rng.uniform(0.03, 0.08) if stuffed else rng.uniform(0.09, 0.3)),
        float(rng.uniform(0.05, 0.5)),
        float(rng.uniform(0.1, 0.4)),
    )
    shell = _stick(rng, len(body), float(rng.uniform(0.01, 0.04)), 120, float(rng.uniform(300, 700)))
    beater = _stick(rng, len(body), float(rng.uniform(0.001, 0.006)), 1000, float(rng.uniform(2500, 7000)))
    sound = body + rng.uniform(0, 0.25) * shell + rng.uniform(0.03, 0.22) * beater
    return np.asarray(np.tanh(sound * rng.uniform(0.3, 2)), np.float64)


def _electronic_kick(rng: np.random.Generator) -> NDArray[np.float64]:
    """Electronic kick: a sine with falling pitch and a click, short or long."""
    sound = _sweep(
        rng,
        float(rng.uniform(38, 72)),
        float(rng.uniform(1.5, 9)),
        float(rng.choice((rng.uniform(0.04, 0.14), rng.uniform(0.14, 0.7)))),
        float(rng.uniform(0.006, 0.06)),
    )
    click = min(len(sound), int(rng.uniform(0.001, 0.012) * SAMPLE_RATE_HZ))
    sound[:click] += rng.uniform(0, 0.5) * rng.standard_normal(click) * np.linspace(1, 0, click)
    if rng.random() < 0.4:  # beater
        beater = _time(0.03)
        count = min(len(sound), len(beater))
        sound[:count] += (
            rng.uniform(0.1, 0.5)
            * (np.sin(2 * np.pi * rng.uniform(1500, 4500) * beater) * np.exp(-beater / 0.004))[:count]
        )
    gain = rng.uniform(0.5, 6)
    return np.asarray(np.tanh(sound * gain), np.float64)


def _snare(rng: np.random.Generator, short: bool) -> NDArray[np.float64]:
    decay = float(rng.uniform(0.01, 0.03) if short else rng.uniform(0.04, 0.2))
    time = _time(decay * 6)
    tone = float(rng.uniform(400, 1700) if short else rng.uniform(140, 280))
    head = sum(rng.uniform(0.3, 1) * np.sin(2 * np.pi * tone * ratio * time) for ratio in (1, 1.59, 2.14)) * np.exp(
        -time / (decay * 0.6)
    )
    wires = _noise(rng, len(time), float(rng.uniform(300, 2500)), float(rng.uniform(6000, 16000))) * np.exp(
        -time / decay
    )
    return np.asarray(rng.uniform(0.15, 0.7) * head + rng.uniform(0.6, 1.6) * wires, np.float64)


def _clap(rng: np.random.Generator) -> NDArray[np.float64]:
    time = _time(0.35)
    gap = float(rng.uniform(0.007, 0.014))
    envelope = sum(np.where(time >= hand * gap, np.exp(-(time - hand * gap) / 0.004), 0) for hand in range(3))
    tail = np.where(time >= 3 * gap, np.exp(-(time - 3 * gap) / float(rng.uniform(0.03, 0.1))), 0)
    return np.asarray(
        _noise(rng, len(time), float(rng.uniform(600, 1200)), float(rng.uniform(3000, 9000))) * (envelope + tail),
        np.float64,
    )


def _metal(rng: np.random.Generator, decay_s: float) -> NDArray[np.float64]:
    time = _time(min(2.5, decay_s * 5))
    tuning = float(rng.uniform(0.8, 1.6))
    squares = sum(np.sign(np.sin(2 * np.pi * hz * tuning * rng.uniform(0.97, 1.03) * time)) for hz in _METAL_HZ)
    mixed = rng.uniform(0, 0.6) * squares + rng.standard_normal(len(time))
    sos = butter(3, float(rng.uniform(3000, 8500)), "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sos, mixed) * np.exp(-time / decay_s), np.float64)


def _shaker(rng: np.random.Generator) -> NDArray[np.float64]:
    length = float(rng.uniform(0.05, 0.16))
    time = _time(length)
    envelope = np.sin(np.pi * np.clip(time / length, 0, 1)) ** float(rng.uniform(0.7, 3))
    return np.asarray(
        _noise(rng, len(time), float(rng.uniform(2500, 5500)), float(rng.uniform(8000, 15000))) * envelope, np.float64
    )
