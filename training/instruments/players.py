"""Chooses an instrument and a pan position for every part, and renders stems."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from training.compose.note import Note
from training.compose.song import Part
from training.instruments import (
    amplifier,
    csound,
    ensemble,
    guitars,
    kits,
    microphones,
    modal,
    noises,
    plucked,
    programmes,
    soundfont,
    sounds,
    synthesis,
    tonewheel,
    zynaddsubfx,
)
from training.instruments.library import TRAINING, InstrumentChoice
from training.instruments.soundfont import Patch
from training.rendering import effects, studio
from training.rendering.effects import Audio

_PLUCKED = ("pizzicato", "harp", "plucked")
_BODY_HZ = (280, 460, 900, 2400)  # of a violin (air, wood, bridge hill), scaled for larger instruments


def render(
    stem: str,
    parts: Sequence[Part],
    beat_s: float,
    duration_s: float,
    rng: np.random.Generator,
    choice: InstrumentChoice = TRAINING,
) -> Audio:
    """Renders, mixes and levels the parts of one stem; ``(2, samples)`` at 44.1 kHz. If only held-out instruments play,
    parts that none of them can play are silent, except those of synthesisers and effects."""
    mixed = np.zeros((2, round(duration_s * soundfont.SAMPLE_RATE_HZ)), np.float32)
    room = float(rng.choice((0.0, 0.05, 0.15, 0.3)))
    side = float(rng.choice((-1, 1)))
    for index, part in enumerate(parts):
        doubled = stem == "guitar" and part.role in ("power", "strum", "riff") and rng.random() < 0.45
        takes = (part, _second_take(part, rng)) if doubled else (part,)
        seed = int(rng.integers(2**31))
        for number, take in enumerate(takes):
            # All takes of a part use the same instrument and effects.
            played = play(take, duration_s, np.random.default_rng(seed), choice)
            played = studio.process(stem, played, beat_s, room, np.random.default_rng(seed + 1))
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


def play(part: Part, duration_s: float, rng: np.random.Generator, choice: InstrumentChoice = TRAINING) -> Audio:
    """Plays a part on an instrument for its stem and role; ``(2, samples)``, at an arbitrary level."""
    stem, role, notes, chance = part.stem, part.role, part.notes, rng.random()
    if choice.held_out and not _may_be_held_out(part, choice):
        return np.zeros((2, round(duration_s * soundfont.SAMPLE_RATE_HZ)), np.float32)
    if stem == "drums":
        return _drums(notes, duration_s, rng, choice)
    if stem == "guitar":
        return guitars.guitar(part, duration_s, rng, choice)
    if stem == "bass":
        return guitars.bass(part, duration_s, rng, choice)
    if recorded := ensemble.draw_candidates(part, rng, choice):
        return ensemble.play(part, recorded, duration_s, rng)
    if choice.held_out and stem == "percussion":
        return kits.hand_percussion(notes, duration_s, rng, held_out=True)
    if made := zynaddsubfx.draw_candidates(part, rng):
        audio = zynaddsubfx.play(notes, made, duration_s, rng)
        return _rotated(audio, rng) if role in ("organ", "organ_bubble") else audio
    if stem == "percussion":
        return _percussion(part, duration_s, rng)
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
    return programmes.play(part, duration_s, rng)


def _may_be_held_out(part: Part, choice: InstrumentChoice) -> bool:
    if part.stem in ("synth", "fx", "drums"):
        return True
    if part.stem == "percussion" and part.role not in ("mallets", "timpani"):
        return True
    return bool(ensemble.candidates(part, choice))


def _modelled(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    if part.stem != "strings":
        return synthesis.play(part.notes, sounds.blown(rng, part.stem), duration_s, rng)
    return _bodied(synthesis.play(part.notes, sounds.bowed(rng, int(rng.choice((1, 4, 6)))), duration_s, rng), rng)


def _bodied(audio: Audio, rng: np.random.Generator) -> Audio:
    """A string sound filtered by the resonances of its body."""
    for frequency_hz in _BODY_HZ:
        audio = effects.peaking(
            audio, frequency_hz * float(rng.uniform(0.6, 1.2)), float(rng.uniform(0, 9)), float(rng.uniform(1, 5))
        )
    return audio


def _drums(notes: Sequence[Note], duration_s: float, rng: np.random.Generator, choice: InstrumentChoice) -> Audio:
    if choice.held_out:
        return microphones.record(kits.play(notes, kits.assemble(rng, 0.0, held_out=True), duration_s), rng)
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
        patch = Patch(programmes.font("drums", rng), programme, drums=True)
    return microphones.record(soundfont.play(notes, patch, duration_s), rng)


def _percussion(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    chance = rng.random()
    if part.role == "mallets":
        return modal.mallets(part.notes, duration_s, rng) if chance < 0.4 else programmes.play(part, duration_s, rng)
    if part.role == "timpani":
        return modal.timpani(part.notes, duration_s, rng) if chance < 0.3 else programmes.play(part, duration_s, rng)
    if chance < 0.35:
        return kits.hand_percussion(part.notes, duration_s, rng)
    if chance < 0.6:
        return modal.hand_percussion(part.notes, duration_s, rng)
    return soundfont.play(
        part.notes,
        Patch(programmes.font("percussion", rng), 0, drums=True, brightness_cents=float(rng.uniform(-1500, 0))),
        duration_s,
    )


def _keyboard(part: Part, duration_s: float, rng: np.random.Generator) -> Audio:
    chance = rng.random()
    if part.role in ("organ", "organ_bubble"):
        if rng.random() < 0.4 and tonewheel.installed():
            return tonewheel.play(part.notes, duration_s, rng)  # it includes a rotating loudspeaker
        if chance < 0.15 and csound.installed():
            audio = csound.play(part.notes, csound.MODELS["organ"], duration_s, rng)
        elif chance < 0.5:
            audio = synthesis.play(part.notes, sounds.organ(rng), duration_s, rng)
        else:
            audio = programmes.play(part, duration_s, rng)
        return _rotated(audio, rng)
    if part.role not in ("ballad", "stride", "montuno", "accordion") and chance < 0.25:
        if rng.random() < 0.7:
            if rng.random() < 0.4 and csound.installed():
                audio = csound.play(part.notes, csound.MODELS["electric piano"], duration_s, rng)
            else:
                audio = synthesis.play(part.notes, sounds.electric_piano(rng), duration_s, rng)
            return effects.tremolo(audio, float(rng.uniform(3, 7)), float(rng.uniform(0, 0.5)), stereo=True)
        audio = plucked.play(part.notes, plucked.clavinet(rng), duration_s, rng)
        return amplifier.choose(rng, float(rng.choice((0, 6, 12)))).play(audio) if rng.random() < 0.5 else audio
    return programmes.play(part, duration_s, rng)


def _rotated(audio: Audio, rng: np.random.Generator) -> Audio:
    """An organ, mostly through a rotating loudspeaker, slow or fast."""
    if rng.random() >= 0.6:
        return audio
    audio = effects.drive(audio, float(rng.uniform(0, 14)))
    return effects.tremolo(effects.chorus(audio, rng, 1.0, 0.4), float(rng.choice((0.9, 6.5))), 0.2, stereo=True)
