"""The players of chords and melodies, and the effects: what they play, bar by bar, and on which sound."""

from collections.abc import Callable

import numpy as np
from scipy.signal import butter, sosfilt

from examples.song.rhythm import bass, drums, percussion
from examples.song.score import (
    BARS,
    BEATS,
    CHORUS,
    CLOCK,
    COUNTERMELODY,
    DURATION_S,
    HALF_VERSE,
    INTRO,
    LAST,
    OUTRO,
    VERSE,
    harmony,
)
from examples.song.staves import FONT, chords, in_order, play, staff_of
from training.compose.theory import nearest, voice
from training.instruments import synthesis
from training.instruments.soundfont import Patch
from training.instruments.synthesis import SynthPatch
from training.rendering import effects
from training.rendering.effects import SAMPLE_RATE_HZ, Audio

GUITARS, HORN, TRUMPETS, STRINGS, FLUTE = (25, 27), 60, 61, 48, 73


def guitar() -> Audio:
    """A steel-string guitar strums from the verse on; in the chorus a clean electric one picks the chords."""
    strums, picks = staff_of(5, touch=6), staff_of(6)
    previous: tuple[int, ...] = ()
    stroke = ((0, 1), (1, 1), (1.5, -1), (2.5, -1), (3, 1), (3.5, -1))
    for beat, length in chords(VERSE, LAST):
        previous = voice(harmony(beat).chord, 5, 60, previous)
        for index, (place, direction) in enumerate(stroke):
            if place >= length:
                continue
            until = stroke[index + 1][0] if index + 1 < len(stroke) else BEATS
            strings = previous if direction > 0 else previous[:1:-1]
            for string, pitch in enumerate(strings):
                delay = 0.011 * string
                strums.add(beat + place, until - place - 0.05, pitch, (88 if place == 0 else 74) - 3 * string, delay)
        if beat >= CHORUS * BEATS:
            order = (0, 2, 1, 3, 2, 4, 3, 2)
            for eighth in range(int(2 * length)):
                picks.add(beat + eighth / 2, 1.2, previous[order[eighth]] + 12, 82)
    last = voice(harmony(LAST * BEATS).chord, 5, 60, previous)
    for index, pitch in enumerate(last):
        strums.add(LAST * BEATS, 7, pitch, 92, 0.03 * index)
        picks.add(LAST * BEATS + index / 2, 6, pitch + 12, 74)
    electric = effects.chorus(play(picks, Patch(FONT, GUITARS[1])), np.random.default_rng(1), 2.0, 0.5)
    return effects.pan(play(strums, Patch(FONT, GUITARS[0])), -0.45) + 0.8 * effects.pan(electric, 0.55)


def keyboard() -> Audio:
    """A piano: broken chords in the intro and verse, full ones in the chorus, a rolled one at the end."""
    staff = staff_of(7, touch=5)
    previous: tuple[int, ...] = ()
    for beat, length in chords(INTRO, LAST):
        previous = voice(harmony(beat).chord, 3, 64, previous)
        low = nearest(harmony(beat).bass, 45)
        if beat < CHORUS * BEATS:
            broken = (low, previous[0], previous[1], previous[2], previous[1], previous[2], previous[1], previous[0])
            for eighth in range(int(2 * length)):
                held = length - 0.1 if eighth == 0 else 0.9
                staff.add(beat + eighth / 2, held, broken[eighth], 74 if eighth == 0 else 58 + 4 * (eighth % 2))
        else:
            staff.add(beat, length, low, 84)
            staff.add(beat, length, low - 12, 78)
            for place, beats in ((0, 1.4), (1.5, 0.9), (2.5, 1.4)):
                if place < length:
                    for pitch in previous:
                        staff.add(beat + place, beats, pitch, 84)
    for index, pitch in enumerate((38, 45, 54, 57, 62, 66, 69, 74)):
        staff.add(LAST * BEATS, 8, pitch, 84, 0.045 * index)
    return play(staff, Patch(FONT, 0))


def strings() -> Audio:
    """A section: enters half-way through the verse, carries the chorus, swells into the last chord."""
    staff = staff_of(8, timing_s=0.01, touch=3)
    previous: tuple[int, ...] = ()
    for beat, length in chords(HALF_VERSE, BARS - 1):
        chorus = beat >= CHORUS * BEATS
        previous = voice(harmony(beat).chord, 4, 69 if chorus else 62, previous if beat != CHORUS * BEATS else ())
        held = length - 0.08 if beat < LAST * BEATS else 7.5
        for pitch in previous:
            staff.add(beat, held, pitch, 92 if chorus else 72)
        staff.add(beat, held, nearest(harmony(beat).bass, 47), 84 if chorus else 66)
    for beat, pitch in enumerate((83, 86, 88, 85, 83, 79, 86, 85)):  # the violins above the end of the chorus
        staff.add((CHORUS + 4) * BEATS + 2 * beat, 1.94, pitch, 88)
    return play(staff, Patch(FONT, STRINGS, attack_timecents=-600))


