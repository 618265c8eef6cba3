"""Who plays a part: every stem and role gets an instrument, and a place on the stage."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from training import effects, studio
from training.compose.note import Note
from training.compose.song import Part
from training.effects import Audio
from training.instruments import (
    amplifier,
    csound,
    kits,
    microphones,
    modal,
    noises,
    plucked,
    soundfont,
    sounds,
    synthesis,
)
from training.instruments.programmes import PROGRAMMES
from training.instruments.soundfont import Patch

_PALM_MUTED = 28
_HARPS = (45, 46, 104, 106, 107)  # plucked instruments among the strings
_PLUCKED = ("pizzicato", "harp", "plucked")
_LOW_PITCH = 54
_MELODIC = ("melody", "solo", "lead", "counter")
_BODY_HZ = (280, 460, 900, 2400)  # of a violin (air, wood, bridge hill), moved for larger ones


def render(stem: str, parts: Sequence[Part], beat_s: float, duration_s: float, rng: np.random.Generator) -> Audio:
    """Plays, mixes and levels the parts of one stem; ``(2, samples)`` at 44.1 kHz."""
    mixed = np.zeros((2, round(duration_s * soundfont.SAMPLE_RATE_HZ)), np.float32)
    room = float(rng.choice((0.0, 0.05, 0.15, 0.3)))
    side = float(rng.choice((-1, 1)))
    for index, part in enumerate(parts):
        doubled = stem == "guitar" and part.role in ("power", "strum", "riff") and rng.random() < 0.45
        takes = (part, _second_take(part, rng)) if doubled else (part,)
        seed = int(rng.integers(2**31))
        for number, take in enumerate(takes):
            # Takes of one part are played on the same instrument through the same chain.
            played = play(take, duration_s, np.random.default_rng(seed))
            played = studio.produce(stem, played, beat_s, room, np.random.default_rng(seed + 1))
            if float(np.abs(played).max()) < 1e-5:
                continue
            position = _position(stem, len(parts), rng) * (side if index % 2 == 0 else -side)
            if doubled:
                position = float(rng.uniform(0.5, 1)) * (1 if number else -1)
            width = {"drums": 1.0, "bass": 0.2}.get(stem, float(rng.uniform(0.2, 1)))
            mixed += effects.pan(effects.level(played, -20, 4.0), position, width) * np.float32(rng.uniform(0.5, 1))
    return effects.level(mixed, studio.LEVELS_DB[stem] + float(rng.normal(0, 2.5)))


def _position(stem: str, parts: int, rng: np.random.Generator) -> float:
    if stem in ("drums", "bass"):
        return 0.0
    return float(rng.uniform(0, 0.4 if parts == 1 else 0.8))


def _second_take(part: Part, rng: np.random.Generator) -> Part:
    notes = tuple(
        replace(
            note,
            start_s=max(0.0, note.start_s + float(rng.normal(0.004, 0.008))),
            velocity=int(np.clip(note.velocity + rng.normal(0, 7), 8, 127)),
        )
        for note in part.notes
    )
    return Part(part.stem, part.role, notes)


def play(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    """Plays one part on an instrument that fits its stem and role; ``(2, samples)``, at whatever level it comes."""
    stem, role, notes, chance = part.stem, part.role, part.notes, rng.random()
    if stem == "drums":
        return _drums(notes, duration_s, rng)
    if stem == "percussion":
        return _percussion(part, duration_s, rng)
    if stem == "guitar":
        return _guitar(part, duration_s, rng)
    if stem == "bass":
        return _bass(part, duration_s, rng)
    if stem == "keyboard":
        return _keyboard(part, duration_s, rng)
    if stem == "fx" and (role in ("impact", "riser", "swell", "echo", "ambience") or chance < 0.75):
        return noises.play(notes, role, duration_s, rng)
    if stem == "synth" and role in ("lead", "pad") and chance < 0.12 and csound.installed():
        return csound.play(notes, csound.MODELS[role], duration_s, rng)
    if stem == "synth" and chance < 0.72:
        sound = {"pad": sounds.pad, "lead": sounds.lead}.get(role, sounds.pluck)(rng)
        return synthesis.play(notes, sound, duration_s, rng)
    if stem == "strings" and role in ("harp", "plucked") and chance < 0.4:
        if role == "plucked" and chance < 0.15 and csound.installed():
            return csound.play(notes, csound.MODELS["harp"], duration_s, rng)
        return plucked.play(notes, plucked.harp(rng), duration_s, rng)
    if stem in ("strings", "woodwinds") and role not in _PLUCKED and chance < 0.2 and csound.installed():
        audio = csound.play(notes, csound.MODELS[stem], duration_s, rng)
        return _bodied(audio, rng) if stem == "strings" else audio
    if stem in ("strings", "brass", "woodwinds") and role not in _PLUCKED and chance < 0.36:
        return _modelled(part, duration_s, rng)
    return _programme(part, duration_s, rng)


def _modelled(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    if part.stem != "strings":
        return synthesis.play(part.notes, sounds.blown(rng, part.stem), duration_s, rng)
    return _bodied(synthesis.play(part.notes, sounds.bowed(rng, int(rng.choice((1, 4, 6)))), duration_s, rng), rng)


def _bodied(audio: Audio, rng: np.random.Generator) -> Audio:
    """A string with the body that it is on."""
    for frequency_hz in _BODY_HZ:
        audio = effects.peaking(
            audio, frequency_hz * float(rng.uniform(0.6, 1.2)), float(rng.uniform(0, 9)), float(rng.uniform(1, 5))
        )
    return audio


def _drums(notes: Sequence[Note], duration_s: float, rng: np.random.Generator) -> Audio:
    source = rng.random()
    if source < 0.06 and kits.loops():
        return kits.play_loop(duration_s, rng)
    if source < 0.7:
        kit = kits.assemble(rng, float(rng.choice((0.0, 0.15, 0.4, 1.0))))
        return microphones.record(kits.play(notes, kit, duration_s), rng)
    recorded = [font for font in soundfont.DRUM_KITS if font.exists()]
    if source < 0.85 and recorded:
        patch = Patch(recorded[rng.integers(len(recorded))], 0, brightness_cents=float(rng.uniform(-1500, 0)))
    else:
        programme = int(rng.choice((0, 8, 16, 24, 25, 32, 40, 48)))
        patch = Patch(_font("drums", rng), programme, drums=True)
    return microphones.record(soundfont.play(notes, patch, duration_s), rng)


def _percussion(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    chance = rng.random()
    if part.role == "mallets":
        return modal.mallets(part.notes, duration_s, rng) if chance < 0.4 else _programme(part, duration_s, rng)
    if part.role == "timpani":
        return modal.timpani(part.notes, duration_s, rng) if chance < 0.3 else _programme(part, duration_s, rng)
    if chance < 0.35:
        return kits.hands(part.notes, duration_s, rng)
    if chance < 0.6:
        return modal.hands(part.notes, duration_s, rng)
    return soundfont.play(
        part.notes,
        Patch(_font("percussion", rng), 0, drums=True, brightness_cents=float(rng.uniform(-1500, 0))),
        duration_s,
    )


def _guitar(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    if rng.random() < 0.3:
        if part.role in ("strum", "fingerpick", "comp") and rng.random() < 0.75:
            return _close(plucked.play(part.notes, plucked.acoustic_guitar(rng), duration_s, rng), rng)
        if rng.random() < 0.35 and csound.installed():
            audio = csound.play(part.notes, csound.MODELS["guitar"], duration_s, rng)
            return _close(audio, rng) if rng.random() < 0.5 else _amplify(part.role, audio, rng, 0.0)
        strings = plucked.electric_guitar(rng, muted=part.role == "funk")
        return _amplify(part.role, plucked.play(part.notes, strings, duration_s, rng), rng, 0.0)
    programme = _choose(part, rng)
    patch = _patch(part, programme, rng)
    if part.role == "power":  # palm mutes are a recording of their own
        muted = [note for note in part.notes if note.velocity < 88]
        ringing = [note for note in part.notes if note.velocity >= 88]
        audio = soundfont.play(ringing, patch, duration_s) + soundfont.play(
            muted, replace(patch, programme=_PALM_MUTED), duration_s
        )
    else:
        audio = soundfont.play(part.notes, patch, duration_s)
    if programme in (24, 25):
        return _close(audio, rng)
    return _amplify(part.role, audio, rng, 10.0 if programme in (29, 30) else 0.0)


def _close(audio: Audio, rng: np.random.Generator) -> Audio:
    """A box with a microphone at its sound hole: boomy, and often dull."""
    audio = effects.peaking(audio, float(rng.uniform(95, 220)), float(rng.uniform(0, 10)), float(rng.uniform(0.5, 1.2)))
    if rng.random() < 0.6:
        audio = effects.peaking(audio, float(rng.uniform(600, 1200)), float(rng.uniform(-8, 0)), 0.7)
    return effects.cut(audio, float(rng.uniform(3000, 9000)), high=True, order=1) if rng.random() < 0.5 else audio


def _amplify(role: str, audio: Audio, rng: np.random.Generator, recorded_gain_db: float) -> Audio:
    if role in ("power", "riff"):
        gain_db = float(rng.choice((12, 20, 28, 36, 42)))
    elif role == "lead":
        gain_db = float(rng.choice((6, 20, 30, 36)))
    else:
        gain_db = float(rng.choice((0, 3, 8, 14), p=(0.35, 0.3, 0.25, 0.1)))
    return amplifier.choose(rng, max(0.0, gain_db - recorded_gain_db)).play(audio)


def _bass(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    chance, upright = rng.random(), part.role == "upright"
    if chance < (0.05 if upright else 0.25):
        return _rounded(synthesis.play(part.notes, sounds.bass(rng), duration_s, rng), rng)
    if chance < (0.35 if upright else 0.5):
        if rng.random() < 0.25 and csound.installed():
            audio = csound.play(part.notes, csound.MODELS["bass"], duration_s, rng)
        else:
            strings = plucked.double_bass(rng) if upright or rng.random() < 0.25 else plucked.electric_bass(rng)
            audio = plucked.play(part.notes, strings, duration_s, rng)
    else:
        audio = soundfont.play(part.notes, _patch(part, _choose(part, rng), rng), duration_s)
    if rng.random() < 0.35 and not upright:
        if rng.random() < 0.3:
            audio = amplifier.choose(rng, float(rng.choice((4, 8, 16, 26)))).play(audio) * np.float32(0.5) + audio
        else:
            audio = effects.drive(audio, float(rng.uniform(0, 9)))
    return _rounded(audio, rng)


def _rounded(audio: Audio, rng: np.random.Generator) -> Audio:
    """A bass with its tone knob turned down, as most are: a body of first partials, and little above them."""
    audio = effects.peaking(audio, float(rng.uniform(90, 170)), float(rng.uniform(0, 9)), float(rng.uniform(0.6, 1.2)))
    if rng.random() < 0.2:
        return audio
    return effects.cut(
        audio, float(np.exp(rng.uniform(np.log(180), np.log(1300)))), high=True, order=int(rng.choice((1, 2)))
    )


def _keyboard(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    chance = rng.random()
    if part.role in ("organ", "organ_bubble"):
        if chance < 0.15 and csound.installed():
            audio = csound.play(part.notes, csound.MODELS["organ"], duration_s, rng)
        elif chance < 0.5:
            audio = synthesis.play(part.notes, sounds.organ(rng), duration_s, rng)
        else:
            audio = _programme(part, duration_s, rng)
        if rng.random() < 0.6:  # a rotating loudspeaker, slow or fast
            audio = effects.drive(audio, float(rng.uniform(0, 14)))
            return effects.tremolo(
                effects.chorus(audio, rng, 1.0, 0.4), float(rng.choice((0.9, 6.5))), 0.2, stereo=True
            )
        return audio
    if part.role not in ("ballad", "stride", "montuno", "accordion") and chance < 0.25:
        if rng.random() < 0.7:
            if rng.random() < 0.4 and csound.installed():
                audio = csound.play(part.notes, csound.MODELS["electric piano"], duration_s, rng)
            else:
                audio = synthesis.play(part.notes, sounds.electric_piano(rng), duration_s, rng)
            return effects.tremolo(audio, float(rng.uniform(3, 7)), float(rng.uniform(0, 0.5)), stereo=True)
        audio = plucked.play(part.notes, plucked.clavinet(rng), duration_s, rng)
        return amplifier.choose(rng, float(rng.choice((0, 6, 12)))).play(audio) if rng.random() < 0.5 else audio
    return _programme(part, duration_s, rng)


def _font(stem: str, rng: np.random.Generator) -> Path:
    fonts = soundfont.installed_fonts()
    if stem == "synth":
        fonts += tuple(font for font in soundfont.ELECTRONIC if font.exists()) * 2
    return fonts[rng.integers(len(fonts))]


def _choose(part: Part, rng: np.random.Generator) -> int:
    choices = PROGRAMMES[part.stem]
    # A tune below its instrument goes to a larger one of the family.
    low = part.role not in _PLUCKED and np.median([note.pitch for note in part.notes]) < _LOW_PITCH
    role = "low" if low and "low" in choices else part.role
    return int(rng.choice(choices.get(role, choices.get("", (0,)))))


def _patch(part: Part, programme: int, rng: np.random.Generator) -> Patch:
    sings = part.stem in ("strings", "brass", "woodwinds", "backing_vocals") and programme not in _HARPS
    melodic = part.role in _MELODIC
    pedalled = part.stem == "keyboard" and programme < 6 and part.role in ("ballad", "broken", "arpeggio")
    return Patch(
        _font(part.stem, rng),
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


def _programme(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    programme = _choose(part, rng)
    audio = soundfont.play(part.notes, _patch(part, programme, rng), duration_s)
    if part.stem != "percussion" and rng.random() < 0.35:
        # A second player, or a second layer, on another font or programme.
        other = _patch(part, programme if rng.random() < 0.5 else _choose(part, rng), rng)
        second = soundfont.play(part.notes, other, duration_s)
        audio = audio + effects.pan(second, float(rng.uniform(-0.8, 0.8))) * np.float32(rng.uniform(0.3, 1))
    return audio
