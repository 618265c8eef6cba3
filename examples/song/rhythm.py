"""Drums, percussion and bass: what they play, bar by bar."""

from examples.song.score import (
    BEATS,
    CHORUS,
    HALF_VERSE,
    KEY,
    LAST,
    MELODY,
    OUTRO,
    VERSE,
    harmony,
)
from examples.song.staves import FONT, chords, play, staff_of
from training.compose.theory import nearest
from training.instruments.soundfont import Patch
from training.rendering.effects import Audio

KICK, STICK, SNARE, HAT, OPEN_HAT, CRASH, RIDE = 36, 37, 38, 42, 46, 49, 51
TOMS = (50, 47, 45, 41)
TAMBOURINE, SHAKER, LOW_CONGA, HIGH_CONGA, MUTED_CONGA = 54, 82, 64, 63, 62
GLOCKENSPIEL = 9


def drums() -> Audio:
    """Side stick and hi-hat at first, the whole kit from half-way through the verse, cymbals in the chorus."""
    staff = staff_of(1, touch=5)
    for bar in range(VERSE, LAST):
        start = bar * BEATS
        chorus, thin = CHORUS <= bar < OUTRO, bar < HALF_VERSE
        fill = bar in (CHORUS - 1, OUTRO - 1)
        kicks: tuple[float, ...] = (0, 2.5) if thin else (0, 1.5, 2.5) if chorus else (0, 2, 2.5)
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
    return play(staff, Patch(FONT, 8, drums=True))


def percussion() -> Audio:
    """Shaker and congas, a tambourine in the chorus, and a glockenspiel that doubles the hook."""
    hands = staff_of(2, touch=6, timing_s=0.007)
    for bar in range(VERSE, OUTRO + 1):
        start = bar * BEATS
        for sixteenth in range(16):
            hands.add(start + sixteenth / 4, 0.2, SHAKER, (72, 40, 56, 44)[sixteenth % 4])
        if bar >= HALF_VERSE:
            for beat, key, velocity in (
                (0.5, MUTED_CONGA, 66),
                (1, HIGH_CONGA, 82),
                (1.75, MUTED_CONGA, 60),
                (2.5, HIGH_CONGA, 74),
                (3, LOW_CONGA, 88),
                (3.5, LOW_CONGA, 80),
            ):
                hands.add(start + beat, 0.3, key, velocity)
        if CHORUS <= bar < OUTRO:
            for beat in (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5):
                hands.add(start + beat, 0.2, TAMBOURINE, 66 if beat in (1, 3) else 42)
    bells = staff_of(3, touch=4)
    for line in MELODY:
        if line.start in (CHORUS * BEATS, (CHORUS + 2) * BEATS, (CHORUS + 4) * BEATS, OUTRO * BEATS):
            for note in line.notes:
                bells.add(line.start + note.beat, note.beats, note.pitch + 12, 80)
    for beat, pitch in ((0, 78), (1.5, 78), (4, 76), (8, 74), (12, 79), (14, 86)):
        bells.add(beat, 2, pitch, 70)
    last = LAST * BEATS
    for index, pitch in enumerate((74, 78, 81, 86, 90)):
        bells.add(last + index / 4, 3, pitch, 76)
    return play(hands, Patch(FONT, 0, drums=True)) + 2.2 * play(bells, Patch(FONT, GLOCKENSPIEL))


def bass() -> Audio:
    """Roots with a push in the verse, driving eighths with octaves and steps into the next chord in the chorus."""
    staff = staff_of(4)
    for beat, length in chords(VERSE, LAST):
        root = nearest(harmony(beat).bass, 38)
        root = root + 12 if root < 33 else root
        if beat < CHORUS * BEATS:
            pattern: tuple[tuple[float, float, int], ...] = ((0, 1.4, 0), (1.5, 0.4, 0), (2.5, 0.9, 7), (3.5, 0.45, 12))
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
            staff.add(beat + 3.5, 0.45, KEY.step(target, 1 if target < root else -1), 86)
    staff.add(LAST * BEATS, 7, 38, 100)
    return play(staff, Patch(FONT, 33))
