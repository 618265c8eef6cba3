"""Drum synthesiser for presets of DrumSynth (Kellett 1998), which are in Debian's ``lmms-common``.

A preset mixes a tone with falling pitch, noise, two overtones and two noise bands, each with a linear envelope, and
may add a filter and distortion. The implementation follows the manual of DrumSynth and its presets, so a drum
resembles that of DrumSynth but is not identical. The presets give hundreds of drum-machine kicks and snares, which no
sample pack under a free licence has.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

SAMPLE_RATE_HZ = 44100
PRESETS = Path("/usr/share/lmms/samples/drumsynth")
LONGEST_S = 3.0
SECTIONS = ("tone", "noise", "overtones", "noiseband", "noiseband2")
CYMBAL_RATIOS = (1.0, 1.41, 1.47, 1.80, 2.53, 2.57)
"""Frequency ratios of the six square waves of a drum machine's cymbal."""

Signal = NDArray[np.float64]


class Preset:
    """Parameters of one drum, by section and name; missing ones are 0."""

    def __init__(self, sections: Mapping[str, Mapping[str, str]]) -> None:
        self._sections = {name.lower(): values for name, values in sections.items()}

    @classmethod
    def read(cls, path: Path) -> Preset:
        """Reads a preset file."""
        parser = ConfigParser(strict=False, interpolation=None, allow_no_value=True, comment_prefixes=(";",))
        text = path.read_text(encoding="latin-1")
        parser.read_string(text[text.index("[") :])
        return cls({name: {key: value or "" for key, value in parser[name].items()} for name in parser.sections()})

    def number(self, section: str, name: str, otherwise: float = 0.0) -> float:
        """The number of a parameter; ``otherwise`` if it is missing or not a number."""
        found = re.match(r"-?\d+(\.\d+)?", self._sections.get(section, {}).get(name, "").strip())
        return float(found[0]) if found else otherwise

    def on(self, section: str) -> bool:
        """Whether a section is switched on."""
        return self.number(section, "on") != 0

    def gain(self, section: str) -> float:
        """Gain of a section: the square of its level, where 128 is 1."""
        return (self.number(section, "level", 128.0) / 128) ** 2

    def points(self, section: str, name: str = "envelope") -> list[tuple[float, float]]:
        """Breakpoints of an envelope: samples from the start, and level (0 to 1)."""
        text = self._sections.get(section, {}).get(name, "")
        found = re.findall(r"(-?[\d.]+),(-?[\d.]+)", text)
        stretch = self.number("general", "stretch", 100.0) / 100
        return [(float(at) * stretch, float(level) / 100) for at, level in found]


def _envelope(points: list[tuple[float, float]], samples: int) -> Signal:
    """Linear interpolation between the breakpoints, zero after the last; ``(samples,)``."""
    if not points:
        return np.zeros(samples)
    at, levels = zip(*points, strict=True)
    return np.asarray(np.interp(np.arange(samples), at, levels, right=0.0), np.float64)


def _falling(preset: Preset, samples: int) -> Signal:
    """Frequency of the tone in Hz at each sample: from F1 to F2, linear or, with droop, faster at first."""
    first, last = preset.number("tone", "f1", 100.0), preset.number("tone", "f2", 50.0)
    end = max(1.0, max((at for at, _ in preset.points("tone")), default=1.0))
    time = np.minimum(np.arange(samples) / end, 1.0)
    droop = preset.number("tone", "droop")
    if droop <= 0:
        return first + (last - first) * time
    rate = 4 * 10 ** ((droop - 20) / 30)
    fallen = (1 - np.exp(-rate * time)) / (1 - np.exp(-rate))
    return np.asarray(first + (last - first) * fallen, np.float64)


def _wave(kind: int, phase: Signal) -> Signal:
    """A sine, squared sine, triangle, sawtooth or square wave; ``phase`` in cycles."""
    turn = phase % 1.0
    if kind == 1:
        return 2 * np.sin(2 * np.pi * phase) ** 2 - 1
    if kind == 2:
        return 4 * np.abs(turn - 0.5) - 1
    if kind == 3:
        return 2 * turn - 1
    return np.where(turn < 0.5, 1.0, -1.0) if kind == 4 else np.sin(2 * np.pi * phase)


def _noise(preset: Preset, samples: int, rng: np.random.Generator) -> Signal:
    """White noise with a spectral slope from -100 (dark) to 100 (bright)."""
    white, slope = rng.uniform(-1, 1, samples), np.clip(preset.number("noise", "slope") / 105, -0.97, 0.97)
    if slope < 0:
        return np.asarray(lfilter([1 + slope], [1, slope], white), np.float64)
    return np.asarray(white - slope * np.concatenate(([0.0], white[:-1])), np.float64)


