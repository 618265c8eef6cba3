"""Who plays a part: every stem and role gets an instrument, and a place in the studio."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training import effects
from training.compose.note import Note
from training.compose.song import Part
from training.instruments import amplifier, kits, noises, soundfont, synthesis
from training.instruments.soundfont import Patch

Audio = NDArray[np.float32]

PROGRAMMES: dict[str, dict[str, tuple[int, ...]]] = {
    "bass": {"": (33, 33, 34, 34, 35, 36, 37, 32), "walking": (32, 32, 32, 33, 35)},
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
        "pizzicato": (45,),
        "harp": (46,),
        "plucked": (46, 45, 104, 106, 107),
    },
    "brass": {"": (56, 57, 61), "pad": (60, 57, 61, 58), "melody": (56, 57, 60, 59, 61), "solo": (56, 56, 57, 59, 60), "stabs": (61, 61, 56, 57)},
    "woodwinds": {
        "": (73, 71, 68, 65),
        "melody": (73, 71, 68, 70, 72, 74, 75, 69, 77, 109),
        "counter": (71, 70, 68, 69, 67),
        "pad": (71, 73, 68, 66),
        "runs": (73, 72, 71),
        "solo": (64, 65, 66, 67, 73, 71, 75, 78, 79),
        "stabs": (65, 66, 64, 67),
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
"""General MIDI programmes (from 0) by stem and role; the empty role is for all that are not named."""

LEVELS_DB = {
    "vocals": -17.0, "backing_vocals": -23.0, "drums": -18.0, "bass": -19.0, "guitar": -22.0, "keyboard": -22.0, "strings": -23.0, "brass": -22.0,
    "woodwinds": -22.0, "percussion": -24.0, "synth": -23.0, "fx": -25.0,
}  # fmt: skip
"""Level of a stem while it sounds, dBFS RMS; every song varies it."""


def render(stem: str, parts: Sequence[Part], beat_s: float, duration_s: float, rng: np.random.Generator) -> Audio:
    """Plays, mixes and levels the parts of one stem; ``(2, samples)`` at 44.1 kHz."""
    mixed = np.zeros((2, round(duration_s * soundfont.SAMPLE_RATE_HZ)), np.float32)
    room = float(rng.choice((0.0, 0.05, 0.15, 0.3)))
    side = float(rng.choice((-1, 1)))
    for index, part in enumerate(parts):
        played = produce(part, _play(part, duration_s, rng), beat_s, room, rng)
        peak = float(np.abs(played).max())
        if peak < 1e-5:
            continue
        width = {"drums": 1.0, "bass": 0.2}.get(stem, float(rng.uniform(0.2, 1)))
        reach = 0.0 if stem in ("drums", "bass") else (0.35 if len(parts) == 1 else 0.75)
        position = float(rng.uniform(0, reach)) * (side if index % 2 == 0 else -side)
        mixed += effects.pan(effects.level(played, -20, 4.0), position, width) * np.float32(rng.uniform(0.5, 1))
    return effects.level(mixed, LEVELS_DB[stem] + float(rng.normal(0, 2.5)))


def _play(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    if part.stem == "drums":
        return _drums(part.notes, duration_s, rng)
    if part.stem == "percussion" and part.role == "hand":
        if rng.random() < 0.5:
            return kits.hands(part.notes, duration_s, rng)
        return soundfont.play(part.notes, Patch(_font(rng), 0, drums=True), duration_s)
    if part.stem == "fx" and (part.role in ("impact", "riser", "swell", "echo") or rng.random() < 0.75):
        return noises.play(part.notes, part.role, duration_s, rng)
    if part.stem == "bass" and rng.random() < (0.1 if part.role == "walking" else 0.35):
        return synthesis.play(part.notes, synthesis.bass(rng), duration_s, rng)
    if part.stem == "synth" and rng.random() < 0.72:
        sound = {"pad": synthesis.pad, "lead": synthesis.lead}.get(part.role, synthesis.pluck)(rng)
        return synthesis.play(part.notes, sound, duration_s, rng)
    return _programme(part, duration_s, rng)


def _font(rng: np.random.Generator) -> soundfont.Path:
    fonts = soundfont.installed_fonts()
    return fonts[rng.integers(len(fonts))]


def _drums(notes: Sequence[Note], duration_s: float, rng: np.random.Generator) -> Audio:
    source = rng.random()
    if source < 0.68 or not kits.recorded()["sonic"]:
        return kits.play(notes, kits.assemble(rng, float(rng.choice((0.0, 0.15, 0.4, 1.0)))), duration_s)
    recorded = [font for font in soundfont.DRUM_KITS if font.exists()]
    if source < 0.84 and recorded:
        return soundfont.play(notes, Patch(recorded[rng.integers(len(recorded))], 0), duration_s)
    return soundfont.play(notes, Patch(_font(rng), int(rng.choice((0, 8, 16, 24, 25, 32, 40, 48))), drums=True), duration_s)


def _programme(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    choices = PROGRAMMES[part.stem]
    programmes = choices.get(part.role, choices[""] if "" in choices else (0,))
    programme = int(rng.choice(programmes))
    melodic = part.role in ("melody", "solo", "lead", "counter")
    bowed = part.stem in ("strings", "brass", "woodwinds") and programme not in (45, 46, 104, 106, 107)
    patch = Patch(
        _font(rng),
        programme,
        detune_cents=float(rng.normal(0, 6)),
        vibrato=int(rng.integers(20, 90)) if bowed and melodic and rng.random() < 0.7 else 0,
        scoop_cents=float(rng.uniform(20, 120)) if melodic and rng.random() < 0.35 else 0.0,
        swell=bowed and rng.random() < 0.5,
        sustain_s=float(rng.uniform(1.5, 3)) if part.stem == "keyboard" and programme < 6 and part.role in ("ballad", "broken", "arpeggio") else 0.0,
    )
    audio = soundfont.play(part.notes, patch, duration_s)
    if part.stem in ("strings", "brass", "woodwinds", "synth", "keyboard", "guitar") and rng.random() < 0.3:
        # A second player, or a second layer, on another font or programme.
        other = Patch(_font(rng), int(rng.choice(programmes)), detune_cents=float(rng.normal(0, 9)), vibrato=patch.vibrato // 2, swell=patch.swell)
        audio = audio + effects.pan(soundfont.play(part.notes, other, duration_s), float(rng.uniform(-0.8, 0.8))) * np.float32(rng.uniform(0.3, 1))
    if part.stem == "guitar":
        return _amplify(part.role, programme, audio, rng)
    if part.stem == "bass" and rng.random() < 0.5:
        return amplifier.choose(rng, float(rng.choice((4, 8, 16)))).play(audio) if rng.random() < 0.3 else effects.drive(audio, float(rng.uniform(0, 12)))
    if part.role in ("organ", "organ_bubble") and rng.random() < 0.6:
        return effects.tremolo(effects.drive(audio, float(rng.uniform(0, 14))), float(rng.choice((0.9, 6.5))), 0.2, stereo=True)
    return audio


def _amplify(role: str, programme: int, audio: Audio, rng: np.random.Generator) -> Audio:
    if programme in (24, 25):
        return audio
    if role in ("power", "riff"):
        gain_db = float(rng.choice((18, 26, 34, 40)))
    elif role == "lead":
        gain_db = float(rng.choice((6, 20, 30)))
    else:
        gain_db = float(rng.choice((0, 3, 8)))
    return amplifier.choose(rng, gain_db if programme < 29 else gain_db / 2).play(audio)


def produce(part: Part, audio: Audio, beat_s: float, room: float, rng: np.random.Generator) -> Audio:
    """What an engineer does to one part: equaliser, drive, compressor, modulation, echo, room."""
    stem = part.stem
    audio = effects.equalise(audio, rng, 5.0 if stem in ("strings", "woodwinds", "brass") else 7.0)
    if stem in ("drums", "bass", "percussion") and rng.random() < 0.35:
        audio = effects.drive(audio, float(rng.uniform(0, 12)))
    if rng.random() < {"drums": 0.6, "bass": 0.6, "guitar": 0.35}.get(stem, 0.2):
        audio = effects.compress(audio, float(rng.uniform(2, 8)), float(rng.uniform(-30, -12)), float(rng.uniform(1, 30)), float(rng.uniform(50, 300)))
    if stem in ("guitar", "keyboard", "synth", "bass") and rng.random() < {"bass": 0.08}.get(stem, 0.25):
        audio = effects.chorus(audio, rng, float(rng.uniform(0.5, 4)), float(rng.uniform(0.2, 0.7)))
    if stem in ("guitar", "keyboard") and rng.random() < 0.12:
        audio = effects.tremolo(audio, float(rng.uniform(3, 8)), float(rng.uniform(0.2, 0.7)), bool(rng.random() < 0.5))
    if stem in ("guitar", "keyboard", "synth", "woodwinds", "fx") and rng.random() < 0.25:
        audio = effects.echo(audio, beat_s * float(rng.choice((0.5, 0.75, 1.0))), float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.1, 0.5)), bool(rng.random() < 0.5))
    wet = room * (0.15 if stem == "bass" else 1.0) + (float(rng.uniform(0.1, 0.5)) if stem in ("strings", "brass", "woodwinds") and rng.random() < 0.6 else 0.0)
    if wet > 0.02:
        decay = float(rng.uniform(0.3, 1.0) if stem in ("drums", "percussion", "guitar") else rng.uniform(0.5, 2.6))
        audio = effects.reverb(audio, rng, wet, decay, float(rng.uniform(2500, 9000)), float(rng.uniform(2, 40)))
    return audio
