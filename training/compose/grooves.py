"""Drum grooves and percussion patterns: sixteen steps a bar, with fills, ghost notes and crashes.

Drum notes use the keys of the General MIDI drum channel, for sampled and synthesised kits alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.compose.note import Note
from training.compose.score import Bar, Line, Plan

KICK, RIM, SNARE, CLAP = 36, 37, 38, 39
HAT, PEDAL, OPEN_HAT = 42, 44, 46
RIDE, BELL, CRASH, SECOND_CRASH, CHINA, SPLASH = 51, 53, 49, 57, 52, 55
TOMS = (50, 48, 47, 45, 43, 41)


@dataclass(frozen=True)
class Groove:
    """Steps of one bar: ``X`` accent, ``x`` hit, ``o`` ghost note or a hit at random, ``.`` rest.

    Attributes:
        kick, snare, time: the steps; ``time`` is the hi-hat, the ride or another timekeeper.
        timekeeper: General MIDI key of ``time``.
        backbeat: General MIDI key of ``snare``.
    """

    kick: str
    snare: str
    time: str
    timekeeper: int = HAT
    backbeat: int = SNARE


GROOVES: dict[str, tuple[Groove, ...]] = {
    "rock": (
        Groove("X.......X.x.....", "....X.......X...", "X.x.X.x.X.x.X.x."),
        Groove("X..x..x.X.......", "....X.......X..o", "X.x.X.x.X.x.X.x."),
        Groove("X.x.....X.x...o.", "....X..o.o..X...", "X.x.X.x.X.x.X.x.", RIDE),
        Groove("X.......X.......", "....X.......X...", "X...X...X...X...", OPEN_HAT),
        Groove("X.....x.x.....x.", "....X..o.x..X...", "X.x.X.x.X.x.X.x."),
        Groove("X.......x.x.....", "........X.......", "X...x...X...x...", RIDE),
        Groove("x...x...x...x...", "x...X...x...X...", "x.x.x.x.x.x.x.x.", 41),
    ),
    "metal": (
        Groove("xxxxxxxxxxxxxxxx", "....X.......X...", "X...X...X...X...", CHINA),
        Groove("x.xxx.xxx.xxx.xx", "....X.......X...", "X.x.X.x.X.x.X.x.", RIDE),
        Groove("x.x.x.x.x.x.x.x.", "..X...X...X...X.", "X.X.X.X.X.X.X.X.", OPEN_HAT),
        Groove("X..X..X..X..X.X.", "........X.......", "X...X...X...X...", CRASH),
    ),
    "pop": (
        Groove("X.......X.......", "....X.......X...", "x.x.x.x.x.x.x.x."),
        Groove("X......xX..x....", "....X.......X...", "x.xxx.xxx.xxx.xx"),
        Groove("X..x....X..x..x.", "....X.......X...", "xxxxxxxxxxxxxxxx", HAT, CLAP),
        Groove("X.....x...x.....", "....X.......X...", "..x...x...x...x.", OPEN_HAT),
    ),
    "ballad": (
        Groove("X.........x.....", "....X.......X...", "x.x.x.x.x.x.x.x."),
        Groove("X......x........", "........X.......", "x...x...x...x...", HAT, RIM),
        Groove("X.......x.......", "....x.......x...", "xoxoxoxoxoxoxoxo", RIDE, RIM),
    ),
    "four": (
        Groove("X...X...X...X...", "....X.......X...", "..X...X...X...X.", OPEN_HAT, CLAP),
        Groove("X...X...X...X...", "....x.......x...", "xxXxxxXxxxXxxxXx"),
        Groove("X...X...X...X..o", ".......x......x.", "..x...x...x...xo", HAT, CLAP),
        Groove("X...X...X...X...", "................", "xoXoxoXoxoXoxoXo", HAT),
    ),
    "break": (
        Groove("X.X.......XX....", "....X..x.x..X..x", "x.x.x.x.x.x.x.x."),
        Groove("X.........X.....", "....X.......X...", "x.x.xxx.x.x.xxx."),
        Groove("X..X......X..X..", "....X..o.o..X.o.", "xxxxxxxxxxxxxxxx", RIDE),
        Groove("X.........x.....", "....X..o.x.oX...", "x.x.x.x.x.x.x.x."),
    ),
    "trap": (
        Groove("X.....x...x.....", "........X.......", "x.x.xxx.x.x.xoxx", HAT, CLAP),
        Groove("X..x......X..x..", "........X.......", "xxx.xxx.xxx.xxx."),
        Groove("X......x..x.....", "....X.......X...", "x.x.x.x.x.xxx.x."),
        Groove("X.X....x..X.....", "....X.......X..o", "x.x.x.x.x.x.x.x."),
    ),
    "funk": (
        Groove("X..x..x...x..x..", "....X..o.o..X..o", "xxxxxxxxxxxxxxxx"),
        Groove("X.x....x..x.....", "....X.oo.o..X.o.", "x.x.x.x.x.x.x.x."),
        Groove("X.....x.x.x....x", "....X..o.x..X...", "xXxxxXxxxXxxxXxx"),
    ),
    "jazz": (
        Groove("o...o...o...o...", "...o.......o..o.", "X...X..xX...X..x", RIDE),
        Groove("o.......o.......", ".......o...o....", "X...X..xX...X..x", RIDE),
        Groove("x...........x...", "....o.......o...", "x...X..xx...X..x", HAT),
    ),
    "latin": (
        Groove("X.....x.X.....x.", "...x..x...x.x...", "x.xxx.x.xx.xx.x.", BELL, RIM),
        Groove("X..x..x.X..x..x.", "X..X..X...X.X...", "xoxxxoxxxoxxxoxx", HAT, RIM),
        Groove("X...X...X...X...", "...x..x....x..x.", "x.x.x.x.x.x.x.x.", HAT),
    ),
    "reggae": (
        Groove("........X.......", "........X.......", "x.x.x.x.x.x.x.x.", HAT, RIM),
        Groove("X...X...X...X...", "........X.......", "x.xxx.xxx.xxx.xx", HAT, RIM),
        Groove("X.......X.......", "........X......o", "..x...x...x...x.", HAT),
    ),
    "shuffle": (
        Groove("X.......X.x.....", "....X.......X...", "X..xX..xX..xX..x"),
        Groove("X.....x.X.....x.", "....X.......X...", "X..xX..xX..xX..x", RIDE),
    ),
    "march": (
        Groove("X.......x.......", "X.xxX.xxX.xxXxxx", "................"),
        Groove("X...............", "....x.......x...", "........x.......", CRASH),
    ),
    "waltz": (
        Groove("X...........", "....x...x...", "x.x.x.x.x.x."),
        Groove("X...........", "....o...x...", "X...X.x.X...", RIDE, RIM),
        Groove("X.....x.....", "........X...", "x.x.x.x.x.x."),
    ),
}

PERCUSSION: dict[str, tuple[tuple[int, str], ...]] = {
    # General MIDI keys of hand percussion, with typical patterns.
    "shaker": ((70, "xoXoxoXoxoXoxoXo"), (82, "x.X.x.X.x.X.x.X.")),
    "tambourine": ((54, "..x...x...x...x."), (54, "....X.......X..."), (54, "xoXoxoXoxoXoxoXo")),
    "congas": ((63, "..X...xx..X...xx"), (64, "......XX......XX"), (62, "x.x.x...x.x.x...")),
    "bongos": ((60, "XxxxXxxxXxxxXxxx"), (61, "..x...X...x...X."), (60, "x.xx.xx.x.xx.xx.")),
    "cowbell": ((56, "X.x.X.x.X.x.X.x."), (56, "X...X...X...X...")),
    "clave": ((75, "X..X..X...X.X..."), (75, "..X.X...X..X..X.")),
    "timbales": ((65, "X.xxX.x.X.xxX.x."), (66, "......x.......xx")),
    "agogo": ((67, "x.x.xx.x.x.xx.x."), (68, "x..x..x.x..x..x.")),
    "blocks": ((76, "x..x..x.x..x..x."), (77, "..x..x....x..x..")),
    "guiro": ((74, "X..."), (73, "..xx..xx..xx..xx")),
    "cabasa": ((69, "xoxoxoxoxoxoxoxo"),),
    "triangle": ((81, "X...x...X...x..."), (80, "..xx..xx..xx..xx")),
    "claps": ((39, "....X.......X..."), (39, "..x...x...x...x.")),
    "surdo": ((86, "....x.......x..."), (87, "X.......X.....x.")),
}


def _strength(mark: str, rng: np.random.Generator) -> float:
    if mark == "X":
        return float(rng.uniform(104, 122))
    if mark == "x":
        return float(rng.uniform(78, 104))
    if mark == "o" and rng.random() < 0.6:
        return float(rng.uniform(30, 60))
    return 0.0


def drums(plan: Plan, style: str, rng: np.random.Generator) -> tuple[Note, ...]:
    """Drum notes of a song in a style of ``GROOVES``: two grooves, fills at the end of sections, then a crash."""
    meter = plan.bars[0].beats
    choices = GROOVES["waltz"] if meter == 3 else GROOVES[style]
    verse, chorus = choices[rng.integers(len(choices))], choices[rng.integers(len(choices))]
    line = Line(
        plan.clock, rng, timing_s=float(rng.choice((0.0, 0.003, 0.006))), late_s=float(rng.choice((0, 0, 0.008)))
    )
    crashes, busy = rng.random() < 0.8, float(rng.uniform(0, 0.12))
    for bar in plan.bars:
        if bar.energy < 0.2:
            continue
        groove = chorus if bar.energy > 0.7 else verse
        fill_from = _fill_start(bar, rng)
        steps = bar.beats * 4
        for step in range(steps):
            beat = bar.start + step / 4
            if step >= fill_from:
                _fill(line, beat, step - fill_from, steps - fill_from, rng)
                continue
            kick = _strength(groove.kick[step % len(groove.kick)], rng)
            if kick or rng.random() < busy * 0.5:
                line.add(beat, 0.2, KICK, kick or 70)
            snare = _strength(groove.snare[step % len(groove.snare)], rng)
            if snare:
                line.add(beat, 0.2, groove.backbeat, snare)
                if groove.backbeat == SNARE and bar.energy > 0.8 and snare > 100 and rng.random() < 0.1:
                    line.add(beat, 0.2, CLAP, 90)
            time = _strength(groove.time[step % len(groove.time)], rng) * (0.55 + 0.35 * bar.energy)
            if time:
                opened = groove.timekeeper == HAT and rng.random() < busy
                line.add(beat, 0.2, OPEN_HAT if opened else groove.timekeeper, time)
            if groove.timekeeper in (RIDE, BELL) and step % 8 == 4:
                line.add(beat, 0.2, PEDAL, 70)
        if crashes and bar.opens and bar.energy > 0.45:
            line.add(bar.start, 1, int(rng.choice((CRASH, SECOND_CRASH, CRASH, SPLASH))), 108)
    return tuple(line.notes)


def _fill_start(bar: Bar, rng: np.random.Generator) -> int:
    steps = bar.beats * 4
    if bar.closes and rng.random() < 0.75:
        return steps - int(rng.choice((4, 4, 8, 8, steps)))
    return steps - 2 if rng.random() < 0.06 else steps


def _fill(line: Line, beat: float, step: int, steps: int, rng: np.random.Generator) -> None:
    if rng.random() < 0.18:
        return
    along = step / max(1, steps)
    drum = TOMS[min(5, int(along * 6))] if rng.random() < 0.65 else SNARE
    line.add(beat, 0.2, drum, 80 + 35 * along)
    if step % 4 == 0:
        line.add(beat, 0.2, KICK, 90)
    if steps > 4 and rng.random() < 0.12:
        line.add(beat + 0.125, 0.1, drum, 70)


def percussion(plan: Plan, kinds: Sequence[str], rng: np.random.Generator) -> tuple[Note, ...]:
    """Hand percussion, one player for each name of ``PERCUSSION``, in the louder half of the bars or throughout."""
    line = Line(plan.clock, rng, timing_s=0.007)
    for kind in kinds:
        patterns = PERCUSSION[kind]
        players = [patterns[rng.integers(len(patterns))]] if rng.random() < 0.6 else list(patterns)
        threshold, level = float(rng.choice((0.0, 0.3, 0.6))), float(rng.uniform(0.7, 1.05))
        for bar in plan.bars:
            if bar.energy < threshold:
                continue
            for key, pattern in players:
                for step in range(bar.beats * 4):
                    strength = _strength(pattern[step % len(pattern)], rng) * level
                    if strength and rng.random() < 0.96:
                        line.add(bar.start + step / 4, 0.25, key, strength)
            if kind in ("congas", "bongos", "timbales") and bar.closes:
                for step in range(8):
                    if rng.random() < 0.7:
                        key = int(rng.choice([key for key, _ in patterns]))
                        line.add(bar.start + bar.beats - 2 + step / 4, 0.25, key, 95)
    return tuple(line.notes)
