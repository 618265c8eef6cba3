"""Mixes on the fly: what the network hears and what it should have answered.

Half of a network's training is what it is mixed from. A mix is either coherent (the stems of one song, at one place) or
put together from many songs, where rare stems come as often as they must to be learned; both leave stems out, since a
network that never misses a stem hears it everywhere. What changes a stem without changing what it is (level, equaliser,
polarity, speed, width, drive) is drawn anew each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from stemwright.models.bands import BANDS_384
from stemwright.stems import STEMS
from training import features
from training.songs import Bank, Recording

Audio = NDArray[np.float32]
Song = dict[str, Recording]

OFTEN = {
    "vocals": 0.8, "backing_vocals": 0.35, "drums": 0.75, "bass": 0.65, "guitar": 0.55, "keyboard": 0.55,
    "strings": 0.3, "brass": 0.25, "woodwinds": 0.25, "percussion": 0.3, "synth": 0.3, "fx": 0.2,
}  # fmt: skip
"""How often each stem plays in a mix of many songs."""

LEAN_DB_PER_OCTAVE = {
    "vocals": -1.2, "bass": -3.0, "guitar": -2.0, "keyboard": -1.5, "strings": -2.0, "woodwinds": -2.0, "synth": 1.0,
}  # fmt: skip
"""The furthest that an equaliser leans a stem towards what it is in recordings: composed basses hold twice the energy
of recorded ones above 160 Hz, and composed voices and instruments half of theirs below 320 Hz or less."""


@dataclass(frozen=True)
class Mixing:
    """How mixes are made; a ``p_`` is a probability.

    Attributes:
        p_coherent: stems of one song; p_sparse: one to three stems of any kind; else stems of many songs.
        p_sung: a coherent mix is of a song with a lead voice, as most songs are; else of any.
        p_left_out: a stem of a coherent mix is left out.
        p_together: lead and backing vocals of a mix of many songs come from one place of one song.
        gain_db: least and greatest gain of a stem in a mix of many songs; half of it in a coherent one.
        p_speed, speed: a change of speed and pitch, by up to this fraction.
        p_equaliser, tilt_db_per_octave, bell_db: each stem's spectrum tilts, and has one bell or notch, at the same level.
        lean_db_per_octave: the furthest that a stem's tilt leans to one side besides.
        p_width, p_pan, pan_db: a stem gets narrower or wider; it moves to a side, by up to this level difference.
        p_drive: a soft clip.
        p_mono, p_narrow: the mix has one channel, twice; its sides are lowered. Half of the old recordings are so, and a
        network that never met a silent side takes it for a sign of what is always in the middle.
        p_levelled: the mix goes through a slow compressor, stems with it; p_low_pass: it ends below the top.
        peak_db: least and greatest peak of the mix.
        p_augmented: a mix has any of these changes but swap and polarity.
    """

    p_coherent: float = 0.45
    p_sparse: float = 0.2
    p_sung: float = 0.6
    p_left_out: float = 0.18
    p_together: float = 0.5
    gain_db: tuple[float, float] = (-9.0, 6.0)
    p_speed: float = 0.25
    speed: float = 0.12
    p_equaliser: float = 0.6
    tilt_db_per_octave: float = 2.0
    bell_db: float = 8.0
    p_width: float = 0.3
    p_pan: float = 0.3
    pan_db: float = 6.0
    p_mono: float = 0.35
    p_narrow: float = 0.25
    p_drive: float = 0.08
    p_levelled: float = 0.3
    p_low_pass: float = 0.2
    peak_db: tuple[float, float] = (-16.0, 0.0)
    p_augmented: float = 0.8
    often: dict[str, float] = field(default_factory=lambda: dict(OFTEN))
    lean_db_per_octave: dict[str, float] = field(default_factory=lambda: dict(LEAN_DB_PER_OCTAVE))


PLAIN = Mixing(
    p_coherent=1, p_sung=0, p_left_out=0, gain_db=(0, 0), p_levelled=0, p_low_pass=0, p_augmented=0, peak_db=(-6, -6)
)
"""Songs as they are: for validation."""


@dataclass(frozen=True)
class Batch:
    """What a step learns from.

    Attributes:
        powers: of the mixes, ``(batch, 4, bands, frames)``.
        magnitudes: of the stems, ``(batch, 12, 2, bands, frames)``.
        agreements: ``Re(S X*)`` of each stem with the mix, the mean over each band, ``(batch, 12, 2, bands, frames)``.
    """

    powers: Tensor
    magnitudes: Tensor
    agreements: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        moved = (part.to(device, non_blocking=True) for part in (self.powers, self.magnitudes, self.agreements))
        return Batch(*moved)


class Dataset:
    """Endless mixes of the songs of a bank."""

    def __init__(self, bank: Bank, frames: int, mixing: Mixing, seed: int, *, held_out: bool = False) -> None:
        self.bank = bank
        self.frames = frames
        self.mixing = mixing
        self.held_out = held_out
        self._rng = np.random.default_rng(seed)

    def batch(self, size: int) -> Batch:
        """The next ``size`` mixes.

        Raises:
            LookupError: there is no song yet.
        """
        powers = torch.zeros(size, features.PLANES, BANDS_384.n_bands, self.frames)
        magnitudes = torch.zeros(size, len(STEMS), 2, BANDS_384.n_bands, self.frames)
        agreements = torch.zeros_like(magnitudes)
        for item in range(size):
            stems = self.mix()
            if stems:
                self._analyse(stems, powers[item], magnitudes[item], agreements[item])
        return Batch(powers, magnitudes, agreements)

    def mix(self) -> dict[str, Audio]:
        """The next mix: ``(2, samples)`` of each stem that plays in it, at its level. Their sum is the mix."""
        songs = list((self.bank.held_out if self.held_out else self.bank.training).values())
        if not songs:
            raise LookupError("There is no song to train on yet. Render some with: python -m training.corpus")
        rng, mixing = self._rng, self.mixing
        coherent = rng.random() < mixing.p_coherent
        augmented = rng.random() < mixing.p_augmented
        speed = 1.0
        if augmented and rng.random() < mixing.p_speed:
            speed = 1 + float(rng.uniform(-mixing.speed, mixing.speed))
        length = features.frames_to_samples(self.frames)
        read = round(length * speed)
        stems = self._one_song(songs, read) if coherent else self._many_songs(songs, read)
        low, high = (gain / 2 if coherent else gain for gain in mixing.gain_db)
        for stem, audio in stems.items():
            audio = _resample(audio, length) if read != length else audio
            audio = audio[::-1] if not coherent and rng.random() < 0.5 else audio
            audio = self._coloured(audio) if augmented else audio
            stems[stem] = audio * np.float32(10 ** (rng.uniform(low, high) / 20) * rng.choice((-1, 1)))
        if coherent and rng.random() < 0.5:
            stems = {stem: audio[::-1] for stem, audio in stems.items()}
        if augmented and (drawn := rng.random()) < mixing.p_mono + mixing.p_narrow:
            width = 0.0 if drawn < mixing.p_mono else float(rng.uniform(0, 0.6))
            stems = {stem: _widened(audio, width) for stem, audio in stems.items()}
        peak = max(1e-3, float(np.abs(sum(stems.values())).max())) if stems else 1.0
        gain = np.float32(10 ** (rng.uniform(*mixing.peak_db) / 20) / peak)
        return {stem: audio * gain for stem, audio in stems.items()}

    def _one_song(self, songs: list[Song], length: int) -> dict[str, Audio]:
        rng = self._rng
        sung = [song for song in songs if "vocals" in song]
        if sung and rng.random() < self.mixing.p_sung:
            songs = sung
        song = songs[int(rng.integers(len(songs)))]
        stems = [stem for stem in song if rng.random() >= self.mixing.p_left_out]
        start = song[stems[int(rng.integers(len(stems)))]].audible_start(rng, length) if stems else 0
        return {stem: song[stem].cut(start, length) for stem in stems}

    def _many_songs(self, songs: list[Song], length: int) -> dict[str, Audio]:
        rng, mixing = self._rng, self.mixing
        if rng.random() < mixing.p_sparse / max(1e-9, 1 - mixing.p_coherent):
            chosen = set(rng.choice(STEMS, int(rng.integers(1, 4)), replace=False))
        else:
            chosen = {stem for stem in STEMS if rng.random() < mixing.often[stem]}
        stems: dict[str, Audio] = {}
        for name in STEMS:
            if name not in chosen or name in stems:
                continue
            holders = [song for song in songs if name in song]
            if not holders:
                continue
            song = holders[int(rng.integers(len(holders)))]
            start = song[name].audible_start(rng, length)
            stems[name] = song[name].cut(start, length)
            both = name == "vocals" and "backing_vocals" in song and "backing_vocals" in chosen
            if both and rng.random() < mixing.p_together:
                stems["backing_vocals"] = song["backing_vocals"].cut(start, length)
        return stems

    def _coloured(self, audio: Audio) -> Audio:
        rng, mixing = self._rng, self.mixing
        if rng.random() < mixing.p_width:
            audio = _widened(audio, max(0.0, float(rng.uniform(-0.3, 1.5))))
        if rng.random() < mixing.p_pan:
            side_db = float(rng.uniform(-1, 1)) * mixing.pan_db / 2
            audio = audio * np.array([[10 ** (side_db / 20)], [10 ** (-side_db / 20)]], np.float32)
        if rng.random() < mixing.p_drive:
            drive = np.float32(10 ** (rng.uniform(0, 15) / 20) / max(1e-3, float(np.abs(audio).max())))
            audio = np.tanh(audio * drive) / drive
        return audio

    def _analyse(self, stems: dict[str, Audio], powers: Tensor, magnitudes: Tensor, agreements: Tensor) -> None:
        rng, mixing = self._rng, self.mixing
        augmented = rng.random() < mixing.p_augmented
        by_stem: dict[str, Tensor] = {}
        low_pass = self._low_pass() if rng.random() < mixing.p_low_pass else None
        for stem, audio in stems.items():
            spectra = features.spectrum(torch.from_numpy(np.ascontiguousarray(audio)))  # (2, frames, bins)
            if augmented and rng.random() < mixing.p_equaliser:
                level = torch.linalg.vector_norm(spectra)
                spectra *= self._equaliser(stem)
                spectra *= level / torch.linalg.vector_norm(spectra).clamp_min(1e-9)
            if low_pass is not None:
                spectra *= low_pass
            by_stem[stem] = spectra
        mixture = torch.stack(list(by_stem.values())).sum(0)
        for stem, spectra in by_stem.items():
            index = STEMS.index(stem)
            # (2, frames, bands) -> (2, bands, frames)
            magnitudes[index] = features.band_power(spectra).sqrt_().transpose(-1, -2)
            agreements[index] = features.band_agreement(spectra, mixture).transpose(-1, -2)
        powers[:] = features.planes(mixture)
        if rng.random() < mixing.p_levelled:
            gain = self._leveller(powers)
            powers *= gain**2
            magnitudes *= gain
            agreements *= gain**2

    def _equaliser(self, stem: str) -> Tensor:
        """Gain of each bin, ``(bins,)``: a tilt about 1 kHz and one bell an octave or so wide."""
        rng, mixing = self._rng, self.mixing
        hz = np.maximum(np.arange(BANDS_384.n_bins) * (features.SAMPLE_RATE_HZ / features.N_FFT), 20)
        octaves = np.log2(hz / 1000)
        lean = mixing.lean_db_per_octave.get(stem, 0.0)
        tilt = rng.uniform(-1, 1) * mixing.tilt_db_per_octave + rng.uniform(0, 1) * lean
        centre, width = rng.uniform(-4, 4), rng.uniform(0.4, 2)
        bell = rng.uniform(-1, 1) * mixing.bell_db * np.exp(-(((octaves - centre) / width) ** 2))
        gain_db = np.clip(tilt * octaves + bell, -18, 12)
        return torch.from_numpy((10 ** (gain_db / 20)).astype(np.float32))

    def _low_pass(self) -> Tensor:
        """Gain of each bin, ``(bins,)``: nothing above 4 to 17 kHz, as lossy codecs and old recordings have it."""
        cutoff_hz = 4000 * 2 ** self._rng.uniform(0, 2.1)
        hz = np.arange(BANDS_384.n_bins) * (features.SAMPLE_RATE_HZ / features.N_FFT)
        return torch.from_numpy((1 / (1 + (hz / cutoff_hz) ** 24)).astype(np.float32))

    def _leveller(self, powers: Tensor) -> Tensor:
        """Gain of each frame, ``(frames,)``, of a compressor without a threshold, smoothed over a fifth of a second."""
        widths = torch.from_numpy(BANDS_384.widths).float()
        level = (powers[:2].mean(0) * widths[:, None]).sum(0).clamp_min(1e-6).log()  # (frames,)
        smooth = torch.nn.functional.avg_pool1d(level[None], 9, 1, 4, count_include_pad=False)[0]
        amount = float(self._rng.uniform(0, 0.25))
        return torch.exp((level.mean() - smooth) * amount)


def _widened(audio: Audio, width: float) -> Audio:
    """``(2, n)`` with its sides scaled: 0 is mono, exactly, 1 is as it was."""
    left, right = audio
    middle, side = (left + right) / 2, (left - right) * np.float32(width / 2)
    return np.stack([middle + side, middle - side])


def _resample(audio: Audio, length: int) -> Audio:
    """Plays ``(2, n)`` in ``length`` samples, faster or slower."""
    resampled = soxr.resample(audio.T, audio.shape[1], length, quality="LQ").T  # (2, n) -> (n, 2) and back
    short = max(0, length - resampled.shape[1])
    return np.asarray(np.pad(resampled[:, :length], ((0, 0), (0, short))), np.float32)
