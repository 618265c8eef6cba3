"""How mixes are made: the options, and what is drawn for each mix before a sample is touched.

A mix is either coherent (the stems of one song, at one place) or put together from many songs, where rare stems come as
often as they must to be learned; both leave stems out, since a network that never misses a stem hears it everywhere.
What changes a stem without changing what it is (level, equaliser, polarity, speed, width, drive) is drawn anew each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from stemwright.stems import STEMS
from training.data import features
from training.data.pitch_modulation import Wavering
from training.data.recording_statistics import LEAN_DB_PER_OCTAVE, LEAN_SHAPING, OFTEN, OFTEN_NARROW, STEADY
from training.data.songs import Extent, members


@dataclass(frozen=True)
class Mixing:
    """How mixes are made; a ``p_`` is a probability.

    Attributes:
        p_coherent: stems of one song; p_sparse: one to three stems; else stems of many songs.
        p_sung: a coherent mix is of a song with a lead voice, as most songs are; else of any.
        p_unknown: a mix of many songs has a recording of unknown stems, where there is one, and none that may be in it.
        p_left_out: a stem of a coherent mix is left out.
        p_together: lead and backing vocals of a mix of many songs come from one place of one song.
        gain_db: least and greatest gain of a stem in a mix of many songs; two thirds of it in a coherent one. In recordings
            drums lie up to 5 dB below the bass, and voices sing far behind a band.
        p_speed, speed: a change of speed and pitch of the whole mix, by up to this fraction.
        p_own_speed, own_speed: the same of a single cut of a mix of many songs, which makes another drum kit of a kit.
        p_wavering: the pitch of a stem that is not ``STEADY`` moves.
        p_equaliser, tilt_db_per_octave, bell_db: each stem's spectrum tilts, and has one bell or notch, at the same level.
        lean_db_per_octave: the furthest that a stem's tilt leans to one side besides.
        p_shaping, shaping: a stem's strokes stand out or sink in, by up to this power of their height over what is around
            them: another beater, another compressor.
        lean_shaping: the furthest that this power leans to one side besides.
        p_reverb: a stem stands in a room of its own.
        often_narrow: how often a stem has hardly any sides.
        p_width, p_pan, pan_db: a stem gets narrower or wider; it moves to a side, by up to this level difference.
        p_drive: a soft clip.
        p_mono, p_narrow: the mix has one channel, twice; its sides are lowered. Half of the old recordings are so, and a
        network that never met a silent side takes it for a sign of what is always in the middle.
        p_levelled: the mix goes through a slow compressor, stems with it; p_low_pass: it ends below the top; p_codec: it has
            the holes that a lossy codec leaves.
        peak_db: least and greatest peak of the mix.
        p_augmented: a mix has any of these changes but swap and polarity.
    """

    p_coherent: float = 0.4
    p_sparse: float = 0.35
    p_sung: float = 0.6
    p_unknown: float = 0.6
    p_left_out: float = 0.3
    p_together: float = 0.5
    gain_db: tuple[float, float] = (-12.0, 6.0)
    p_speed: float = 0.25
    speed: float = 0.12
    p_own_speed: float = 0.25
    own_speed: float = 0.18
    p_wavering: float = 0.3
    p_equaliser: float = 0.6
    tilt_db_per_octave: float = 2.0
    bell_db: float = 7.0
    p_shaping: float = 0.8
    shaping: float = 0.6
    p_reverb: float = 0.15
    p_width: float = 0.3
    p_pan: float = 0.3
    pan_db: float = 6.0
    p_mono: float = 0.35
    p_narrow: float = 0.25
    p_drive: float = 0.08
    p_levelled: float = 0.3
    p_low_pass: float = 0.15
    p_codec: float = 0.15
    peak_db: tuple[float, float] = (-16.0, 0.0)
    p_augmented: float = 0.7
    often: dict[str, float] = field(default_factory=lambda: dict(OFTEN))
    lean_db_per_octave: dict[str, float] = field(default_factory=lambda: dict(LEAN_DB_PER_OCTAVE))
    lean_shaping: dict[str, tuple[float, float, float]] = field(default_factory=lambda: dict(LEAN_SHAPING))
    often_narrow: dict[str, float] = field(default_factory=lambda: dict(OFTEN_NARROW))


PLAIN = Mixing(
    p_coherent=1,
    p_sung=0,
    p_left_out=0,
    gain_db=(0, 0),
    p_levelled=0,
    p_low_pass=0,
    p_codec=0,
    p_augmented=0,
    peak_db=(-6, -6),
)
"""Songs as they are: for validation."""


@dataclass(frozen=True)
class Equaliser:
    """A tilt about 1 kHz and one bell, ``bell_octaves`` from there."""

    tilt_db_per_octave: float
    bell_db: float
    bell_octaves: float
    bell_width_octaves: float


@dataclass(frozen=True)
class Reverb:
    """A tail behind a stem: its level below it, and how long it takes to fall by 60 dB."""

    level_db: float
    decay_s: float


@dataclass(frozen=True)
class Part:
    """One stem of a mix: where it is cut, and what is done to it, in this order.

    Attributes:
        song, stem, start: the recording, a stem or some unknown ones, and the sample from which it is read.
        read: samples to read of it; as many as the mix has are as they are, else they are played faster or slower.
        swapped: left and right change places; width: of its sides, 1 is as it was, 0 is mono.
        side_db: left gets so much louder and right so much softer.
        drive_db: of a soft clip, above the peak.
        gain: negative turns the polarity.
        equaliser: of its spectrum, which stays as loud.
        shaping: of lows, mids and highs: above 0 strokes stand out and tails are short, below 0 the other way round.
        reverb: the room that it stands in.
        wavering: how its pitch moves, first of all.
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
    shaping: tuple[float, float, float] | None = None
    reverb: Reverb | None = None
    wavering: Wavering | None = None


