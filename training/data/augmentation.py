"""How training mixes are made: the settings, and the plan of a mix, which is drawn before any audio is read.

A mix is either coherent (the stems of one song, at one position) or made of stems of many songs, with rare stems as
often as learning needs them. Both leave stems out, since a network that never misses a stem finds it everywhere. What
changes a stem and not its class (level, equaliser, polarity, speed, width, drive) is drawn anew for each mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from stemwright.stems import STEMS
from training.data import features
from training.data.pitch_modulation import PitchModulation
from training.data.recording_statistics import (
    FIXED_PITCH_STEMS,
    NARROW_PROBABILITY,
    STEM_PROBABILITY,
    TILT_BIAS_DB_PER_OCTAVE,
    TRANSIENT_BIAS,
)
from training.data.songs import StemExtent, possible_stems


@dataclass(frozen=True)
class MixSettings:
    """How mixes are made; a ``p_`` is a probability.

    Attributes:
        p_coherent: the stems of one song; p_sparse: one to three stems of any songs; else stems of many songs.
        p_with_vocals: a coherent mix takes a song with lead vocals, as most songs have them; else any song.
        p_unlabelled: a mix of many songs contains a recording with unknown stems, if there is one, and otherwise only
            stems that the recording cannot contain.
        p_stem_dropped: a stem of a coherent mix is left out.
        p_vocals_together: lead and backing vocals of a mix of many songs come from one position of one song.
        gain_db: lowest and highest gain of a stem in a mix of many songs; two thirds of it in a coherent one. In
            recordings drums are up to 5 dB below the bass, and vocals can be far below the band.
        p_speed, speed: a change of speed and pitch of the whole mix, by up to this fraction.
        p_part_speed, part_speed: the same for one stem of a mix of many songs; it changes the sound of a drum kit.
        p_pitch_modulation: vibrato or bends on a stem that is not one of ``FIXED_PITCH_STEMS``.
        p_equaliser, tilt_db_per_octave, bell_db: a spectral tilt and one bell or notch on each stem, at the same level.
        tilt_bias_db_per_octave: largest additional tilt of a stem in one direction.
        p_transient_shaping, transient_shaping: transients of a stem are raised or lowered, by up to this power of their
            energy relative to the frames around them, as by another drum stick or compressor.
        transient_bias: largest additional power in one direction.
        p_reverb: a stem has its own reverb.
        narrow_probability: probability that a stem is nearly mono.
        p_width, p_pan, pan_db: a stem gets narrower or wider; it is panned by up to this level difference.
        p_drive: a stem is soft-clipped.
        p_mono, p_narrow: the mix is mono; its side signal is lowered. Half of the old recordings are mono; a network
            trained without silent side signals takes them as evidence for stems that are always in the centre.
        p_compressed: a slow compressor on the mix; p_low_pass: a low-pass; p_codec: spectral holes of a lossy codec.
            The target stems change in the same way.
        peak_db: lowest and highest peak of the mix.
        p_augmented: a mix has any of these changes; channel swap and polarity do not need it.
    """

    p_coherent: float = 0.4
    p_sparse: float = 0.35
    p_with_vocals: float = 0.6
    p_unlabelled: float = 0.6
    p_stem_dropped: float = 0.3
    p_vocals_together: float = 0.5
    gain_db: tuple[float, float] = (-12.0, 6.0)
    p_speed: float = 0.25
    speed: float = 0.12
    p_part_speed: float = 0.25
    part_speed: float = 0.18
    p_pitch_modulation: float = 0.3
    p_equaliser: float = 0.6
    tilt_db_per_octave: float = 2.0
    bell_db: float = 7.0
    p_transient_shaping: float = 0.8
    transient_shaping: float = 0.6
    p_reverb: float = 0.15
    p_width: float = 0.3
    p_pan: float = 0.3
    pan_db: float = 6.0
    p_mono: float = 0.35
    p_narrow: float = 0.25
    p_drive: float = 0.08
    p_compressed: float = 0.3
    p_low_pass: float = 0.15
    p_codec: float = 0.15
    peak_db: tuple[float, float] = (-16.0, 0.0)
    p_augmented: float = 0.7
    stem_probability: dict[str, float] = field(default_factory=lambda: dict(STEM_PROBABILITY))
    tilt_bias_db_per_octave: dict[str, float] = field(default_factory=lambda: dict(TILT_BIAS_DB_PER_OCTAVE))
    transient_bias: dict[str, tuple[float, float, float]] = field(default_factory=lambda: dict(TRANSIENT_BIAS))
    narrow_probability: dict[str, float] = field(default_factory=lambda: dict(NARROW_PROBABILITY))


UNAUGMENTED = MixSettings(
    p_coherent=1,
    p_with_vocals=0,
    p_stem_dropped=0,
    gain_db=(0, 0),
    p_compressed=0,
    p_low_pass=0,
    p_codec=0,
    p_augmented=0,
    peak_db=(-6, -6),
)
"""Songs without changes: for validation."""


@dataclass(frozen=True)
class Equaliser:
    """A tilt around 1 kHz and one bell, ``bell_octaves`` from 1 kHz."""

    tilt_db_per_octave: float
    bell_db: float
    bell_octaves: float
    bell_width_octaves: float


@dataclass(frozen=True)
class Reverb:
    """A reverb tail: its level relative to the stem, and the time in which it falls by 60 dB."""

    level_db: float
    decay_s: float


@dataclass(frozen=True)
class MixPart:
    """One stem of a mix: the samples that it takes, and the processing, in this order.

    Attributes:
        song, stem, start: the song, the stem (or the label of unlabelled audio), and the first sample.
        read: samples to read; if they are more or fewer than the mix has, the stem is played faster or slower.
        swapped: left and right are swapped; width: gain of the side signal, 1 leaves it unchanged, 0 is mono.
        side_db: added to the level of the left channel and subtracted from that of the right.
        drive_db: gain into a soft clip, above the peak.
        gain: negative inverts the polarity.
        equaliser: changes the spectrum, not the level.
        transient_shaping: for lows, mids and highs; above 0 raises transients and shortens tails, below 0 the reverse.
        reverb: added to the stem.
        pitch_modulation: vibrato and bends; applied first.
    """

    song: str
    stem: str
    start: int
    read: int
    swapped: bool
    width: float
    side_db: float
    drive_db: float | None
    gain: float
    equaliser: Equaliser | None = None
    transient_shaping: tuple[float, float, float] | None = None
    reverb: Reverb | None = None
    pitch_modulation: PitchModulation | None = None


@dataclass(frozen=True)
class MixPlan:
    """One mix.

    Attributes:
        parts: its stems.
        swapped: left and right of all stems are swapped; width: gain of the side signal of the mix.
        peak: peak of the mix.
        low_pass_hz: cut-off of a low-pass, or None.
        compression: strength of a slow compressor, 0 for none.
        codec_db: bins that are softer than the bins around them by this much are removed, as by a lossy codec.
    """

    parts: tuple[MixPart, ...]
    swapped: bool
    width: float
    peak: float
    low_pass_hz: float | None
    compression: float
    codec_db: float | None = None


Cut = tuple[str, int, int]
"""Song, first sample, and samples to read."""


class SongIndex:
    """The songs to draw from, and which of them have each stem."""

    def __init__(self, songs: Mapping[str, Mapping[str, StemExtent]]) -> None:
        self.songs = songs
        self.names = list(songs)
        self.holders = {stem: [name for name in songs if stem in songs[name]] for stem in STEMS}
        self.unlabelled = [(name, label) for name, song in songs.items() for label in song if label not in STEMS]


class MixPlanner:
    """Draws plans; the same seed and songs give the same plans."""

    def __init__(self, frames: int, mix_settings: MixSettings, seed: int) -> None:
        self.mix_settings = mix_settings
        self.samples = features.frames_to_samples(frames)
        self._rng = np.random.default_rng(seed)

    def draw(self, song_index: SongIndex) -> MixPlan:
        """The next plan.

        Raises:
            LookupError: there is no song yet.
        """
        if not song_index.names:
            raise LookupError("There is no song to train on yet. Render some with: python -m training.rendering.corpus")
        rng, mix_settings = self._rng, self.mix_settings
        coherent = rng.random() < mix_settings.p_coherent
        augmented = rng.random() < mix_settings.p_augmented
        speed = 1.0
        if augmented and rng.random() < mix_settings.p_speed:
            speed = 1 + float(rng.uniform(-mix_settings.speed, mix_settings.speed))
        read = round(self.samples * speed)
        cuts = self._one_song(song_index, read) if coherent else self._many_songs(song_index, read, augmented)
        parts = [self._part(stem, cut, coherent, augmented) for stem, cut in cuts.items()]
        swapped = bool(coherent and rng.random() < 0.5)
        width = 1.0
        if augmented and (drawn := rng.random()) < mix_settings.p_mono + mix_settings.p_narrow:
            width = 0.0 if drawn < mix_settings.p_mono else float(rng.uniform(0, 0.6))
        peak = 10 ** (float(rng.uniform(*mix_settings.peak_db)) / 20)
        low_pass_hz, compression, codec_db = None, 0.0, None
        if parts:
            equalised = rng.random() < mix_settings.p_augmented
            if rng.random() < mix_settings.p_low_pass:  # as lossy codecs and old recordings have it
                low_pass_hz = 4000 * 2 ** float(rng.uniform(0, 2.1))
            if equalised:
                parts = [self._augmented(part) for part in parts]
            if rng.random() < mix_settings.p_compressed:
                compression = float(rng.uniform(0, 0.25))
            if rng.random() < mix_settings.p_codec:
                codec_db = float(rng.uniform(3, 20))
        return MixPlan(tuple(parts), swapped, width, peak, low_pass_hz, compression, codec_db)

    def _one_song(self, song_index: SongIndex, read: int) -> dict[str, Cut]:
        """Cut of each stem of a coherent mix."""
        rng = self._rng
        names = song_index.names
        if song_index.holders["vocals"] and rng.random() < self.mix_settings.p_with_vocals:
            names = song_index.holders["vocals"]
        name = names[int(rng.integers(len(names)))]
        song = song_index.songs[name]
        stems = [stem for stem in song if rng.random() >= self.mix_settings.p_stem_dropped]
        start = song[stems[int(rng.integers(len(stems)))]].audible_start(rng, read) if stems else 0
        return dict.fromkeys(stems, (name, start, read))

    def _many_songs(self, song_index: SongIndex, read: int, augmented: bool) -> dict[str, Cut]:
        """Cut of each stem of a mix of many songs."""
        rng, mix_settings = self._rng, self.mix_settings
        cuts: dict[str, Cut] = {}
        if song_index.unlabelled and rng.random() < mix_settings.p_unlabelled:
            name, label = song_index.unlabelled[int(rng.integers(len(song_index.unlabelled)))]
            cuts[label] = self._cut(song_index, name, label, read, augmented)
            others = set(STEMS) - set(possible_stems(label))
            chosen = {stem for stem in STEMS if rng.random() < mix_settings.stem_probability[stem]} & others
        elif rng.random() < mix_settings.p_sparse / max(1e-9, 1 - mix_settings.p_coherent):
            often = np.array([mix_settings.stem_probability[stem] for stem in STEMS])
            chosen = set(rng.choice(STEMS, int(rng.integers(1, 4)), replace=False, p=often / often.sum()))
        else:
            chosen = {stem for stem in STEMS if rng.random() < mix_settings.stem_probability[stem]}
        for stem in STEMS:
            holders = song_index.holders[stem]
            if stem not in chosen or stem in cuts or not holders:
                continue
            name = holders[int(rng.integers(len(holders)))]
            song = song_index.songs[name]
            cuts[stem] = self._cut(song_index, name, stem, read, augmented)
            both = stem == "vocals" and "backing_vocals" in song and "backing_vocals" in chosen
            if both and rng.random() < mix_settings.p_vocals_together:
                cuts["backing_vocals"] = cuts[stem]
        return cuts

    def _cut(self, song_index: SongIndex, name: str, stem: str, read: int, augmented: bool) -> Cut:
        """An audible position in one stem, sometimes at a speed of its own."""
        rng, mix_settings = self._rng, self.mix_settings
        if augmented and rng.random() < mix_settings.p_part_speed:
            read = round(read * (1 + float(rng.uniform(-mix_settings.part_speed, mix_settings.part_speed))))
        return name, song_index.songs[name][stem].audible_start(rng, read), read

    def _part(self, stem: str, cut: Cut, coherent: bool, augmented: bool) -> MixPart:
        rng, mix_settings = self._rng, self.mix_settings
        swapped = bool(not coherent and rng.random() < 0.5)
        width, side_db, drive_db = 1.0, 0.0, None
        if augmented:
            if rng.random() < mix_settings.p_width:
                width = max(0.0, float(rng.uniform(-0.3, 1.5)))
            if rng.random() < mix_settings.narrow_probability.get(stem, 0.0):
                width = float(rng.uniform(0, 0.4))
            if rng.random() < mix_settings.p_pan:
                side_db = float(rng.uniform(-1, 1)) * mix_settings.pan_db / 2
            if rng.random() < mix_settings.p_drive:
                drive_db = float(rng.uniform(0, 15))
        low, high = (gain * 2 / 3 if coherent else gain for gain in mix_settings.gain_db)
        gain = 10 ** (float(rng.uniform(low, high)) / 20) * float(rng.choice((-1, 1)))
        song, start, read = cut
        return MixPart(song, stem, start, read, swapped, width, side_db, drive_db, gain)

    def _augmented(self, part: MixPart) -> MixPart:
        """The part with random studio effects."""
        rng, mix_settings = self._rng, self.mix_settings
        if part.stem not in FIXED_PITCH_STEMS and rng.random() < mix_settings.p_pitch_modulation:
            part = replace(part, pitch_modulation=PitchModulation.draw(rng, self.samples / features.SAMPLE_RATE_HZ))
        if rng.random() < mix_settings.p_equaliser:
            part = replace(part, equaliser=self._equaliser(part.stem))
        if rng.random() < mix_settings.p_transient_shaping:
            leaning = float(rng.uniform(0, 1)) * np.array(mix_settings.transient_bias.get(part.stem, (0.0, 0.0, 0.0)))
            low, mid, high = (
                rng.uniform(-mix_settings.transient_shaping, mix_settings.transient_shaping, 3) + leaning
            ).tolist()
            part = replace(part, transient_shaping=(low, mid, high))
        if rng.random() < mix_settings.p_reverb:
            reverb = Reverb(float(rng.uniform(-20, -4)), float(np.exp(rng.uniform(np.log(0.15), np.log(1.5)))))
            part = replace(part, reverb=reverb)
        return part

    def _equaliser(self, stem: str) -> Equaliser:
        rng, mix_settings = self._rng, self.mix_settings
        lean = mix_settings.tilt_bias_db_per_octave.get(stem, 0.0)
        tilt = float(rng.uniform(-1, 1)) * mix_settings.tilt_db_per_octave + float(rng.uniform(0, 1)) * lean
        centre, width = float(rng.uniform(-4, 4)), float(rng.uniform(0.4, 2))
        return Equaliser(tilt, float(rng.uniform(-1, 1)) * mix_settings.bell_db, centre, width)
