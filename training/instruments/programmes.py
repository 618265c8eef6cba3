"""General MIDI programmes by stem and role, and random settings for them."""

from pathlib import Path

import numpy as np

from training.compose.song import Part
from training.instruments import soundfont
from training.instruments.soundfont import Patch
from training.rendering import effects
from training.rendering.effects import Audio

_HARPS = (45, 46, 104, 106, 107)  # plucked instruments in the strings stem
_LOW_PITCH = 54
_MELODIC = ("melody", "solo", "lead", "counter")
_PLUCKED = ("pizzicato", "harp", "plucked")


PROGRAMMES: dict[str, dict[str, tuple[int, ...]]] = {
    "bass": {"": (33, 33, 33, 33, 32, 32, 34, 34, 35, 35, 36, 37), "upright": (32,)},
    "guitar": {
        "": (24, 25, 26, 27),
        "strum": (24, 25, 25, 25, 26, 27),
        "fingerpick": (24, 24, 25, 25, 27),
        "clean_arp": (25, 26, 27, 27),
        "power": (27, 29, 30, 30),
        "riff": (27, 28, 29, 30, 30),
        "lead": (26, 27, 29, 30, 24),
        "funk": (27, 27, 28),
        "offbeat": (27, 28, 25),
        "comp": (24, 26, 26, 27),
    },
    "keyboard": {
        "": (0, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18),
        "ballad": (0, 0, 0, 1, 2, 4, 5),
        "broken": (0, 0, 0, 1, 4, 6),
        "stride": (0, 1, 3),
        "montuno": (0, 1, 1, 2),
        "organ": (16, 17, 18, 19, 20),
        "organ_bubble": (16, 17, 18),
        "accordion": (21, 23),
        "comp": (0, 1, 4, 4, 5, 7, 16),
        "arpeggio": (0, 1, 4, 5, 6, 7),
    },
    "strings": {
        "": (48, 49),
        "pad": (48, 48, 49, 49, 44),
        "melody": (40, 40, 41, 42, 48, 49, 110),
        "counter": (40, 41, 42, 48, 43),
        "ostinato": (48, 40, 49, 45, 42),
        "low": (42, 42, 43, 43, 48, 49, 45),
        "pizzicato": (45,),
        "harp": (46,),
        "plucked": (46, 45, 104, 106, 107),
    },
    "brass": {
        "": (56, 57, 61),
        "pad": (60, 57, 61, 58),
        "melody": (56, 57, 60, 59, 61),
        "solo": (56, 56, 57, 59, 60),
        "stabs": (61, 61, 56, 57),
        "low": (57, 58, 58, 60, 61),
    },
    "woodwinds": {
        "": (73, 71, 68, 65),
        "melody": (73, 71, 68, 70, 72, 74, 75, 69, 77, 109),
        "counter": (71, 70, 68, 69, 67),
        "pad": (71, 73, 68, 66),
        "runs": (73, 72, 71),
        "solo": (64, 65, 66, 67, 73, 71, 75, 78, 79),
        "stabs": (65, 66, 64, 67),
        "low": (70, 70, 67, 66, 71, 71),
        "riff": (73, 75, 77, 74),
    },
    "percussion": {"mallets": (9, 10, 11, 11, 12, 12, 13, 13, 14, 8, 108, 114), "timpani": (47,)},
    "synth": {
        "": tuple(range(80, 96)),
        "pad": (50, 51, 54, 88, 89, 90, 91, 92, 93, 94, 95, 50),
        "lead": tuple(range(80, 88)),
        "arp": (80, 81, 84, 62, 63, 88, 96, 98),
        "stabs": (62, 63, 50, 81, 90, 55),
    },
    "fx": {"": (96, 97, 99, 101, 102, 103, 119, 122, 124, 125, 126, 127, 55)},
    "backing_vocals": {"": (52, 53, 54)},
}
"""General MIDI programmes (from 0) by stem and role; the empty role is the default."""


def play(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    """Plays a part on a suitable programme, often in two layers; ``(2, samples)``."""
    programme = choose(part, rng)
    audio = soundfont.play(part.notes, patch(part, programme, rng), duration_s)
    if part.stem != "percussion" and rng.random() < 0.35:
        # A second player or layer, with another font or programme.
        other = patch(part, programme if rng.random() < 0.5 else choose(part, rng), rng)
        second = soundfont.play(part.notes, other, duration_s)
        audio = audio + effects.pan(second, float(rng.uniform(-0.8, 0.8))) * np.float32(rng.uniform(0.3, 1))
    return audio


def font(stem: str, rng: np.random.Generator) -> Path:
    """One of the installed fonts that have the instruments of a stem."""
    fonts = soundfont.installed_fonts()
    if stem == "synth":
        fonts += tuple(font for font in soundfont.ELECTRONIC if font.exists()) * 2
    return fonts[rng.integers(len(fonts))]


def choose(part: Part, rng: np.random.Generator) -> int:
    """A programme that suits a part's stem, role and register."""
    choices = PROGRAMMES[part.stem]
    # A melody below the range of its instrument goes to a larger one of the same family.
    low = part.role not in _PLUCKED and np.median([note.pitch for note in part.notes]) < _LOW_PITCH
    role = "low" if low and "low" in choices else part.role
    return int(rng.choice(choices.get(role, choices.get("", (0,)))))


def patch(part: Part, programme: int, rng: np.random.Generator) -> Patch:
    """Random settings for a part on a programme."""
    sings = part.stem in ("strings", "brass", "woodwinds", "backing_vocals") and programme not in _HARPS
    melodic = part.role in _MELODIC
    pedalled = part.stem == "keyboard" and programme < 6 and part.role in ("ballad", "broken", "arpeggio")
    return Patch(
        font(part.stem, rng),
        programme,
        detune_cents=float(rng.normal(0, 6)),
        vibrato=int(rng.integers(20, 90)) if sings and melodic and rng.random() < 0.7 else 0,
        scoop_cents=float(rng.uniform(20, 120)) if melodic and rng.random() < 0.35 else 0.0,
        swell=sings and rng.random() < 0.5,
        sustain_s=float(rng.uniform(1.5, 3)) if pedalled else 0.0,
        character=int(np.clip(round(rng.normal(0, 2.2)), -6, 6)),
        brightness_cents=float(rng.uniform(-2500, 0)) if rng.random() < 0.5 else 0.0,
        attack_timecents=float(rng.uniform(-1200, 3600)) if sings and rng.random() < 0.5 else 0.0,
        release_timecents=float(rng.uniform(-1500, 1500)) if rng.random() < 0.4 else 0.0,
        vibrato_rate_cents=float(rng.uniform(-400, 300)),
    )