@dataclass(frozen=True)
class Plan:
    """One mix.

    Attributes:
        parts: its stems.
        swapped: left and right of all change places; width: of the sides of all.
        peak: of the sum.
        low_pass_hz: where the spectra end, if they end below the top.
        levelling: how much a slow compressor does, 0 is nothing.
        codec_db: what is softer than its surroundings by this is left out, as lossy codecs do.
    """

    parts: tuple[Part, ...]
    swapped: bool
    width: float
    peak: float
    low_pass_hz: float | None
    levelling: float
    codec_db: float | None = None


Cut = tuple[str, int, int]
"""Song, first sample, and samples to read."""


class Songbook:
    """Songs to draw from, sorted by what plays in them."""

    def __init__(self, songs: Mapping[str, Mapping[str, Extent]]) -> None:
        self.songs = songs
        self.names = list(songs)
        self.holders = {stem: [name for name in songs if stem in songs[name]] for stem in STEMS}
        self.unknown = [(name, label) for name, song in songs.items() for label in song if label not in STEMS]


class Planner:
    """Draws endless plans; the same seed and songs give the same ones."""

    def __init__(self, frames: int, mixing: Mixing, seed: int) -> None:
        self.mixing = mixing
        self.samples = features.frames_to_samples(frames)
        self._rng = np.random.default_rng(seed)

    def draw(self, book: Songbook) -> Plan:
        """The next plan.

        Raises:
            LookupError: there is no song yet.
        """
        if not book.names:
            raise LookupError("There is no song to train on yet. Render some with: python -m training.rendering.corpus")
        rng, mixing = self._rng, self.mixing
        coherent = rng.random() < mixing.p_coherent
        augmented = rng.random() < mixing.p_augmented
        speed = 1.0
        if augmented and rng.random() < mixing.p_speed:
            speed = 1 + float(rng.uniform(-mixing.speed, mixing.speed))
        read = round(self.samples * speed)
        cuts = self._one_song(book, read) if coherent else self._many_songs(book, read, augmented)
        parts = [self._part(stem, cut, coherent, augmented) for stem, cut in cuts.items()]
        swapped = bool(coherent and rng.random() < 0.5)
        width = 1.0
        if augmented and (drawn := rng.random()) < mixing.p_mono + mixing.p_narrow:
            width = 0.0 if drawn < mixing.p_mono else float(rng.uniform(0, 0.6))
        peak = 10 ** (float(rng.uniform(*mixing.peak_db)) / 20)
        low_pass_hz, levelling, codec_db = None, 0.0, None
        if parts:
            equalised = rng.random() < mixing.p_augmented
            if rng.random() < mixing.p_low_pass:  # as lossy codecs and old recordings have it
                low_pass_hz = 4000 * 2 ** float(rng.uniform(0, 2.1))
            if equalised:
                parts = [self._produced(part) for part in parts]
            if rng.random() < mixing.p_levelled:
                levelling = float(rng.uniform(0, 0.25))
            if rng.random() < mixing.p_codec:
                codec_db = float(rng.uniform(3, 20))
        return Plan(tuple(parts), swapped, width, peak, low_pass_hz, levelling, codec_db)

    def _one_song(self, book: Songbook, read: int) -> dict[str, Cut]:
        """Cut of each stem of a coherent mix."""
        rng = self._rng
        names = book.names
        if book.holders["vocals"] and rng.random() < self.mixing.p_sung:
            names = book.holders["vocals"]
        name = names[int(rng.integers(len(names)))]
        song = book.songs[name]
        stems = [stem for stem in song if rng.random() >= self.mixing.p_left_out]
        start = song[stems[int(rng.integers(len(stems)))]].audible_start(rng, read) if stems else 0
        return dict.fromkeys(stems, (name, start, read))

    def _many_songs(self, book: Songbook, read: int, augmented: bool) -> dict[str, Cut]:
        """Cut of each stem of a mix of many songs."""
        rng, mixing = self._rng, self.mixing
        cuts: dict[str, Cut] = {}
        if book.unknown and rng.random() < mixing.p_unknown:
            name, label = book.unknown[int(rng.integers(len(book.unknown)))]
            cuts[label] = self._cut(book, name, label, read, augmented)
            others = set(STEMS) - set(members(label))
            chosen = {stem for stem in STEMS if rng.random() < mixing.often[stem]} & others
        elif rng.random() < mixing.p_sparse / max(1e-9, 1 - mixing.p_coherent):
            often = np.array([mixing.often[stem] for stem in STEMS])
            chosen = set(rng.choice(STEMS, int(rng.integers(1, 4)), replace=False, p=often / often.sum()))
        else:
            chosen = {stem for stem in STEMS if rng.random() < mixing.often[stem]}
        for stem in STEMS:
            holders = book.holders[stem]
            if stem not in chosen or stem in cuts or not holders:
                continue
            name = holders[int(rng.integers(len(holders)))]
            song = book.songs[name]
            cuts[stem] = self._cut(book, name, stem, read, augmented)
            both = stem == "vocals" and "backing_vocals" in song and "backing_vocals" in chosen
            if both and rng.random() < mixing.p_together:
                cuts["backing_vocals"] = cuts[stem]
        return cuts

    def _cut(self, book: Songbook, name: str, stem: str, read: int, augmented: bool) -> Cut:
        """A place in one recording where something is heard, at a speed of its own now and then."""
        rng, mixing = self._rng, self.mixing
        if augmented and rng.random() < mixing.p_own_speed:
            read = round(read * (1 + float(rng.uniform(-mixing.own_speed, mixing.own_speed))))
        return name, book.songs[name][stem].audible_start(rng, read), read

    def _part(self, stem: str, cut: Cut, coherent: bool, augmented: bool) -> Part:
        rng, mixing = self._rng, self.mixing
        swapped = bool(not coherent and rng.random() < 0.5)
        width, side_db, drive_db = 1.0, 0.0, None
        if augmented:
            if rng.random() < mixing.p_width:
                width = max(0.0, float(rng.uniform(-0.3, 1.5)))
            if rng.random() < mixing.often_narrow.get(stem, 0.0):
                width = float(rng.uniform(0, 0.4))
            if rng.random() < mixing.p_pan:
                side_db = float(rng.uniform(-1, 1)) * mixing.pan_db / 2
            if rng.random() < mixing.p_drive:
                drive_db = float(rng.uniform(0, 15))
        low, high = (gain * 2 / 3 if coherent else gain for gain in mixing.gain_db)
        gain = 10 ** (float(rng.uniform(low, high)) / 20) * float(rng.choice((-1, 1)))
        song, start, read = cut
        return Part(song, stem, start, read, swapped, width, side_db, drive_db, gain)

    def _produced(self, part: Part) -> Part:
        """The part with what another engineer might have done to it."""
        rng, mixing = self._rng, self.mixing
        if part.stem not in STEADY and rng.random() < mixing.p_wavering:
            part = replace(part, wavering=Wavering.draw(rng, self.samples / features.SAMPLE_RATE_HZ))
        if rng.random() < mixing.p_equaliser:
            part = replace(part, equaliser=self._equaliser(part.stem))
        if rng.random() < mixing.p_shaping:
            leaning = float(rng.uniform(0, 1)) * np.array(mixing.lean_shaping.get(part.stem, (0.0, 0.0, 0.0)))
            low, mid, high = (rng.uniform(-mixing.shaping, mixing.shaping, 3) + leaning).tolist()
            part = replace(part, shaping=(low, mid, high))
        if rng.random() < mixing.p_reverb:
            reverb = Reverb(float(rng.uniform(-20, -4)), float(np.exp(rng.uniform(np.log(0.15), np.log(1.5)))))
            part = replace(part, reverb=reverb)
        return part

    def _equaliser(self, stem: str) -> Equaliser:
        rng, mixing = self._rng, self.mixing
        lean = mixing.lean_db_per_octave.get(stem, 0.0)
        tilt = float(rng.uniform(-1, 1)) * mixing.tilt_db_per_octave + float(rng.uniform(0, 1)) * lean
        centre, width = float(rng.uniform(-4, 4)), float(rng.uniform(0.4, 2))
        return Equaliser(tilt, float(rng.uniform(-1, 1)) * mixing.bell_db, centre, width)
