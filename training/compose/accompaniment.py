"""Accompaniment of chordal instruments: strums, arpeggios, riffs, pads, comping."""

import numpy as np

from training.compose.note import Note
from training.compose.score import Line, Plan
from training.compose.theory import Chord, finger, nearest, voice

RHYTHMS: dict[str, tuple[str, ...]] = {
    "eighths": ("X.x.X.x.X.x.X.x.", "x.x.x.x.x.x.x.x."),
    "strum": ("X...x.x...x.x.x.", "X.x.x.xxX.x.x.xx", "X..xx.x.X..xx.x.", "X...X.x.X...X.xx", "X.xxX.xxX.xxX.xx"),
    "quarters": ("X...x...X...x...",),
    "offbeat": ("..X...X...X...X.", "....X.......X...", "..xx..xx..xx..xx"),
    "comp": (
        "X.....x.........",
        "......X.......X.",
        "X.........x.....",
        "...X......X.....",
        "....x..x....x..x",
        "X..x..x.........",
    ),
    "funk": ("X.xx.x.xx.xx.x.x", "x..x.xX...xx.x..", "..xXx..x..xXx..x"),
    "charleston": ("X..X....X..X....", "X.....X..X......"),
    "stabs": ("X...............", "X..X..X.........", "..........X.X...", "X.....X.....X...", "......X.X......."),
    "gallop": ("x.xxx.xxx.xxx.xx", "X..X..X.X..X..X."),
    "montuno": ("X.x.xx.x.x.xx.x.", "x.xx.xx.xx.xx.x."),
    "whole": ("X...............",),
    "halves": ("X.......X.......",),
}
"""Chord rhythms, sixteen steps a bar: ``X`` accented chord, ``x`` chord, ``.`` rest."""

ARPEGGIOS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2, 3),
    (0, 2, 1, 2),
    (0, 1, 2, 1),
    (3, 2, 1, 0),
    (0, 2, 3, 2, 1, 2, 3, 2),
    (0, 1, 2, 3, 2, 1),
    (0, 3, 1, 2),
    (0, 2, 1, 3, 2, 1),
)


def block(
    plan: Plan,
    rng: np.random.Generator,
    rhythm: str,
    count: int,
    centre: int,
    gate: float,
    spread_s: float = 0.0,
    quiet: float = 0.0,
    position: int | None = None,
) -> tuple[Note, ...]:
    """Block chords of ``count`` voices in a rhythm of ``RHYTHMS``, with smooth voice leading.

    Args:
        plan: the song.
        rng: random generator.
        rhythm: name of the rhythm; sections alternate between two variants of it.
        count: number of voices.
        centre: pitch in the middle of the voicing.
        gate: share of the time to the next chord for which a chord is held; under 0.5 is staccato.
        spread_s: time between the strings of a strum; upbeats are strummed in the opposite direction.
        quiet: bars with less energy than this are left out.
        position: fret of a guitarist's hand; if it is set, ``count`` and ``centre`` are ignored.
    """
    variants = RHYTHMS[rhythm]
    first, second = variants[rng.integers(len(variants))], variants[rng.integers(len(variants))]
    line = Line(plan.clock, rng, timing_s=float(rng.uniform(0.002, 0.009)))
    previous: tuple[int, ...] = ()
    for bar in plan.bars:
        if bar.energy < quiet:
            continue
        pattern = second if bar.energy > 0.7 else first
        steps = bar.beats * 4
        hits = [step for step in range(steps) if pattern[step % len(pattern)] != "."]
        for here, after in zip(hits, [*hits[1:], steps], strict=True):
            chord = bar.chord_at(here / 4)
            pitches = voice(chord, count, centre, previous) if position is None else finger(chord, position)
            previous = pitches
            accent = 96 if pattern[here % len(pattern)] == "X" else 78
            down = here % 4 != 2 and here % 2 == 0
            order = pitches if down else tuple(reversed(pitches))
            spread = spread_s * float(rng.uniform(0.7, 1.3))
            for string, pitch in enumerate(order):
                if not down and spread_s and string > 3:
                    continue
                velocity = (accent if down else accent - 12) * (0.8 + 0.2 * bar.energy)
                line.add(bar.start + here / 4, (after - here) / 4 * gate, pitch, velocity, string * spread)
    return tuple(line.notes)


