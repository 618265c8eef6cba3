"""The band: what every instrument plays, bar by bar, and on which sound. All sounds are FluidR3's or synthesised here."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.signal import butter, sosfilt

from examples.song.score import (
    BARS, BEATS, CHORUS, CLOCK, COUNTERMELODY, DURATION_S, HARMONY, INTRO, LAST, MELODY, OUTRO, VERSE, harmony,
)
from training import effects
from training.compose.note import Note
from training.compose.score import Line as Staff
from training.compose.theory import nearest, voice
from training.effects import Audio
from training.instruments import soundfont, synthesis
from training.instruments.soundfont import GENERAL_MIDI, Patch
from training.instruments.synthesis import Sound

FONT = GENERAL_MIDI[0]
KICK, STICK, SNARE, HAT, OPEN_HAT, CRASH, RIDE = 36, 37, 38, 42, 46, 49, 51
TOMS = (50, 47, 45, 41)
TAMBOURINE, SHAKER, LOW_CONGA, HIGH_CONGA, MUTED_CONGA = 54, 82, 64, 63, 62
GUITARS, HORN, TRUMPETS, STRINGS, FLUTE, GLOCKENSPIEL = (25, 27), 60, 61, 48, 73, 9
HALF_VERSE = VERSE + 4


def _staff(seed: int, timing_s: float = 0.005, touch: float = 4.0, late_s: float = 0.0) -> Staff:
    return Staff(CLOCK, np.random.default_rng((5, seed)), timing_s, late_s, touch)


def _play(staff: Staff, programme: int, **patch: float) -> Audio:
    chosen = Patch(
        FONT,
        programme,
        drums=bool(patch.get("drums")),
        vibrato=int(patch.get("vibrato", 0)),
        swell=bool(patch.get("swell")),
        detune_cents=patch.get("detune_cents", 0.0),
        attack_timecents=patch.get("attack_timecents", 0.0),
    )
    return soundfont.play(_sorted(staff), chosen, DURATION_S)


def _sorted(staff: Staff) -> list[Note]:
    return sorted(staff.notes, key=lambda note: (note.start_s, note.pitch))


def _chords(first: int, last: int) -> Iterator[tuple[float, float]]:
    """First beat and length of every chord from bar ``first`` up to bar ``last``."""
    for bar in range(first, last):
        length = BEATS / len(HARMONY[bar])
        for place in range(len(HARMONY[bar])):
            yield bar * BEATS + place * length, length


def drums() -> Audio:
    """Side stick and hi-hat at first, the whole kit from half-way through the verse, cymbals in the chorus."""
    staff = _staff(1, touch=5)
    for bar in range(VERSE, LAST):
        start = bar * BEATS
        chorus, thin = CHORUS <= bar < OUTRO, bar < HALF_VERSE
        fill = bar in (CHORUS - 1, OUTRO - 1)
        kicks = (0, 2.5) if thin else (0, 1.5, 2.5) if chorus else (0, 2, 2.5)
        if bar == OUTRO + 1:
            kicks = (0,)
        for beat in kicks:
            staff.add(start + beat, 0.4, KICK, 112 if beat == 0 else 98)
        for beat in (1, 3):
            if not (fill and beat == 3) and bar != OUTRO + 1:
                staff.add(start + beat, 0.4, STICK if thin else SNARE, 84 if thin else 108 if chorus else 96)
        if not thin and bar % 2 and not fill:
            staff.add(start + 3.75, 0.2, SNARE, 42)  # a ghost note
        for eighth in range(8):
            beat = eighth / 2
            if fill and beat >= 2:
                break
            if bar == OUTRO + 1 and beat > 0:
                break
            accent = 76 if eighth % 2 == 0 else 54
            if chorus and bar >= CHORUS + 4:
                staff.add(start + beat, 0.4, RIDE, accent + 8)
            elif chorus and eighth % 2:
                staff.add(start + beat, 0.4, OPEN_HAT, 66)
            else:
                staff.add(start + beat, 0.3, HAT, accent)
        if fill:
            for index in range(8):
                key = (SNARE, SNARE, TOMS[0], TOMS[0], TOMS[1], TOMS[2], TOMS[3], TOMS[3])[index]
                staff.add(start + 2 + index / 4, 0.25, key, 78 + 5 * index)
    for index in range(8):  # the toms lead into the last chord
        staff.add((LAST - 1) * BEATS + 2 + index / 4, 0.25, TOMS[index // 2], 66 + 6 * index)
    for bar, velocity in ((CHORUS, 112), (CHORUS + 4, 104), (OUTRO, 112), (LAST, 118)):
        staff.add(bar * BEATS, 2, CRASH, velocity)
    staff.add(LAST * BEATS, 1, KICK, 118)
    return _play(staff, 8, drums=1)


def percussion() -> Audio:
    """Shaker and congas, a tambourine in the chorus, and a glockenspiel that doubles the hook."""
    hands = _staff(2, touch=6, timing_s=0.007)
    for bar in range(VERSE, OUTRO + 1):
        start = bar * BEATS
        for sixteenth in range(16):
            hands.add(start + sixteenth / 4, 0.2, SHAKER, (72, 40, 56, 44)[sixteenth % 4])
        if bar >= HALF_VERSE:
            for beat, key, velocity in (
                (0.5, MUTED_CONGA, 66), (1, HIGH_CONGA, 82), (1.75, MUTED_CONGA, 60), (2.5, HIGH_CONGA, 74),
                (3, LOW_CONGA, 88), (3.5, LOW_CONGA, 80),
            ):
                hands.add(start + beat, 0.3, key, velocity)
        if CHORUS <= bar < OUTRO:
            for beat in (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5):
                hands.add(start + beat, 0.2, TAMBOURINE, 88 if beat in (1, 3) else 56)
    bells = _staff(3, touch=4)
    for line in MELODY:
        if line.start in (CHORUS * BEATS, (CHORUS + 2) * BEATS, (CHORUS + 4) * BEATS, OUTRO * BEATS):
            for note in line.notes:
                bells.add(line.start + note.beat, note.beats, note.pitch + 12, 80)
    for beat, pitch in ((0, 78), (1.5, 78), (4, 76), (8, 74), (12, 79), (14, 86)):
        bells.add(beat, 2, pitch, 70)
    last = LAST * BEATS
    for index, pitch in enumerate((74, 78, 81, 86, 90)):
        bells.add(last + index / 4, 3, pitch, 76)
    return _play(hands, 0, drums=1) + 0.7 * _play(bells, GLOCKENSPIEL)


def bass() -> Audio:
    """Roots with a push in the verse, driving eighths with octaves and steps into the next chord in the chorus."""
    staff = _staff(4)
    for beat, length in _chords(VERSE, LAST):
        root = nearest(harmony(beat).bass, 38)
        root = root + 12 if root < 33 else root
        if beat < CHORUS * BEATS:
            pattern = ((0, 1.4, 0), (1.5, 0.4, 0), (2.5, 0.9, 7), (3.5, 0.45, 12))
        elif beat < OUTRO * BEATS:
            pattern = tuple((eighth / 2, 0.44, 12 if eighth in (3, 6) else 0) for eighth in range(8))
        else:
            pattern = ((0, 1.9, 0), (2, 1.4, 0), (3.5, 0.4, 12))
        for place, beats, above in pattern:
            if place < length:
                fifth = above != 7 or harmony(beat).bass == harmony(beat).chord.root
                staff.add(beat + place, beats, root + (above if fifth else 0), 100 if place == 0 else 88)
        following = harmony(beat + length).bass
        if length == BEATS and beat < OUTRO * BEATS and harmony(beat).bass != following:
            target = nearest(following, root)
            staff.notes.pop()
            staff.add(beat + 3.5, 0.45, target + (2 if target < root else -2 if following != 2 else -1), 86)
    staff.add(LAST * BEATS, 7, 38, 100)
    return _play(staff, 33)


def guitar() -> Audio:
    """A steel-string guitar strums from the verse on; in the chorus a clean electric one picks the chords."""
    strums, picks = _staff(5, touch=6), _staff(6)
    previous: tuple[int, ...] = ()
    stroke = ((0, 1), (1, 1), (1.5, -1), (2.5, -1), (3, 1), (3.5, -1))
    for beat, length in _chords(VERSE, LAST):
        previous = voice(harmony(beat).chord, 5, 60, previous)
        for place, direction in stroke:
            if place >= length:
                continue
            strings = previous if direction > 0 else previous[:1:-1]
            for index, pitch in enumerate(strings):
                delay = 0.011 * index
                strums.add(beat + place, 0.9, pitch, (88 if place == 0 else 74) - 3 * index, delay)
        if beat >= CHORUS * BEATS:
            order = (0, 2, 1, 3, 2, 4, 3, 2)
            for eighth in range(int(2 * length)):
                picks.add(beat + eighth / 2, 1.2, previous[order[eighth]] + 12, 82)
    last = voice(harmony(LAST * BEATS).chord, 5, 60, previous)
    for index, pitch in enumerate(last):
        strums.add(LAST * BEATS, 7, pitch, 92, 0.03 * index)
        picks.add(LAST * BEATS + index / 2, 6, pitch + 12, 74)
    electric = effects.chorus(_play(picks, GUITARS[1]), np.random.default_rng(1), 2.0, 0.5)
    return effects.pan(_play(strums, GUITARS[0]), -0.45) + 0.8 * effects.pan(electric, 0.55)


def keyboard() -> Audio:
    """A piano: broken chords in the intro and verse, full ones in the chorus, a rolled one at the end."""
    staff = _staff(7, touch=5)
    previous: tuple[int, ...] = ()
    for beat, length in _chords(INTRO, LAST):
        previous = voice(harmony(beat).chord, 3, 64, previous)
        low = nearest(harmony(beat).bass, 45)
        if beat < CHORUS * BEATS:
            broken = (low, previous[0], previous[1], previous[2], previous[1], previous[2], previous[1], previous[0])
            for eighth in range(int(2 * length)):
                held = length - eighth / 2 if eighth == 0 else 1.0
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
    return _play(staff, 0)


def strings() -> Audio:
    """A section: enters half-way through the verse, carries the chorus, swells into the last chord."""
    staff = _staff(8, timing_s=0.01, touch=3)
    previous: tuple[int, ...] = ()
    for beat, length in _chords(HALF_VERSE, BARS - 1):
        chorus = beat >= CHORUS * BEATS
        previous = voice(harmony(beat).chord, 4, 69 if chorus else 62, previous if beat != CHORUS * BEATS else ())
        held = length if beat < LAST * BEATS else 7.5
        for pitch in previous:
            staff.add(beat, held, pitch, 92 if chorus else 72)
        staff.add(beat, held, nearest(harmony(beat).bass, 47), 84 if chorus else 66)
    return _play(staff, STRINGS, attack_timecents=-600)


def brass() -> Audio:
    """Horns hold the second half of the chorus, trumpets and trombones answer the hook."""
    horns, section = _staff(9, timing_s=0.008), _staff(10, timing_s=0.006)
    previous: tuple[int, ...] = ()
    for beat, length in _chords(CHORUS + 4, BARS - 1):
        previous = voice(harmony(beat).chord, 3, 57, previous)
        for pitch in previous:
            horns.add(beat, length if beat < LAST * BEATS else 7, pitch, 88)
    for bar, pushes in ((CHORUS + 1, (2.5, 3, 3.5)), (CHORUS + 3, (2.5, 3, 3.5)), (CHORUS + 5, (2.5, 3, 3.5))):
        for place in pushes:
            beat = bar * BEATS + place
            for pitch in voice(harmony(beat).chord, 3, 65):
                section.add(beat, 0.35 if place < 3.5 else 0.45, pitch, 92 + int(8 * (place - 2.5)))
    for beat, length in ((OUTRO * BEATS, 3.5), ((OUTRO + 1) * BEATS, 3.5), (LAST * BEATS, 6)):
        for pitch in voice(harmony(beat).chord, 3, 66):
            section.add(beat, length, pitch, 84)
    return _play(horns, HORN) + 0.8 * _play(section, TRUMPETS)


def woodwinds() -> Audio:
    """A flute: the hook in the intro, then answers between the lines."""
    staff = _staff(11, timing_s=0.008)
    for beat, beats, pitch in COUNTERMELODY:
        staff.add(beat, beats * 0.97, pitch, 94)
    return _play(staff, FLUTE, vibrato=40)


def synth() -> Audio:
    """A soft pad under the intro's end and the chorus, and plucked sixteenths from half-way through the verse."""
    pad, plucks = _staff(12, timing_s=0.0), _staff(13, timing_s=0.0, touch=3)
    previous: tuple[int, ...] = ()
    for beat, length in _chords(INTRO + 2, BARS - 1):
        previous = voice(harmony(beat).chord, 3, 60, previous)
        if beat < VERSE * BEATS or beat >= CHORUS * BEATS:
            for pitch in previous:
                pad.add(beat, length if beat < LAST * BEATS else 6, pitch, 80)
        if HALF_VERSE * BEATS <= beat < LAST * BEATS:
            ladder = (*previous, previous[0] + 12, previous[1] + 12)
            for sixteenth in range(int(4 * length)):
                step = (0, 1, 2, 3, 4, 3, 2, 1)[sixteenth % 8]
                plucks.add(beat + sixteenth / 4, 0.2, ladder[step] + 12, 92 if sixteenth % 4 == 0 else 72)
    soft = Sound(
        "saw", voices=5, detune_cents=16, attack_s=0.25, decay_s=1, sustain=0.9, release_s=0.5, cutoff_hz=1500
    )
    short = Sound(
        "pulse", voices=2, detune_cents=7, width=0.3, decay_s=0.16, sustain=0.0, release_s=0.12, cutoff_hz=1300,
        sweep=4, sweep_s=0.07, resonance_db=4,
    )
    arpeggio = synthesis.play(_sorted(plucks), short, DURATION_S, np.random.default_rng(2))
    arpeggio = effects.echo(arpeggio, 0.75 * CLOCK.beat_s, 0.4, 0.35, ping_pong=True)
    return 0.5 * synthesis.play(_sorted(pad), soft, DURATION_S, np.random.default_rng(3)) + 0.8 * arpeggio


