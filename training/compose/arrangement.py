"""Arrangement: writes the notes of every stem and role of a song."""

import numpy as np

from training.compose import accompaniment, basslines, grooves
from training.compose.genres import Genre
from training.compose.melody import Tessitura, harmony, melody
from training.compose.note import Note
from training.compose.score import Line, Plan
from training.compose.theory import nearest


def lead(plan: Plan, rng: np.random.Generator) -> tuple[Note, ...]:
    """The melody of the lead vocal. Other parts harmonise it, even in songs without vocals."""
    low = int(rng.choice((45, 48, 52, 55, 57)))  # from A2 (bass) to A3 (soprano)
    return melody(
        plan,
        rng,
        Tessitura(low, low + int(rng.integers(13, 20))),
        float(rng.uniform(0.6, 0.95)),
        float(rng.choice((0.0, 0.0, 0.4))),
    )


def write(
    plan: Plan, genre: Genre, stem: str, role: str, lead: tuple[Note, ...], rng: np.random.Generator
) -> tuple[Note, ...]:
    """The notes of one part. ``lead`` is the melody of the song, for the lead vocal and the parts that harmonise it."""
    if stem == "drums":
        return grooves.drums(plan, str(rng.choice(genre.drums or ("pop",))), rng)
    if stem == "bass":
        return basslines.bass(
            plan, rng, str(rng.choice(genre.bass or ("roots",))), int(rng.choice((26, 28, 28, 31, 33)))
        )
    if stem == "vocals":
        return lead
    if stem == "backing_vocals":
        return _backing(plan, role, lead, rng)
    if stem == "guitar":
        return _guitar(plan, role, rng)
    if stem == "keyboard":
        return _keyboard(plan, role, rng)
    if stem == "percussion":
        return _percussion(plan, genre, role, rng)
    if stem == "synth":
        return _synth(plan, role, rng)
    if stem == "fx":
        return _fx(plan, role, rng)
    return _orchestral(plan, stem, role, rng)


def _backing(plan: Plan, role: str, lead: tuple[Note, ...], rng: np.random.Generator) -> tuple[Note, ...]:
    if role == "oohs":
        return accompaniment.pad(plan, rng, 3, int(rng.choice((55, 60, 64))), float(rng.choice((0.0, 0.4, 0.7))))
    if role == "choir":
        return accompaniment.pad(plan, rng, 4, int(rng.choice((55, 58, 62))), float(rng.choice((0.0, 0.0, 0.5))))
    if role == "doubles":
        return harmony(lead, plan.key, 0, rng, float(rng.uniform(0.3, 0.8)))
    start = float(rng.choice((0.0, 0.0, 0.4))) * plan.duration_s
    later = [note for note in lead if note.start_s >= start]
    steps = int(rng.choice((2, 2, -2, -3, 4, 5)))
    upper = harmony(later, plan.key, steps, rng, float(rng.uniform(0.5, 1.0)))
    return (
        upper
        if rng.random() < 0.6
        else upper + harmony(later, plan.key, steps + 2 if steps > 0 else steps - 3, rng, 0.8)
    )


def _quiet(rng: np.random.Generator) -> float:
    """Draws the energy above which a part plays; two in five parts play throughout."""
    return float(rng.choice((0.0, 0.0, 0.3, 0.55, 0.8)))


def _guitar(plan: Plan, role: str, rng: np.random.Generator) -> tuple[Note, ...]:
    quiet = _quiet(rng)
    if role == "strum":
        position = int(rng.choice((0, 0, 0, 2, 4, 5, 7)))
        return accompaniment.block(plan, rng, "strum", 6, 57, 1.0, float(rng.uniform(0.006, 0.022)), quiet, position)
    if role in ("fingerpick", "clean_arp"):
        step = float(rng.choice((0.5, 0.5, 0.25, 1 / 3)))
        ring = float(rng.choice((1.0, 2.0, 4.0)))
        if rng.random() < 0.65:
            return accompaniment.fingerpick(plan, rng, int(rng.choice((0, 0, 2, 5, 7))), step, ring, quiet)
        return accompaniment.arpeggio(plan, rng, step, 4, int(rng.integers(48, 61)), ring, quiet)
    if role == "power":
        return accompaniment.power_chords(
            plan, rng, int(rng.choice((40, 40, 40, 38, 36, 33))), float(rng.uniform(0, 0.9))
        )
    if role == "funk":
        return accompaniment.block(
            plan, rng, "funk", 3, int(rng.integers(62, 70)), float(rng.uniform(0.15, 0.5)), 0.005, quiet
        )
    if role == "offbeat":
        return accompaniment.block(
            plan, rng, "offbeat", 3, int(rng.integers(60, 68)), float(rng.uniform(0.15, 0.35)), 0.004
        )
    if role == "comp":
        rhythm = str(rng.choice(("comp", "charleston", "quarters", "strum")))
        # A full six-string chord with its bass note, or four inner voices.
        grip = int(rng.integers(0, 8)) if rng.random() < 0.6 else None
        return accompaniment.block(
            plan, rng, rhythm, 4, int(rng.integers(50, 60)), float(rng.uniform(0.4, 0.9)), 0.006, quiet, grip
        )
    if role == "riff":
        return accompaniment.riff(
            plan,
            rng,
            int(rng.choice((40, 40, 45, 52))),
            float(rng.choice((0.25, 0.5))),
            float(rng.uniform(0.4, 1.0)),
            quiet,
        )
    low = int(rng.choice((45, 50, 55)))
    range_ = Tessitura(low, low + 24)
    return melody(plan, rng, range_, float(rng.uniform(0.4, 0.9)), quiet, float(rng.uniform(0, 0.5)))