def arpeggio(
    plan: Plan, rng: np.random.Generator, step: float, count: int, centre: int, ring: float, quiet: float = 0.0
) -> tuple[Note, ...]:
    """Arpeggios in a pattern of ``ARPEGGIOS``: a note every ``step`` beats, held for ``ring`` steps."""
    order = ARPEGGIOS[rng.integers(len(ARPEGGIOS))]
    line = Line(plan.clock, rng, timing_s=float(rng.choice((0.0, 0.005, 0.008))))
    rests = float(rng.choice((0.0, 0.0, 0.1, 0.25)))
    previous: tuple[int, ...] = ()
    for bar in plan.bars:
        if bar.energy < quiet:
            continue
        for index in range(round(bar.beats / step)):
            beat = index * step
            previous = voice(bar.chord_at(beat), count, centre, previous)
            if rng.random() < rests:
                continue
            pitch = previous[order[index % len(order)] % count]
            line.add(bar.start + beat, step * ring, pitch, 92 if beat % 1 == 0 else 76)
    return tuple(line.notes)


def fingerpick(
    plan: Plan, rng: np.random.Generator, position: int, step: float, ring: float, quiet: float = 0.0
) -> tuple[Note, ...]:
    """Fingerpicking: the thumb plays the lowest strings on the beat, the fingers arpeggiate the higher strings."""
    order = ARPEGGIOS[rng.integers(len(ARPEGGIOS))]
    thumb_every = float(rng.choice((1, 2, 4)))
    pinches = float(rng.choice((0.0, 0.2, 0.5)))
    line = Line(plan.clock, rng, timing_s=0.007)
    for bar in plan.bars:
        if bar.energy < quiet:
            continue
        for index in range(round(bar.beats / step)):
            beat = index * step
            grip = finger(bar.chord_at(beat), position)
            upper = grip[2:] if len(grip) > 4 else grip[1:]
            on_beat = abs(beat % thumb_every) < 1e-6
            if on_beat:
                line.add(bar.start + beat, max(1.0, step * ring), grip[int(beat / thumb_every) % 2], 92)
            if not on_beat or rng.random() < pinches:
                line.add(bar.start + beat, step * ring, upper[order[index % len(order)] % len(upper)], 80)
    return tuple(line.notes)


def pad(plan: Plan, rng: np.random.Generator, count: int, centre: int, quiet: float = 0.0) -> tuple[Note, ...]:
    """Held chords: common tones are tied for one to four bars, the other voices move."""
    line = Line(plan.clock, rng, timing_s=0.012)
    held: dict[int, tuple[int, float]] = {}  # voice -> (pitch, first beat)
    previous: tuple[int, ...] = ()
    end = 0.0
    strength = float(rng.uniform(60, 95))
    breath = int(rng.choice((1, 2, 2, 4)))  # number of bars after which every voice gets a new onset
    for bar in plan.bars:
        if bar.energy < quiet:
            for pitch, since in held.values():
                line.add(since, bar.start - since, pitch, strength)
            held = {}
            continue
        for beat in range(bar.beats):
            now = bar.start + beat
            pitches = voice(bar.chord_at(beat), count, centre, previous)
            for index, pitch in enumerate(pitches):
                if index in held and held[index][0] == pitch and (beat or bar.index % breath):
                    continue
                if index in held:
                    line.add(held[index][1], now - held[index][1], held[index][0], strength)
                held[index] = (pitch, now)
            previous = pitches
        end = bar.start + bar.beats
    for pitch, since in held.values():
        line.add(since, end - since, pitch, strength)
    return tuple(line.notes)


def two_hands(plan: Plan, rng: np.random.Generator, style: str, centre: int) -> tuple[Note, ...]:
    """Piano with two hands: roots in the left; chords, arpeggios or both in the right (e.g. ballad or stride)."""
    line = Line(plan.clock, rng, timing_s=0.007)
    figure = ARPEGGIOS[rng.integers(len(ARPEGGIOS))]
    octaves = rng.random() < 0.6
    previous: tuple[int, ...] = ()
    for bar in plan.bars:
        for beat in range(bar.beats):
            now, chord = bar.start + beat, bar.chord_at(beat)
            root = nearest(chord.root, centre - 24)
            previous = voice(chord, 3, centre, previous)
            changed = beat == 0 or chord != bar.chord_at(beat - 1)
            strength = 62 + 38 * bar.energy
            if style == "stride":
                if beat % 2 == 0:
                    line.add(now, 0.8, root - (12 if beat else 0), strength)
                else:
                    for pitch in previous:
                        line.add(now, 0.5, pitch - 5, strength - 12)
                if rng.random() < 0.6:
                    line.add(now + 0.5 * rng.integers(2), 0.5, previous[int(rng.integers(3))] + 12, strength + 10)
                continue
            if changed:
                line.add(now, 2.0 if style == "ballad" else 1.0, root, strength)
                if octaves:
                    line.add(now, 2.0, root - 12, strength - 8)
            elif style != "ballad" or rng.random() < 0.3:
                line.add(now, 0.9, root + (chord.fifth if rng.random() < 0.4 else 0), strength - 10)
            if style == "broken" or (style == "ballad" and bar.energy < 0.6):
                for half in range(2):
                    tone = figure[(2 * beat + half) % len(figure)] % 3
                    line.add(now + half / 2, 0.6, previous[tone], strength - 6)
                if beat == 0 and rng.random() < 0.5:
                    line.add(now, 1.5, previous[2] + 12, strength + 6)
            else:
                for pitch in previous:
                    line.add(now, 0.95, pitch, strength - 4 if beat % 2 == 0 else strength - 16)
    return tuple(line.notes)