def fx() -> Audio:
    """A riser into the chorus, a fall of air after it, and a rush that draws in the last chord."""
    audio = np.zeros((2, round(DURATION_S * soundfont.SAMPLE_RATE_HZ)), np.float32)
    for start, stop, rising, gain in (
        ((CHORUS - 2) * BEATS, CHORUS * BEATS, True, 1.0),
        (CHORUS * BEATS, (CHORUS + 1) * BEATS, False, 0.9),
        ((LAST - 1) * BEATS, LAST * BEATS, True, 0.8),
        (LAST * BEATS, (LAST + 1.5) * BEATS, False, 0.7),
    ):
        at = round(CLOCK.at(start) * soundfont.SAMPLE_RATE_HZ)
        count = round(CLOCK.at(stop) * soundfont.SAMPLE_RATE_HZ) - at
        audio[:, at : at + count] += gain * _rush(count, rising, np.random.default_rng((4, start)))
    return audio


def _rush(count: int, rising: bool, rng: np.random.Generator) -> Audio:
    """Noise whose band climbs from 300 Hz to 9 kHz as it swells, ``(2, count)``; falling, the same backwards."""
    progress = np.linspace(0, 1, count)
    noise = rng.standard_normal((2, count))
    edges_hz = np.geomspace(300, 9000, 9)
    audio = np.zeros((2, count))
    for index, centre_hz in enumerate(edges_hz):
        sos = butter(1, (centre_hz * 0.7, min(centre_hz * 1.5, 18000)), "bandpass", fs=44100, output="sos")
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