def _overtones(preset: Preset, samples: int, falling: Signal, tuning: float) -> Signal:
    """Two oscillators: added, frequency modulation, ring modulation, or the square waves of a cymbal."""
    say = functools.partial(preset.number, "overtones")
    first, second = (_envelope(preset.points("overtones", f"envelope{index}"), samples) for index in (1, 2))
    steady, sink = np.ones(samples), falling / max(1.0, float(falling[0]))
    phases = [
        np.cumsum(say(f"f{index}", 200.0) * tuning * (sink if say(f"track{index}") else steady)) / SAMPLE_RATE_HZ
        for index in (1, 2)
    ]
    one, other = (_wave(int(say(f"wave{index}")), phase) for index, phase in enumerate(phases, 1))
    method, amount = int(say("method")), say("param", 50.0) / 100
    if method == 1:
        return first * _wave(int(say("wave1")), phases[0] + amount * 2 * second * other)
    if method == 2:
        return first * one * ((1 - amount) + amount * second * other)
    if method == 3:
        squares = sum(np.sign(np.sin(2 * np.pi * ratio * phases[0])) for ratio in CYMBAL_RATIOS)
        sos = butter(2, 3000, "high", fs=SAMPLE_RATE_HZ, output="sos")
        return np.asarray(first * sosfilt(sos, squares) / 3, np.float64)
    return (1 - amount) * first * one + amount * second * other


def _band(preset: Preset, section: str, samples: int, tuning: float, rng: np.random.Generator) -> Signal:
    """Noise in a band around a frequency."""
    centre_hz = float(np.clip(preset.number(section, "f", 1000.0) * tuning, 20, 18_000))
    width_hz = max(8.0, centre_hz * preset.number(section, "df", 50.0) / 200)
    slow = sosfilt(butter(1, min(width_hz, 15_000), fs=SAMPLE_RATE_HZ, output="sos"), rng.standard_normal(samples))
    slow /= max(1e-6, float(np.std(slow)) * 2)
    carried = slow * np.sin(2 * np.pi * centre_hz * np.arange(samples) / SAMPLE_RATE_HZ)
    return np.asarray(carried * _envelope(preset.points(section), samples), np.float64)


def _filtered(preset: Preset, sound: Signal) -> Signal:
    """Applies the preset's filter to the whole drum, if it is on."""
    if not preset.number("general", "filter"):
        return sound
    opened = _envelope(preset.points("general", "filterenv"), len(sound))
    weights = np.abs(sound) + 1e-9
    cutoff_hz = float(np.clip(20 * 1000 ** np.average(opened, weights=weights), 30, 19_000))
    kind = "high" if preset.number("general", "highpass") else "low"
    return np.asarray(sosfilt(butter(2, cutoff_hz, kind, fs=SAMPLE_RATE_HZ, output="sos"), sound), np.float64)


def _distorted(preset: Preset, sound: Signal) -> Signal:
    """Distortion: clipping, reduced bit depth and reduced sample rate."""
    if not preset.on("distortion"):
        return sound
    clip = 10 ** (preset.number("distortion", "clipping") / 20)
    sound = np.clip(sound * clip, -1, 1)
    steps = 2 ** max(2.0, 15 - 2 * preset.number("distortion", "bits"))
    hold = 1 + int(preset.number("distortion", "rate"))
    return np.repeat((np.round(sound * steps) / steps)[::hold], hold)[: len(sound)]


def sounds(path: Path) -> bool:
    """Whether any section of a preset is switched on."""
    preset = Preset.read(path)
    return any(preset.on(name) for name in SECTIONS)


@functools.lru_cache(maxsize=256)
def render(path: Path) -> NDArray[np.float32]:
    """Renders the drum of a preset, ``(2, samples)`` at 44.1 kHz, peak 1; the result is deterministic.

    Raises:
        ValueError: the preset is silent.
    """
    preset = Preset.read(path)
    sections = [name for name in SECTIONS if preset.on(name)]
    corners = [preset.points(name) for name in sections if name != "overtones"]
    corners += [preset.points("overtones", f"envelope{index}") for index in (1, 2) if "overtones" in sections]
    samples = min(int(max((at for points in corners for at, _ in points), default=0)), int(LONGEST_S * SAMPLE_RATE_HZ))
    if samples < 2:
        raise ValueError(f"{path} describes no sound.")
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    tuning = 2 ** (preset.number("general", "tuning") / 12)
    falling = _falling(preset, samples) * tuning
    sound = np.zeros(samples)
    if "tone" in sections:
        phase = np.cumsum(falling) / SAMPLE_RATE_HZ + preset.number("tone", "phase") / 360
        sound += preset.gain("tone") * np.sin(2 * np.pi * phase) * _envelope(preset.points("tone"), samples)
    if "noise" in sections:
        sound += preset.gain("noise") * _noise(preset, samples, rng) * _envelope(preset.points("noise"), samples)
    if "overtones" in sections:
        sound += preset.gain("overtones") * _overtones(preset, samples, falling, tuning)
    for section in ("noiseband", "noiseband2"):
        if section in sections:
            sound += preset.gain(section) * _band(preset, section, samples, tuning, rng)
    sound = _distorted(preset, _filtered(preset, sound))
    peak = float(np.abs(sound).max())
    if not peak > 1e-6:
        raise ValueError(f"{path} describes no sound.")
    fade = min(64, samples)
    sound[-fade:] *= np.linspace(1, 0, fade)
    return np.tile(np.asarray(sound / peak, np.float32), (2, 1))
