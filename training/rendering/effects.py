"""Studio effects on one stem: equaliser, drive, compressor, reverb, chorus, echo, panning, level.

All take and return ``(2, samples)`` float32 at 44.1 kHz. The filters are the biquads of R. Bristow-Johnson's audio EQ
cookbook.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, oaconvolve, sosfilt

Audio = NDArray[np.float32]
SAMPLE_RATE_HZ = 44100


def peaking(audio: Audio, frequency_hz: float, gain_db: float, quality: float = 0.8) -> Audio:
    """Bell filter: boosts or cuts around a frequency."""
    amplitude = 10 ** (gain_db / 40)
    omega = 2 * np.pi * frequency_hz / SAMPLE_RATE_HZ
    alpha = np.sin(omega) / (2 * quality)
    numerator = np.array((1 + alpha * amplitude, -2 * np.cos(omega), 1 - alpha * amplitude))
    denominator = np.array((1 + alpha / amplitude, -2 * np.cos(omega), 1 - alpha / amplitude))
    filtered = lfilter(numerator / denominator[0], denominator / denominator[0], audio, axis=-1)
    return np.asarray(filtered, np.float32)


def shelf(audio: Audio, frequency_hz: float, gain_db: float, high: bool) -> Audio:
    """Shelving filter above (``high``) or below a frequency, with a slope of 6 dB per octave."""
    sos = butter(1, frequency_hz, "highpass" if high else "lowpass", fs=SAMPLE_RATE_HZ, output="sos")
    part = sosfilt(sos, audio, axis=-1)
    return np.asarray(audio + (10 ** (gain_db / 20) - 1) * part, np.float32)


def cut(audio: Audio, frequency_hz: float, high: bool, order: int = 2) -> Audio:
    """Removes content above (``high``) or below a frequency."""
    sos = butter(order, frequency_hz, "lowpass" if high else "highpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sos, audio, axis=-1), np.float32)


def equalise(audio: Audio, rng: np.random.Generator, depth_db: float = 6.0) -> Audio:
    """Up to three random bells and shelves."""
    for _ in range(int(rng.integers(0, 3))):
        audio = peaking(
            audio,
            float(np.exp(rng.uniform(np.log(120), np.log(9000)))),
            float(rng.uniform(-depth_db, depth_db)),
            float(rng.uniform(0.4, 2)),
        )
    if rng.random() < 0.5:
        audio = shelf(audio, float(rng.uniform(2500, 8000)), float(rng.uniform(-depth_db, depth_db)), high=True)
    if rng.random() < 0.3:
        audio = shelf(audio, float(rng.uniform(80, 300)), float(rng.uniform(-depth_db, depth_db)), high=False)
    return audio


def drive(audio: Audio, gain_db: float, bias: float = 0.0) -> Audio:
    """Saturation after a gain above full scale; ``bias`` makes it asymmetric (even harmonics). The peak is kept."""
    peak = float(np.abs(audio).max())
    if peak < 1e-6:
        return audio
    pushed = np.tanh(audio * (10 ** (gain_db / 20) / peak) + bias) - np.tanh(bias)
    return np.asarray(pushed / np.abs(pushed).max() * peak, np.float32)


def compress(
    audio: Audio, ratio: float, threshold_db: float, attack_ms: float = 8.0, release_ms: float = 120.0
) -> Audio:
    """A feed-forward compressor on the louder channel's level in blocks of 64 samples; threshold below the peak."""
    block = 64
    samples = audio.shape[1]
    count = -(-samples // block)
    level = np.zeros(count * block, np.float32)
    level[:samples] = np.abs(audio).max(axis=0)
    peaks = level.reshape(count, block).max(axis=1)
    reference = float(peaks.max())
    if reference < 1e-6:
        return audio
    over = np.maximum(0.0, 20 * np.log10(peaks / reference + 1e-6) - threshold_db)
    reduction = over * (1 - 1 / ratio)
    attack, release = (float(np.exp(-block / SAMPLE_RATE_HZ * 1000 / time)) for time in (attack_ms, release_ms))
    smooth = np.empty(count)
    state = 0.0
    for index, target in enumerate(reduction.tolist()):
        pole = attack if target > state else release
        state = target + (state - target) * pole
        smooth[index] = state
    gain = 10 ** (-np.interp(np.arange(samples), np.arange(count) * block + block / 2, smooth) / 20)
    return np.asarray(audio * gain, np.float32)


def reverb(
    audio: Audio,
    rng: np.random.Generator,
    wet: float,
    decay_s: float,
    damping_hz: float = 6000.0,
    delay_ms: float = 10.0,
) -> Audio:
    """Reverb by decaying, low-passed noise, different on the left and right (J. A. Moorer, 1979)."""
    length = int(min(3.0, decay_s * 1.2) * SAMPLE_RATE_HZ)
    times = np.arange(length) / SAMPLE_RATE_HZ
    response = rng.standard_normal((2, length)) * 10 ** (-3 * times / decay_s)
    response = lfilter(
        [1 - np.exp(-2 * np.pi * damping_hz / SAMPLE_RATE_HZ)],
        [1, -np.exp(-2 * np.pi * damping_hz / SAMPLE_RATE_HZ)],
        response,
        axis=-1,
    )
    response = np.pad(response, ((0, 0), (int(delay_ms * SAMPLE_RATE_HZ / 1000), 0)))
    response /= np.sqrt((response**2).sum(axis=-1, keepdims=True)) + 1e-9
    tail = oaconvolve(audio, response.astype(np.float32), axes=-1)[:, : audio.shape[1]]
    return np.asarray(audio + wet * tail, np.float32)


def de_ess(audio: Audio, frequency_hz: float, ratio: float, threshold_db: float) -> Audio:
    """A de-esser: the band above a frequency is compressed on its own, so that sibilants are no louder than vowels."""
    hiss = cut(audio, frequency_hz, high=False, order=1)  # the rest is then exactly a low-pass
    return np.asarray(audio - hiss + compress(hiss, ratio, threshold_db, 1.0, 60.0), np.float32)


def chorus(audio: Audio, rng: np.random.Generator, depth_ms: float = 2.5, mix: float = 0.5) -> Audio:
    """Mixes in a copy with a modulated delay, out of phase between left and right."""
    samples = np.arange(audio.shape[1])
    rate = float(rng.uniform(0.2, 1.5))
    out = np.empty_like(audio)
    for channel in range(2):
        sweep = np.sin(2 * np.pi * rate * samples / SAMPLE_RATE_HZ + channel * np.pi / 2)
        delayed = samples - (12 + depth_ms * sweep) * SAMPLE_RATE_HZ / 1000
        out[channel] = (1 - mix / 2) * audio[channel] + mix * np.interp(delayed, samples, audio[channel], left=0.0)
    return out


def tremolo(audio: Audio, rate_hz: float, depth: float, stereo: bool) -> Audio:
    """Modulates the level, in both channels together or alternately (as electric pianos or amplifiers do)."""
    phase = 2 * np.pi * rate_hz * np.arange(audio.shape[1]) / SAMPLE_RATE_HZ
    gains = np.stack((1 + depth * np.sin(phase), 1 + depth * np.sin(phase + (np.pi if stereo else 0.0))))
    return np.asarray(audio * gains, np.float32)


def echo(audio: Audio, delay_s: float, feedback: float, wet: float, ping_pong: bool) -> Audio:
    """Repeats that get softer and darker; with ``ping_pong`` they alternate between the channels."""
    out, tap = audio.copy(), audio
    shift = int(delay_s * SAMPLE_RATE_HZ)
    level = wet
    for _ in range(8):
        if level < 0.03 or shift < 1 or shift >= audio.shape[1]:
            break
        tap = np.pad(tap, ((0, 0), (shift, 0)))[:, : audio.shape[1]]
        tap = cut(tap[::-1] if ping_pong else tap, 6000, high=True, order=1)
        out = out + level * tap
        level *= feedback
    return np.asarray(out, np.float32)


def pan(audio: Audio, position: float, width: float = 1.0) -> Audio:
    """Places a stem: position -1 (left) to 1 (right) at constant power, width 0 (mono) to 1 (unchanged)."""
    middle, side = (audio[0] + audio[1]) / 2, (audio[0] - audio[1]) / 2 * width
    angle = (position + 1) * np.pi / 4
    gains = np.array((np.cos(angle), np.sin(angle)), np.float32)[:, None] * np.sqrt(2)
    return np.asarray(np.stack((middle + side, middle - side)) * gains, np.float32)


def level(audio: Audio, rms_db: float, ceiling: float = 0.97) -> Audio:
    """Sets the RMS level over audible blocks of 0.1 s (within 40 dB of the loudest), with a peak below ``ceiling``."""
    block = SAMPLE_RATE_HZ // 10
    count = max(1, audio.shape[1] // block)
    power = (audio[:, : count * block].reshape(2, count, -1) ** 2).mean(axis=(0, 2))
    active = power[power > power.max() * 1e-4]
    if not active.size or power.max() < 1e-10:
        return audio
    scaled = audio * (10 ** (rms_db / 20) / np.sqrt(active.mean()))
    peak = float(np.abs(scaled).max())
    return np.asarray(scaled * (ceiling / peak) if peak > ceiling else scaled, np.float32)
