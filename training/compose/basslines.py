"""Bass lines: patterns of roots and fifths, and walking bass."""

import numpy as np

from training.compose.note import Note
from training.compose.score import Line, Plan
from training.compose.theory import nearest

BASS_RHYTHMS: dict[str, tuple[str, ...]] = {
    "roots": ("X.x.x.x.x.x.x.x.", "X.......x.x.....", "X..x..x.X..x..x.", "X...x...x...x..."),
    "groove": ("X..x..x...x.x...", "X.x...xx..x..x..", "X..xx.....x.x.xx", "X.....x.X..x.x.."),
    "long": ("X...............", "X.......x.......", "X.........x....."),
    "offbeat": ("..x...x...x...x.", "..xx..xx..xx..xx"),
    "tumbao": ("......x.....x...", "X.....x.....x..."),
    "reggae": ("x..x..x.....x...", "X.....x.x.......", "....x.x.x..x...."),
    "driving": ("xxxxxxxxxxxxxxxx", "x.xxx.xxx.xxx.xx"),
    "trap": ("X.....x...x.....", "X..............x", "X......x..x....."),
}


def bass(plan: Plan, rng: np.random.Generator, style: str, low: int = 28) -> tuple[Note, ...]:
    """A bass line in a style of ``BASS_RHYTHMS`` or ``walking``: roots, fifths, octaves and passing notes.

    A third of the bass parts play only in the louder sections.
    """
    quiet = float(rng.choice((0.12, 0.12, 0.12, 0.12, 0.4, 0.65)))
    if style == "walking":
        return _walking(plan, rng, low, quiet)
    variants = BASS_RHYTHMS[style]
    first, second = variants[rng.integers(len(variants))], variants[rng.integers(len(variants))]
    line = Line(plan.clock, rng, timing_s=float(rng.choice((0.002, 0.006))), late_s=float(rng.choice((0, 0.005))))
    gate, wander = float(rng.uniform(0.5, 1.0)), float(rng.choice((0.0, 0.15, 0.4)))
    octaves = float(rng.choice((0.0, 0.0, 0.1, 0.35)))
    for index, bar in enumerate(plan.bars):
        if bar.energy < quiet:
            continue
        pattern = second if bar.energy > 0.7 else first
        steps = bar.beats * 4
        hits = [step for step in range(steps) if pattern[step % len(pattern)] != "."] or [0]
        following = plan.bars[(index + 1) % len(plan.bars)].chord
        for position, (here, after) in enumerate(zip(hits, [*hits[1:], steps], strict=True)):
            # The last note of a tumbao anticipates the chord of the next bar.
            chord = following if style == "tumbao" and here >= steps - 4 else bar.chord_at(here / 4)
            pitch = low + (chord.root - low) % 12
            if position and rng.random() < octaves:
                pitch += 12
            elif position and rng.random() < wander:
                pitch += int(rng.choice((chord.fifth, chord.fifth - 12, 10, chord.intervals[1])))
            if after == steps and position and following != chord and rng.random() < 0.35:
                target = low + (following.root - low) % 12
                pitch = target + int(rng.choice((-1, 1, -2, 2)))
            pitch = pitch if pitch >= 23 else pitch + 12
            accent = 104 if pattern[here % len(pattern)] == "X" else 90
            line.add(bar.start + here / 4, (after - here) / 4 * gate, pitch, accent)
    return tuple(line.notes)


def _walking(plan: Plan, rng: np.random.Generator, low: int, quiet: float) -> tuple[Note, ...]:
    line = Line(plan.clock, rng, timing_s=0.006)
    pitch = low + 8
    for index, bar in enumerate(plan.bars):
        if bar.energy < quiet:
            continue
        following = plan.bars[(index + 1) % len(plan.bars)].chord
        for beat in range(bar.beats):
            chord = bar.chord_at(beat)
            after = bar.chord_at(beat + 1) if beat + 1 < bar.beats else following
            if beat == 0 or chord != bar.chord_at(beat - 1):
                pitch = _within(nearest(chord.root, pitch), low)
            elif beat == bar.beats - 1 or after != chord:
                pitch = nearest(after.root, pitch) + int(rng.choice((-1, 1, -2, 2)))
            else:
                tone = int(rng.choice(chord.pitch_classes))
                pitch = nearest(tone, pitch + int(rng.choice((-3, 3))))
            pitch = _within(pitch, low)
            line.add(bar.start + beat, 0.92, pitch, 96 if beat % 2 else 88)
            if rng.random() < 0.1:
                line.add(bar.start + beat + 0.5, 0.3, pitch, 70)
    return tuple(line.notes)


def _within(pitch: int, low: int) -> int:
    while pitch < low:
        pitch += 12
    while pitch > low + 19:
        pitch -= 12
    return pitch