def left_hand(plan: Plan, rng: np.random.Generator, low: int, quiet: float = 0.0) -> tuple[Note, ...]:
    """Left hand of a piano: roots, octaves, fifths or low chords within an octave above ``low``."""
    grip = str(rng.choice(("root", "octave", "octave", "fifth", "chord", "broken")))
    step = float(rng.choice((1, 2, 2, 4)))
    line = Line(plan.clock, rng, timing_s=0.007)
    for bar in plan.bars:
        if bar.energy < quiet:
            continue
        for index in range(max(1, round(bar.beats / step))):
            beat = index * step
            chord = bar.chord_at(beat)
            root = low + (chord.root - low) % 12
            tones = {
                "root": (0,),
                "octave": (-12, 0) if root - 12 >= 24 else (0, 12),
                "fifth": (0, chord.fifth),
                "chord": (0, chord.fifth, 12),
                "broken": (0, chord.fifth, 12, chord.fifth),
            }[grip]
            for place, tone in enumerate(tones):
                late = place * step / len(tones) if grip == "broken" else 0.0
                line.add(bar.start + beat + late, (step - late) * 0.97, root + tone, 70 + 25 * bar.energy)
    return tuple(line.notes)


def power_chords(plan: Plan, rng: np.random.Generator, tuning: int, muted: float) -> tuple[Note, ...]:
    """Root, fifth and octave on the low strings; ``muted`` is the share of bars with palm-muted eighth notes.

    Palm-muted notes last 0.22 beats and have a lower velocity; all others ring until the next chord.
    """
    line = Line(plan.clock, rng, timing_s=0.005)
    names = ("eighths", "strum", "gallop", "whole", "quarters", "halves")
    verse = RHYTHMS[names[rng.integers(len(names))]][0]
    chorus = RHYTHMS[names[rng.integers(len(names))]][0]
    for bar in plan.bars:
        if bar.energy < 0.25:
            continue
        palm = bar.energy < 0.75 and rng.random() < muted
        pattern = RHYTHMS["eighths"][0] if palm else (chorus if bar.energy > 0.7 else verse)
        steps = bar.beats * 4
        hits = [step for step in range(steps) if pattern[step % len(pattern)] != "."]
        for here, after in zip(hits, [*hits[1:], steps], strict=True):
            chord = bar.chord_at(here / 4)
            root = tuning + (chord.root - tuning) % 12
            held = 0.22 if palm else (after - here) / 4 * 0.97
            for interval in (0, chord.fifth) if palm else (0, chord.fifth, 12):
                line.add(bar.start + here / 4, held, root + interval, 70 if palm else 105)
    return tuple(line.notes)


def riff(
    plan: Plan, rng: np.random.Generator, centre: int, step: float, gate: float, quiet: float = 0.0
) -> tuple[Note, ...]:
    """A short figure on scale degrees, repeated in every bar and transposed with the chords."""
    slots = int(4 / step)
    figure = [(slot, int(rng.choice((0, 0, 2, 3, 4, 7, -1, 5, 6)))) for slot in range(slots) if rng.random() < 0.6]
    line = Line(plan.clock, rng, timing_s=0.005)
    for bar in plan.bars:
        if bar.energy < quiet:
            continue
        for slot, degrees in figure:
            if slot * step >= bar.beats:
                continue
            base = nearest(bar.chord_at(slot * step).root, centre)
            line.add(bar.start + slot * step, step * gate, plan.key.step(base, degrees), 98 if slot == 0 else 84)
    return tuple(line.notes)


def montuno(plan: Plan, rng: np.random.Generator, centre: int) -> tuple[Note, ...]:
    """Salsa piano: syncopated octaves and thirds between chord tones."""
    pattern = RHYTHMS["montuno"][rng.integers(2)]
    line = Line(plan.clock, rng, timing_s=0.005)
    previous: tuple[int, ...] = ()
    for bar in plan.bars:
        for step in range(bar.beats * 4):
            if pattern[step % 16] == ".":
                continue
            chord: Chord = bar.chord_at(step / 4)
            previous = voice(chord, 3, centre, previous)
            if step % 3 == 0:
                for pitch in (previous[0], previous[0] + 12, previous[0] - 12):
                    line.add(bar.start + step / 4, 0.3, pitch, 96)
            else:
                for pitch in previous[1:]:
                    line.add(bar.start + step / 4, 0.3, pitch, 86)
    return tuple(line.notes)
