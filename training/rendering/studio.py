"""Studio processing of rendered stems, and the level of each stem."""

import numpy as np

from stemwright.stems import SINGING
from training.rendering import effects
from training.rendering.effects import Audio

LEVELS_DB = {
    "vocals": -17.0,
    "backing_vocals": -23.0,
    "drums": -18.0,
    "bass": -19.0,
    "guitar": -22.0,
    "keyboard": -22.0,
    "strings": -23.0,
    "brass": -22.0,
    "woodwinds": -22.0,
    "percussion": -24.0,
    "synth": -23.0,
    "fx": -25.0,
}
"""RMS level of a stem in its audible blocks, in dBFS; it varies from song to song."""


def process(stem: str, audio: Audio, beat_s: float, room: float, rng: np.random.Generator) -> Audio:
    """Random studio effects on one stem: equaliser, drive, compressor, modulation, echo, reverb.

    Args:
        stem: which stem it is.
        audio: ``(2, samples)``.
        beat_s: length of a beat, for echoes.
        room: level of the reverb that all stems of a song share.
        rng: random generator.
    """
    if stem in SINGING:
        audio = _microphone(audio, rng)
        if stem == "vocals" and rng.random() < 0.3:  # a singer in a living room, without further effects
            return effects.reverb(
                audio, rng, 0.5 * room, float(rng.uniform(0.15, 0.6)), float(rng.uniform(2500, 7000)), 1.0
            )
    audio = effects.equalise(audio, rng, 5.0 if stem in ("strings", "woodwinds", "brass") else 7.0)
    if stem in ("drums", "bass", "percussion") and rng.random() < 0.35:
        audio = effects.drive(audio, float(rng.uniform(0, 12)))
    if rng.random() < {"vocals": 0.75, "backing_vocals": 0.6, "drums": 0.6, "bass": 0.6, "guitar": 0.35}.get(stem, 0.2):
        audio = effects.compress(
            audio,
            float(rng.uniform(2, 8)),
            float(rng.uniform(-30, -12)),
            float(rng.uniform(1, 30)),
            float(rng.uniform(50, 300)),
        )
    if stem in ("guitar", "keyboard", "synth", "bass") and rng.random() < {"bass": 0.08}.get(stem, 0.25):
        audio = effects.chorus(audio, rng, float(rng.uniform(0.5, 4)), float(rng.uniform(0.2, 0.7)))
    if stem in ("guitar", "keyboard") and rng.random() < 0.12:
        audio = effects.tremolo(audio, float(rng.uniform(3, 8)), float(rng.uniform(0.2, 0.7)), bool(rng.random() < 0.5))
    if stem in ("vocals", "guitar", "keyboard", "synth", "woodwinds", "fx") and rng.random() < 0.25:
        audio = effects.echo(
            audio,
            beat_s * float(rng.choice((0.5, 0.75, 1.0))),
            float(rng.uniform(0.2, 0.6)),
            float(rng.uniform(0.1, 0.5)),
            bool(rng.random() < 0.5),
        )
    wet = room * (0.15 if stem == "bass" else 1.0) + (
        float(rng.uniform(0.1, 0.5))
        if stem in (*SINGING, "strings", "brass", "woodwinds") and rng.random() < 0.6
        else 0.0
    )
    if wet > 0.02:
        decay = float(rng.uniform(0.3, 1.0) if stem in ("drums", "percussion", "guitar") else rng.uniform(0.5, 2.6))
        audio = effects.reverb(audio, rng, wet, decay, float(rng.uniform(2500, 9000)), float(rng.uniform(2, 40)))
    return audio


def _microphone(audio: Audio, rng: np.random.Generator) -> Audio:
    """Vocals through a microphone: proximity effect, often dull, and sometimes de-essed."""
    audio = effects.peaking(
        audio, float(rng.uniform(150, 320)), float(rng.uniform(-2, 7)), float(rng.uniform(0.5, 1.0))
    )
    audio = effects.cut(audio, float(rng.uniform(50, 120)), high=False)
    if rng.random() < 0.5:
        audio = effects.de_ess(
            audio, float(rng.uniform(3500, 6500)), float(rng.uniform(2, 8)), float(rng.uniform(-30, -15))
        )
    if rng.random() < 0.25:
        audio = effects.cut(audio, float(rng.uniform(3500, 9000)), high=True, order=int(rng.choice((1, 2, 4))))
    return audio