def brass() -> Audio:
    """Horns hold the second half of the chorus, trumpets and trombones answer the hook."""
    horns, section = staff_of(9, timing_s=0.008), staff_of(10, timing_s=0.006)
    previous: tuple[int, ...] = ()
    for beat, length in chords(CHORUS + 4, BARS - 1):
        previous = voice(harmony(beat).chord, 3, 57, previous)
        for pitch in previous:
            horns.add(beat, length - 0.08 if beat < LAST * BEATS else 7, pitch, 88)
    for bar, pushes in ((CHORUS + 1, (2.5, 3, 3.5)), (CHORUS + 3, (2.5, 3, 3.5)), (CHORUS + 5, (2.5, 3, 3.5))):
        for place in pushes:
            beat = bar * BEATS + place
            for pitch in voice(harmony(beat).chord, 3, 65):
                section.add(beat, 0.35 if place < 3.5 else 0.45, pitch, 92 + int(8 * (place - 2.5)))
    for beat, length in ((OUTRO * BEATS, 3.5), ((OUTRO + 1) * BEATS, 3.5), (LAST * BEATS, 6)):
        for pitch in voice(harmony(beat).chord, 3, 66):
            section.add(beat, length, pitch, 84)
    return play(horns, Patch(FONT, HORN)) + 0.8 * play(section, Patch(FONT, TRUMPETS))


def woodwinds() -> Audio:
    """A flute: the hook in the intro, then answers between the lines."""
    staff = staff_of(11, timing_s=0.008)
    for beat, beats, pitch in COUNTERMELODY:
        staff.add(beat, beats * 0.97, pitch, 94)
    return play(staff, Patch(FONT, FLUTE, vibrato=40))


def synth() -> Audio:
    """A soft pad under the intro's end and the chorus, and plucked sixteenths from half-way through the verse."""
    pad, plucks = staff_of(12, timing_s=0.0), staff_of(13, timing_s=0.0, touch=3)
    previous: tuple[int, ...] = ()
    for beat, length in chords(INTRO + 2, BARS - 1):
        previous = voice(harmony(beat).chord, 3, 60, previous)
        if beat < VERSE * BEATS or beat >= CHORUS * BEATS:
            for pitch in previous:
                pad.add(beat, length - 0.05 if beat < LAST * BEATS else 6, pitch, 80)
        if HALF_VERSE * BEATS <= beat < LAST * BEATS:
            ladder = (*previous, previous[0] + 12, previous[1] + 12)
            for sixteenth in range(int(4 * length)):
                step = (0, 1, 2, 3, 4, 3, 2, 1)[sixteenth % 8]
                plucks.add(beat + sixteenth / 4, 0.2, ladder[step] + 12, 92 if sixteenth % 4 == 0 else 72)
    soft = SynthPatch(
        "saw", voices=5, detune_cents=16, attack_s=0.25, decay_s=1, sustain=0.9, release_s=0.5, cutoff_hz=1500
    )
    short = SynthPatch(
        "pulse",
        voices=2,
        detune_cents=7,
        width=0.3,
        decay_s=0.16,
        sustain=0.0,
        release_s=0.12,
        cutoff_hz=1300,
        sweep=4,
        sweep_s=0.07,
        resonance_db=4,
    )
    arpeggio = synthesis.play(in_order(plucks), short, DURATION_S, np.random.default_rng(2))
    arpeggio = effects.echo(arpeggio, 0.75 * CLOCK.beat_s, 0.4, 0.35, ping_pong=True)
    return 0.5 * synthesis.play(in_order(pad), soft, DURATION_S, np.random.default_rng(3)) + 0.8 * arpeggio


def fx() -> Audio:
    """A riser into the chorus, a fall of air after it, and a rush that draws in the last chord."""
    audio = np.zeros((2, round(DURATION_S * SAMPLE_RATE_HZ)), np.float32)
    for start, stop, rising, gain in (
        ((CHORUS - 2) * BEATS, CHORUS * BEATS, True, 1.0),
        (CHORUS * BEATS, (CHORUS + 1) * BEATS, False, 0.9),
        ((LAST - 1) * BEATS, LAST * BEATS, True, 0.8),
        (LAST * BEATS, (LAST + 1.5) * BEATS, False, 0.7),
    ):
        at = round(CLOCK.at(start) * SAMPLE_RATE_HZ)
        count = round(CLOCK.at(stop) * SAMPLE_RATE_HZ) - at
        audio[:, at : at + count] += gain * _rush(count, rising, np.random.default_rng((4, start)))
    return audio


def _rush(count: int, rising: bool, rng: np.random.Generator) -> Audio:
    """Noise whose band climbs from 300 Hz to 9 kHz as it swells, ``(2, count)``; falling, the same backwards."""
    progress = np.linspace(0, 1, count)
    noise = rng.standard_normal((2, count))
    edges_hz = np.geomspace(300, 9000, 9)
    audio = np.zeros((2, count))
    for index, centre_hz in enumerate(edges_hz):
        sos = butter(1, (centre_hz * 0.7, min(centre_hz * 1.5, 18000)), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
        weight = np.clip(1 - np.abs(progress * (len(edges_hz) - 1) - index), 0, 1)
        audio += np.sin(weight * np.pi / 2) * sosfilt(sos, noise, axis=-1)
    audio *= progress**2 * np.clip((1 - progress) * count / 900, 0, 1)
    return np.asarray(audio if rising else audio[:, ::-1], np.float32)


BAND: dict[str, Callable[[], Audio]] = {
    "drums": drums,
    "bass": bass,
    "guitar": guitar,
    "keyboard": keyboard,
    "strings": strings,
    "brass": brass,
    "woodwinds": woodwinds,
    "percussion": percussion,
    "synth": synth,
    "fx": fx,
}
"""Plays the part of a stem, dry: ``(2, samples)`` at 44.1 kHz."""
