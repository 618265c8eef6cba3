"""WORLD analysis of speech: spectral envelope, aperiodicity, voicing and syllables, cached on disk.

The analysis (Morise et al., "WORLD: a vocoder-based high-quality speech synthesis system for real-time applications",
2016) is the slowest step of singing, so each utterance is analysed once and used in many songs.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, median_filter
from scipy.signal import find_peaks

from training.voices.contour import FRAME_S
from training.voices.speech import speak
from training.voices.voice import Voice
from training.voices.world import pyworld

# Frequency axis of all envelopes: equally spaced in mel, from 0 to 22.05 kHz.
POINTS = 160
AXIS_HZ = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 22050 / 700), POINTS) / 2595) - 1)
COARSE = AXIS_HZ[::4]  # Aperiodicity is smooth: the cache stores every fourth point.
FORMAT = "3"  # Part of the cache key: increase it when the analysis changes.


@dataclass(frozen=True)
class Syllable:
    """Frames of a syllable: consonants from `start`, vowel from `core_start` to `core_end`, consonants to `end`."""

    start: int
    core_start: int
    core_end: int
    end: int


@dataclass(frozen=True)
class Utterance:
    """Analysed speech in frames of 5 ms.

    `log_envelope` is the natural log of the power spectrum, `aperiodicity` the amplitude share of noise (0 to 1), both
    `(frames, POINTS)` on AXIS_HZ; `voiced` is `(frames,)`.
    """

    log_envelope: NDArray[np.float32]
    aperiodicity: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    syllables: tuple[Syllable, ...]


def cache_folder() -> Path:
    """Folder of the cache: STEMWRIGHT_VOICE_CACHE, or `training/runs/voices`."""
    default = Path(__file__).resolve().parents[1] / "runs" / "voices"
    return Path(os.environ.get("STEMWRIGHT_VOICE_CACHE") or default)


@functools.lru_cache(maxsize=64)
def utterance(voice: Voice, text: str, speed: float) -> Utterance:
    """The analysis of `text` spoken by `voice`, from the cache if possible."""
    key = "|".join((FORMAT, voice.engine, voice.name, voice.language, f"{speed:.3f}", text))
    digest = hashlib.sha256(key.encode()).hexdigest()
    path = cache_folder() / digest[:2] / f"{digest}.npz"
    if not path.is_file():
        samples, rate = speak(voice, text, speed)
        log_envelope, aperiodicity, voiced = analyse(samples, rate)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
            np.savez(
                file,
                log_envelope=log_envelope.astype(np.float16),
                aperiodicity=aperiodicity[:, ::4].astype(np.float16),
                voiced=voiced,
            )
        # Write atomically: several processes share the cache.
        Path(file.name).replace(path)
    with np.load(path) as stored:
        log_envelope = stored["log_envelope"].astype(np.float32)
        voiced = stored["voiced"]
        # (frames, points of COARSE) -> (frames, POINTS)
        aperiodicity = _onto_axis(stored["aperiodicity"].astype(np.float64), COARSE).astype(np.float32)
        return Utterance(log_envelope, aperiodicity, voiced, tuple(syllables(log_envelope, voiced)))


def analyse(
    samples: NDArray[np.float64], rate: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Log envelope `(frames, POINTS)`, aperiodicity `(frames, POINTS)` and voicing `(frames,)` of `samples`."""
    # Add noise at -90 dBFS: the logarithm of digital silence is undefined.
    padded = np.pad(samples, rate // 20) + 3e-5 * np.random.default_rng(0).standard_normal(
        len(samples) + 2 * (rate // 20)
    )
    pitch, near_voice = _pitch(padded, rate)
    times = FRAME_S * np.arange(len(pitch))
    ratio = pyworld.d4c(padded, pitch, times, rate)
    # D4C reports no harmonics in a frame that it takes as fully aperiodic.
    voiced = steady_voicing(near_voice & (ratio[:, 1] < 0.99))
    power = pyworld.cheaptrick(padded, np.where(voiced, pitch, 0.0), times, rate)
    bins_hz = np.linspace(0, rate / 2, power.shape[1])
    log_envelope = _onto_axis(np.log(power + 1e-14), bins_hz)
    aperiodicity = _onto_axis(ratio, bins_hz)
    _extend(log_envelope, aperiodicity, voiced, rate / 2)
    aperiodicity[~voiced] = 1
    return log_envelope.astype(np.float32), aperiodicity.astype(np.float32), voiced


def _pitch(samples: NDArray[np.float64], rate: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pitch per frame, interpolated over gaps, and whether a voiced frame is within 20 ms; both `(frames,)`.

    The sung pitch replaces this pitch, so DIO is accurate enough: Harvest takes ten times as long, and differs in the
    voicing of only 1 to 4% of loud frames. Pitches over 0.6 octaves from the median are treated as octave errors.
    """
    rough, times = pyworld.dio(samples, rate, frame_period=1000 * FRAME_S, allowed_range=0.15)
    pitch = pyworld.stonemask(samples, rough, times, rate)
    if not pitch.any():
        return np.full(len(pitch), 150.0), np.zeros(len(pitch), bool)
    found = pitch > 0
    found &= np.abs(np.log2(np.maximum(pitch, 1) / np.median(pitch[found]))) < 0.6
    filled = np.interp(np.arange(len(pitch)), np.flatnonzero(found), pitch[found])
    return filled, maximum_filter1d(found, 9)


def steady_voicing(voiced: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voicing smoothed by a majority vote over 7 frames (35 ms)."""
    return np.asarray(median_filter(voiced.astype(np.uint8), 7, mode="nearest") > 0)


def syllables(log_envelope: NDArray[np.float32], voiced: NDArray[np.bool_]) -> list[Syllable]:
    """Syllables of an utterance: peaks of voiced level from 250 to 3500 Hz are vowels, dips are boundaries."""
    band = (AXIS_HZ > 250) & (AXIS_HZ < 3500)
    loudness_db = 4.343 * log_envelope[:, band].mean(axis=1)
    loudness_db = np.where(voiced, loudness_db, loudness_db - 20)
    window = np.hanning(13) / np.hanning(13).sum()
    smooth = np.convolve(np.pad(loudness_db, 6, mode="edge"), window, mode="valid")
    # Vowels within 30 dB of the loudest, at least 80 ms apart.
    peaks, _ = find_peaks(smooth, height=smooth.max() - 30, prominence=2.5, distance=16)
    peaks = peaks[voiced[peaks]]
    found: list[Syllable] = []
    loud = np.flatnonzero(smooth > smooth.max() - 45)
    borders = [max(0, int(loud[0]) - 10)] if len(loud) else [0]
    borders += [int(a + np.argmin(smooth[a:b])) for a, b in pairwise(peaks)]
    borders.append(min(len(smooth), int(loud[-1]) + 10) if len(loud) else len(smooth))
    for peak, start, end in zip(peaks, borders, borders[1:], strict=False):
        low, high = int(peak), int(peak)
        while low - 1 > start and peak - low < 14 and voiced[low - 1] and smooth[low - 1] > smooth[peak] - 4:
            low -= 1
        while high + 1 < end and high - peak < 14 and voiced[high + 1] and smooth[high + 1] > smooth[peak] - 4:
            high += 1
        if high - low >= 4:
            found.append(Syllable(int(start), low, high, int(end)))
    return found


def _onto_axis(values: NDArray[np.float64], bins_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(frames, bins)` on the bins of the vocoder -> `(frames, POINTS)` on AXIS_HZ; constant above the last bin."""
    position = np.clip(np.interp(AXIS_HZ, bins_hz, np.arange(len(bins_hz))), 0, len(bins_hz) - 1)
    low = np.minimum(position.astype(int), len(bins_hz) - 2)
    weight = position - low
    return np.asarray(values[:, low] * (1 - weight) + values[:, low + 1] * weight)


def _extend(
    log_envelope: NDArray[np.float64], aperiodicity: NDArray[np.float64], voiced: NDArray[np.bool_], nyquist_hz: float
) -> None:
    """Extends a narrow-band voice to 22 kHz, in place, because sung stems have content above 8 kHz.

    Above the band of the voice, the level continues to fall linearly. In voiced frames, a sloping floor applies above
    3.5 kHz, since formant synthesisers leave a gap there that real voices do not have.
    """
    edge_hz = 0.9 * nyquist_hz
    above = np.flatnonzero(edge_hz < AXIS_HZ)
    top = np.flatnonzero((0.65 * nyquist_hz < AXIS_HZ) & (edge_hz >= AXIS_HZ))
    db_per_khz = np.where(voiced, -2.2, -1.1)[:, None]
    level = log_envelope[:, top].mean(axis=1, keepdims=True)
    log_envelope[:, above] = level + db_per_khz / 4.343 * (AXIS_HZ[above] - edge_hz) / 1000
    presence = (AXIS_HZ > 2300) & (AXIS_HZ < 3600)
    floor_db = -9.0 - 2.6 * (AXIS_HZ - 3500) / 1000
    floor = log_envelope[:, presence].mean(axis=1, keepdims=True) + floor_db / 4.343
    floor[~voiced] = -np.inf
    floor[:, AXIS_HZ < 3500] = -np.inf
    np.logaddexp(log_envelope, floor, out=log_envelope)
    aperiodicity[:, above] = np.clip(0.5 + (AXIS_HZ[above] - edge_hz) / 8000, 0, 0.95)
