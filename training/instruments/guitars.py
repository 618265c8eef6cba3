"""Guitars and basses: recorded or modelled strings, with an amplifier or an acoustic body."""

from dataclasses import replace

import numpy as np

from training.compose.song import Part
from training.instruments import (
    amplifier,
    csound,
    ensemble,
    plucked,
    programmes,
    soundfont,
    sounds,
    synthesis,
    zynaddsubfx,
)
from training.instruments.library import TRAINING, Instrument, InstrumentChoice
from training.rendering import effects
from training.rendering.effects import Audio

_PALM_MUTED = 28


def guitar(part: Part, duration_s: float, rng: np.random.Generator, choice: InstrumentChoice = TRAINING) -> Audio:
    """Plays a part on an acoustic or an electric guitar; ``(2, samples)``."""
    if recorded := ensemble.draw_candidates(part, rng, choice):
        return _recorded(part, recorded[int(rng.integers(len(recorded)))], duration_s, rng)
    if rng.random() < 0.3:
        if part.role in ("strum", "fingerpick", "comp") and rng.random() < 0.75:
            return _close(plucked.play(part.notes, plucked.acoustic_guitar(rng), duration_s, rng), rng)
        if rng.random() < 0.35 and csound.installed():
            audio = csound.play(part.notes, csound.MODELS["guitar"], duration_s, rng)
            return _close(audio, rng) if rng.random() < 0.5 else _amplify(part.role, audio, rng, 0.0)
        strings = plucked.electric_guitar(rng, muted=part.role == "funk")
        return _amplify(part.role, plucked.play(part.notes, strings, duration_s, rng), rng, 0.0)
    programme = programmes.choose(part, rng)
    patch = programmes.patch(part, programme, rng)
    if part.role == "power":  # palm mutes are separate recordings
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


def _recorded(part: Part, instrument: Instrument, duration_s: float, rng: np.random.Generator) -> Audio:
    notes = part.notes
    if part.role in ("power", "funk"):  # left-hand damping shortens soft notes
        short_s = float(rng.uniform(0.05, 0.14))
        notes = tuple(
            replace(note, duration_s=min(note.duration_s, short_s)) if note.velocity < 88 else note for note in notes
        )
    audio = ensemble.play(replace(part, notes=notes), (instrument,), duration_s, rng)
    if instrument.family == "electric-guitar":
        return _amplify(part.role, audio, rng, 0.0)
    return _close(audio, rng) if rng.random() < 0.5 else audio


def bass(part: Part, duration_s: float, rng: np.random.Generator, choice: InstrumentChoice = TRAINING) -> Audio:
    """Plays a part on an electric bass, a double bass or a synth bass; ``(2, samples)``."""
    upright = part.role == "upright"
    if recorded := ensemble.draw_candidates(part, rng, choice):
        audio = ensemble.play(part, recorded, duration_s, rng)
        return _rounded(_driven(audio, rng) if rng.random() < 0.35 else audio, rng)
    if made := zynaddsubfx.draw_candidates(part, rng):
        return _rounded(zynaddsubfx.play(part.notes, made, duration_s, rng), rng)
    chance = rng.random()
    if chance < (0.05 if upright else 0.25):
        return _rounded(synthesis.play(part.notes, sounds.bass(rng), duration_s, rng), rng)
    if chance < (0.35 if upright else 0.5):
        if rng.random() < 0.25 and csound.installed():
            audio = csound.play(part.notes, csound.MODELS["bass"], duration_s, rng)
        else:
            strings = plucked.double_bass(rng) if upright or rng.random() < 0.25 else plucked.electric_bass(rng)
            audio = plucked.play(part.notes, strings, duration_s, rng)
    else:
        audio = soundfont.play(part.notes, programmes.patch(part, programmes.choose(part, rng), rng), duration_s)
    if rng.random() < 0.35 and not upright:
        audio = _driven(audio, rng)
    return _rounded(audio, rng)


def _driven(audio: Audio, rng: np.random.Generator) -> Audio:
    if rng.random() < 0.3:
        return amplifier.choose(rng, float(rng.choice((4, 8, 16, 26)))).play(audio) * np.float32(0.5) + audio
    return effects.drive(audio, float(rng.uniform(0, 9)))


def _close(audio: Audio, rng: np.random.Generator) -> Audio:
    """An acoustic guitar with a microphone near the sound hole: boomy, and often dull."""
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


def _rounded(audio: Audio, rng: np.random.Generator) -> Audio:
    """A bass with the tone control turned down, as is common: mostly the lowest partials."""
    audio = effects.peaking(audio, float(rng.uniform(90, 170)), float(rng.uniform(0, 9)), float(rng.uniform(0.6, 1.2)))
    if rng.random() < 0.2:
        return audio
    return effects.cut(
        audio, float(np.exp(rng.uniform(np.log(180), np.log(1300)))), high=True, order=int(rng.choice((1, 2)))
    )