def _keyboard(plan: Plan, role: str, rng: np.random.Generator) -> tuple[Note, ...]:
    quiet = _quiet(rng)
    centre = int(rng.integers(53, 65))
    right = _right_hand(plan, role, centre, quiet, rng)
    if role in ("ballad", "broken", "stride", "montuno", "organ_bubble", "offbeat") or rng.random() < 0.45:
        return right
    return right + accompaniment.left_hand(plan, rng, int(rng.integers(33, 42)), quiet)


def _right_hand(plan: Plan, role: str, centre: int, quiet: float, rng: np.random.Generator) -> tuple[Note, ...]:
    if role in ("ballad", "broken", "stride"):
        return accompaniment.two_hands(plan, rng, role, centre)
    if role == "chords":
        if rng.random() < 0.5:
            return accompaniment.two_hands(plan, rng, "chords", centre)
        rhythm = str(rng.choice(("quarters", "eighths", "whole", "halves", "strum", "charleston")))
        return accompaniment.block(
            plan, rng, rhythm, int(rng.integers(3, 6)), centre, float(rng.uniform(0.5, 1.0)), 0.0, quiet
        )
    if role in ("organ", "accordion"):
        if rng.random() < 0.6:
            return accompaniment.pad(plan, rng, int(rng.integers(3, 5)), centre, quiet)
        return accompaniment.block(
            plan, rng, str(rng.choice(("comp", "quarters", "halves"))), 4, centre, 0.8, 0.0, quiet
        )
    if role == "montuno":
        return accompaniment.montuno(plan, rng, centre + 4)
    if role == "arpeggio":
        return accompaniment.arpeggio(
            plan, rng, float(rng.choice((0.25, 0.5))), 4, centre + int(rng.choice((-7, 0, 7))), 2.0, quiet
        )
    if role == "organ_bubble":
        return accompaniment.block(plan, rng, "offbeat", 3, centre, 0.3, 0.0)
    if role == "offbeat":
        return accompaniment.block(plan, rng, "offbeat", 4, centre + 4, 0.4, 0.0, quiet)
    return accompaniment.block(plan, rng, str(rng.choice(("comp", "charleston", "funk"))), 4, centre, 0.6, 0.0, quiet)


def _percussion(plan: Plan, genre: Genre, role: str, rng: np.random.Generator) -> tuple[Note, ...]:
    if role == "hand":
        kinds = genre.percussion or tuple(grooves.PERCUSSION)
        count = min(len(kinds), int(rng.choice((1, 1, 2, 3, 4))) if len(kinds) < 8 else int(rng.integers(2, 6)))
        return grooves.percussion(plan, [str(kind) for kind in rng.choice(kinds, count, replace=False)], rng)
    if role == "timpani":
        line = Line(plan.clock, rng)
        for bar in plan.bars:
            if bar.energy < 0.4:
                continue
            root = 41 + (bar.chord.root - 41) % 12
            line.add(bar.start, 1, root, 105)
            if bar.closes:  # drum roll into the next section
                for step in range(bar.beats * 4):
                    line.add(bar.start + bar.beats / 2 + step / 8, 0.2, root, 60 + 3 * step)
            elif rng.random() < 0.5:
                line.add(bar.start + bar.beats / 2, 1, root, 88)
        return tuple(line.notes)
    if rng.random() < 0.5:
        return accompaniment.arpeggio(plan, rng, float(rng.choice((0.25, 0.5))), 4, 74, 1.0, _quiet(rng))
    return melody(plan, rng, Tessitura(65, 89), 0.6, _quiet(rng), 0.3)


def _synth(plan: Plan, role: str, rng: np.random.Generator) -> tuple[Note, ...]:
    quiet = _quiet(rng)
    if role == "pad":
        return accompaniment.pad(plan, rng, int(rng.integers(3, 6)), int(rng.integers(55, 70)), quiet)
    if role == "arp":
        return accompaniment.arpeggio(
            plan,
            rng,
            float(rng.choice((0.25, 0.25, 0.5))),
            4,
            int(rng.choice((60, 67, 72, 79))),
            float(rng.uniform(0.4, 1.2)),
            quiet,
        )
    if role == "stabs":
        rhythm = str(rng.choice(("offbeat", "stabs", "charleston", "funk", "strum")))
        return accompaniment.block(
            plan, rng, rhythm, int(rng.integers(3, 6)), 64, float(rng.uniform(0.2, 0.6)), 0.0, quiet
        )
    if rng.random() < 0.4:
        return accompaniment.riff(plan, rng, int(rng.choice((60, 67, 72))), float(rng.choice((0.25, 0.5))), 0.8, quiet)
    return melody(plan, rng, Tessitura(60, 86), float(rng.uniform(0.5, 0.95)), quiet, 0.3)


