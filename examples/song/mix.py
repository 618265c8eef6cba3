"""The mix and the master. Everything after a stem's own channel is one gain for all, so the stems add up to the song."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d
from scipy.signal import lfilter, oaconvolve, resample_poly, sosfilt

from examples.song.score import CLOCK
from training.rendering import effects
from training.rendering.effects import SAMPLE_RATE_HZ, Audio

CEILING_DB = -1.2  # The codec adds a little; what is decoded peaks at about -1 dBFS.
LOUDNESS_LUFS = -13.4
HEADROOM = 8.0  # Peaks of a stem are left to the limiter.


@dataclass(frozen=True)
class Channel:
    """A stem's channel strip.

    Attributes:
        level_db: RMS while it sounds, before the master.
        low_cut_hz: high-pass.
        bells: equaliser: frequency in Hz, gain in dB, quality.
        air_db: shelf above 6 kHz.
        ratio: ratio of the compressor, whose threshold is ``depth_db`` below the peaks; 1 is off.
        drive_db: gain into a soft saturation.
        hall, room: reverb sends.
        echo: repeats a dotted eighth apart.
        position: -1 (left) to 1 (right).
        width: 0 (mono) to 1.
    """

    level_db: float
    low_cut_hz: float = 30.0
    bells: tuple[tuple[float, float, float], ...] = ()
    air_db: float = 0.0
    ratio: float = 1.0
    depth_db: float = 18.0
    drive_db: float = 0.0
    hall: float = 0.0
    room: float = 0.0
    echo: float = 0.0
    position: float = 0.0
    width: float = 1.0


DESK: dict[str, Channel] = {
    "vocals": Channel(
        -18.5, 110, ((480, -3, 0.9), (2800, 4, 0.8), (6900, -3, 3.0)), 3, 3.0, 20, hall=0.16, room=0.10, echo=0.10
    ),
    "backing_vocals": Channel(-23.0, 180, ((350, -3, 0.8),), 2, 2.5, 18, hall=0.30, room=0.10),
    "drums": Channel(-18.0, 30, ((60, 2, 1.0), (380, -3, 0.9), (4500, 2, 0.8)), 2, 2.5, 14, drive_db=6, room=0.12),
    "bass": Channel(-20.0, 35, ((80, 1.5, 0.9), (250, -2, 0.9), (900, 2, 0.8)), 0, 3.0, 18, drive_db=4, width=0.0),
    "guitar": Channel(-25.0, 110, ((250, -2, 0.8), (3000, -1.5, 0.8)), 2, 2.0, 16, room=0.12),
    "keyboard": Channel(-24.0, 70, ((300, -2.5, 0.8), (2800, -1, 0.8)), 2, 2.0, 18, hall=0.08, room=0.08, width=0.8),
    "strings": Channel(-26.0, 120, ((400, -2, 0.7), (2800, -1.5, 0.8)), 2, hall=0.28),
    "brass": Channel(-24.5, 110, ((500, -1.5, 0.8), (1800, 1.5, 0.8)), 1, 2.0, 14, hall=0.22, position=0.25),
    "woodwinds": Channel(-25.0, 200, ((2500, 1, 0.8),), 1, 2.0, 14, hall=0.30, echo=0.12, position=-0.3),
    "percussion": Channel(-28.0, 150, (), 0, 4.0, 20, hall=0.08, room=0.15, position=0.2),
    "synth": Channel(-25.5, 180, ((500, -2, 0.7),), 1, hall=0.12),
    "fx": Channel(-30.0, 200, (), 0, hall=0.2),
}


def channel(stem: str, audio: Audio) -> Audio:
    """A stem after its channel strip: filters, compressor, panning, level, reverb; ``(2, samples)``."""
    strip = DESK[stem]
    audio = effects.cut(audio, strip.low_cut_hz, high=False)
    for frequency_hz, gain_db, quality in strip.bells:
        audio = effects.peaking(audio, frequency_hz, gain_db, quality)
    if strip.air_db:
        audio = effects.shelf(audio, 6000, strip.air_db, high=False)
    if strip.ratio > 1:
        audio = effects.compress(audio, strip.ratio, -strip.depth_db, 6, 140)
    if strip.drive_db:
        audio = effects.drive(audio, strip.drive_db)
    audio = effects.level(effects.pan(audio, strip.position, strip.width), strip.level_db, HEADROOM)
    wet = np.zeros_like(audio)
    for send, seed, decay_s, delay_ms in ((strip.hall, 21, 2.1, 28.0), (strip.room, 22, 0.7, 9.0)):
        if send:
            source = effects.cut(audio, 220, high=False)
            wet += effects.reverb(source, np.random.default_rng(seed), send, decay_s, 5500, delay_ms) - source
    if strip.echo:
        wet += effects.echo(audio, 0.75 * CLOCK.beat_s, 0.4, strip.echo, ping_pong=True) - audio
    return np.asarray(audio + wet, np.float32)


def master(stems: Mapping[str, Audio]) -> dict[str, Audio]:
    """The stems at their levels in the finished song: each is multiplied by the same gain over time.

    A bus compressor and a limiter are driven by the sum; both only apply gain, so the stems still add up exactly.
    """
    mix = np.sum(list(stems.values()), axis=0)
    gain_db = LOUDNESS_LUFS - loudness_lufs(mix)
    for _ in range(4):  # The compressor and the limiter reduce the level.
        gain = _glue(mix * 10 ** (gain_db / 20)) * 10 ** (gain_db / 20)
        gain *= _limit(mix * gain)
        gain_db += LOUDNESS_LUFS - loudness_lufs(mix * gain)
    gain *= _fade(len(gain))
    return {stem: np.asarray(audio * gain, np.float32) for stem, audio in stems.items()}


def _glue(mix: NDArray[np.float64], threshold_db: float = -14.0, ratio: float = 1.5) -> NDArray[np.float64]:
    """Gain `(samples,)` of a slow bus compressor with a 30 ms level detector."""
    pole = np.exp(-1 / (0.03 * SAMPLE_RATE_HZ))
    power = lfilter([1 - pole], [1, -pole], (mix**2).mean(axis=0))
    over_db = np.maximum(0, 10 * np.log10(power + 1e-9) - threshold_db)
    slow = np.exp(-1 / (0.12 * SAMPLE_RATE_HZ))
    smooth = lfilter([1 - slow], [1, -slow], over_db)
    return np.asarray(10 ** (-smooth * (1 - 1 / ratio) / 20))


def _limit(mix: NDArray[np.float64], window_s: float = 0.012) -> NDArray[np.float64]:
    """Gain `(samples,)` that keeps the peaks, between the samples too, under the ceiling.

    The least gain needed within a window, averaged over a window of the same length, is never more than what its middle
    needs.
    """
    between = np.abs(resample_poly(mix, 4, 1, axis=1)).max(axis=0).reshape(-1, 4).max(axis=1)
    peaks = np.maximum(between, np.abs(mix).max(axis=0))
    needed = np.minimum(1, 10 ** (CEILING_DB / 20) / np.maximum(peaks, 1e-9))
    width = 2 * round(window_s * SAMPLE_RATE_HZ / 2) + 1
    least = minimum_filter1d(needed, width)
    hann = np.hanning(width + 2)[1:-1]
    padded = np.pad(least, width // 2, mode="edge")
    return np.asarray(oaconvolve(padded, hann / hann.sum(), mode="valid"))


def _fade(samples: int, seconds: float = 2.5) -> NDArray[np.float64]:
    left_s = np.arange(samples)[::-1] / SAMPLE_RATE_HZ
    return np.asarray(np.sin(np.pi / 2 * np.clip(left_s / seconds, 0, 1)))


# ITU-R BS.1770-4, table 1 and 2, at 48 kHz; the poles are moved to 44.1 kHz by the bilinear transform's own frequencies.
def _k_weighting() -> NDArray[np.float64]:
    def shelf(frequency_hz: float, gain_db: float, quality: float) -> list[float]:
        k = np.tan(np.pi * frequency_hz / SAMPLE_RATE_HZ)
        high, band = 10 ** (gain_db / 20), 10 ** (gain_db / 20 * 0.4996667741545416)
        a0 = 1 + k / quality + k * k
        return [
            (high + band * k / quality + k * k) / a0, 2 * (k * k - high) / a0, (high - band * k / quality + k * k) / a0,
            1, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0,
        ]  # fmt: skip

    k = np.tan(np.pi * 38.13547087602444 / SAMPLE_RATE_HZ)
    a0 = 1 + k / 0.5003270373238773 + k * k
    low_cut = [1.0, -2.0, 1.0, 1, 2 * (k * k - 1) / a0, (1 - k / 0.5003270373238773 + k * k) / a0]
    return np.array([shelf(1681.974450955533, 3.999843853973347, 0.7071752369554196), low_cut])


def loudness_lufs(audio: NDArray[np.float64] | Audio) -> float:
    """Integrated loudness of ``(2, samples)`` (ITU-R BS.1770-4: K-weighting, blocks of 400 ms, two gates)."""
    weighted = sosfilt(_k_weighting(), audio, axis=-1)
    hop = SAMPLE_RATE_HZ // 10
    count = weighted.shape[1] // hop
    # (2, blocks, hop) -> (blocks,): both channels' power in every 100 ms
    tenths = (weighted[:, : count * hop].reshape(2, count, hop) ** 2).mean(axis=2).sum(axis=0)
    blocks = np.convolve(tenths, np.full(4, 0.25), mode="valid")
    loudness = -0.691 + 10 * np.log10(blocks + 1e-12)
    gated = blocks[loudness > -70]
    relative = -0.691 + 10 * np.log10(gated.mean() + 1e-12) - 10
    return float(-0.691 + 10 * np.log10(blocks[(loudness > -70) & (loudness > relative)].mean()))