def _fx(plan: Plan, role: str, rng: np.random.Generator) -> tuple[Note, ...]:
    line = Line(plan.clock, rng, timing_s=0.0)
    if role == "ambience":  # under the whole song, or a part of it
        bars = plan.bars[int(rng.choice((0, 0, 2, 6))) :] or plan.bars
        line.add(bars[0].start, float(rng.choice((16, 32, 64, 128))), 60, 90)
        return tuple(line.notes)
    for bar in plan.bars:
        root = nearest(bar.chord.root, 36)
        if role == "impact" and bar.opens:
            line.add(bar.start, 4, root, 110)
        elif role in ("riser", "swell") and bar.closes:
            length = float(rng.choice((bar.beats / 2, bar.beats, 2 * bar.beats, 4 * bar.beats)))
            line.add(max(0.0, bar.start + bar.beats - length), length, root + 24, 100)
        elif role == "drone" and bar.index % 4 == 0:
            line.add(bar.start, 4 * bar.beats, root + int(rng.choice((0, 12))), 80)
        elif role == "texture" and rng.random() < 0.5:
            line.add(
                bar.start + float(rng.choice((0, 1, 2))),
                float(rng.choice((1, 2, 4, 8))),
                root + 12 * int(rng.integers(1, 4)),
                85,
            )
        elif role == "echo" and rng.random() < 0.5:
            line.add(bar.start + float(rng.integers(bar.beats)), 0.5, root + 24, 95)
    if role in ("riser", "swell", "impact") and not line.notes:
        line.add(0.0, 4, 36, 100)
    return tuple(line.notes)


_REGISTERS: dict[str, tuple[tuple[int, int], ...]] = {
    "strings": ((55, 86), (55, 86), (50, 79), (48, 74), (36, 65), (36, 62), (31, 55)),  # violins to double basses
    "brass": ((52, 77), (52, 77), (54, 79), (48, 72), (43, 65)),  # trumpets, horns, trombones, tubas
    "woodwinds": ((60, 88), (57, 81), (53, 77), (48, 74), (46, 70), (38, 62)),  # flutes to bassoons
}
"""Lowest and highest pitch of the instruments of a family; an entry that repeats is drawn more often."""


def _orchestral(plan: Plan, stem: str, role: str, rng: np.random.Generator) -> tuple[Note, ...]:
    registers = _REGISTERS[stem]
    low, high = registers[rng.integers(len(registers))]
    quiet = _quiet(rng)
    if role == "low":  # cellos and double basses, bassoons, tubas: the orchestra's bass
        style = str(
            rng.choice(("long", "long", "roots", "walking", "driving") if stem == "strings" else ("long", "roots"))
        )
        line = basslines.bass(plan, rng, style, int(rng.choice((28, 33, 36, 40))) + (8 if stem == "brass" else 0))
        return line + harmony(line, plan.key, 7, rng) if rng.random() < 0.35 else line
    middle = (low + high) // 2 - 6
    if role == "pad":
        return accompaniment.pad(plan, rng, int(rng.integers(3, 6)), middle, quiet)
    if role == "stabs":
        rhythm = str(rng.choice(("stabs", "charleston", "funk", "comp")))
        return accompaniment.block(
            plan, rng, rhythm, int(rng.integers(3, 5)), middle, float(rng.uniform(0.15, 0.6)), 0.0, max(quiet, 0.3)
        )
    if role == "ostinato":
        step = float(rng.choice((0.25, 0.5, 0.5)))
        return accompaniment.arpeggio(
            plan, rng, step, 3, int(rng.choice((middle - 7, middle, middle + 5))), float(rng.uniform(0.5, 1.0)), quiet
        )
    if role in ("pizzicato", "harp", "plucked"):
        return accompaniment.arpeggio(
            plan, rng, float(rng.choice((0.25, 0.5, 1.0))), 4, middle + int(rng.choice((-5, 0, 5))), 2.0, quiet
        )
    if role == "riff":
        return accompaniment.riff(plan, rng, middle, 0.5, 0.8, quiet)
    if role == "runs":
        return melody(plan, rng, Tessitura(low + 5, high + 3), 0.4, quiet, 0.9)
    if role == "solo":
        return melody(
            plan, rng, Tessitura(low, high), float(rng.uniform(0.5, 0.95)), quiet, float(rng.uniform(0.1, 0.5))
        )
    if role == "counter":
        return melody(plan, rng, Tessitura(max(28, low - 5), low + 14), 0.7, quiet, 0.05)
    range_ = Tessitura(low + int(rng.choice((-2, 0, 5))), high)
    tune = melody(plan, rng, range_, float(rng.uniform(0.6, 0.95)), quiet, 0.15)
    return tune + harmony(tune, plan.key, int(rng.choice((-2, -5, 2))), rng) if rng.random() < 0.35 else tune
