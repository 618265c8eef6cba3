"""Sound effects: risers, impacts, drones, textures, swells, echoes; mostly synthesised, some recorded."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from training.compose.note import Note
from training.instruments import ambiences, hits, kits, sounds, synthesis
from training.rendering import effects

SAMPLE_RATE_HZ = 44100
_AMBIENCES = (
    "ambi_*",
    "vinyl_*",
    "glitch_*",
    "misc_*",
    "perc_swoosh",
    "perc_swash",
    "perc_impact*",
    "perc_door",
    "mehackit_*",
    "loop_drone*",
    "loop_3d*",
    "loop_weirdo",
    "elec_*",
    "bass_drop*",
)


def play(notes: Sequence[Note], role: str, duration_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Renders the effects of a role; ``(2, samples)``. All notes of a role share one sound in two variants."""
    audio = np.zeros((2, round(duration_s * SAMPLE_RATE_HZ)), np.float32)
    recipes = [int(rng.integers(1000)) for _ in range(2)]
    for note in notes:
        seed = recipes[int(rng.random() < 0.3)]
        sound = _sound(role, note, np.random.default_rng((seed, note.pitch)), rng)
        start = round(note.start_s * SAMPLE_RATE_HZ)
        count = min(sound.shape[1], audio.shape[1] - start)
        if count > 0:
            audio[:, start : start + count] += sound[:, :count] * (note.velocity / 127)
    return audio


def _sound(role: str, note: Note, recipe: np.random.Generator, rng: np.random.Generator) -> NDArray[np.float32]:
    length = max(0.15, note.duration_s)
    if role == "riser":
        sweep = _noise_sweep(length, recipe) if recipe.random() < 0.6 else _tone_sweep(length, recipe)
        return _gated(sweep, recipe) if recipe.random() < 0.25 else sweep
    if role == "ambience":
        return ambiences.make(length, recipe)
    if role == "swell":
        return _reversed_cymbal(length, recipe) if recipe.random() < 0.6 else _noise_sweep(length, recipe)
    if role == "impact":
        return _impact(recipe) if recipe.random() < 0.6 else _fall(recipe)
    if role == "drone":
        return _drone(note, length, recipe)
    if role == "echo":
        bleep = synthesis.play([Note(0.0, 0.12, note.pitch + 24, 100)], sounds.pluck(recipe), 3.0, recipe)
        return effects.echo(bleep, float(recipe.uniform(0.15, 0.45)), 0.7, 0.8, ping_pong=True)
    kind = recipe.random()
    if kind < 0.35:
        return _recorded(length, recipe)
    if kind < 0.5:
        return _grains(length, recipe, rng)
    if kind < 0.6:
        return _wind(length, recipe)
    if kind < 0.88:
        return ambiences.make(length, recipe)
    return _zap(recipe)


def _normal(audio: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float32]:
    peak = float(np.abs(audio).max())
    return np.asarray(audio / (peak + 1e-9), np.float32)


def _noise_sweep(length_s: float, recipe: np.random.Generator) -> NDArray[np.float32]:
    """Noise through a band-pass with moving frequency; the filter state is kept from block to block."""
    count = int(length_s * SAMPLE_RATE_HZ)
    noise = recipe.standard_normal((2, count))
    low, high = float(recipe.uniform(150, 800)), float(recipe.uniform(4000, 14000))
    path = np.linspace(0, 1, max(2, count // 1024 + 1)) ** float(recipe.uniform(0.7, 2))
    if recipe.random() < 0.25:
        path = path[::-1]
    state = np.zeros((2, 2, 2))  # (sections, channels, state)
    for index, along in enumerate(path):
        centre = low * (high / low) ** along
        sos = butter(2, (centre * 0.6, min(20000, centre * 1.6)), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
        block = slice(index * 1024, min(count, (index + 1) * 1024))
        if block.start < count:
            noise[:, block], state = sosfilt(sos, noise[:, block], axis=-1, zi=state)
    envelope = np.linspace(0, 1, count) ** float(recipe.uniform(1, 3))
    return _normal(noise * (envelope if recipe.random() < 0.85 else envelope[::-1]))


def _gated(audio: NDArray[np.float32], recipe: np.random.Generator) -> NDArray[np.float32]:
    """Gated into pulses, accelerating or steady."""
    along = np.arange(audio.shape[1]) / SAMPLE_RATE_HZ
    rate = float(recipe.uniform(3, 8)) * (1 + float(recipe.choice((0, 0.5, 1))) * along)
    pulses = np.sin(2 * np.pi * np.cumsum(rate) / SAMPLE_RATE_HZ)
    return np.asarray(audio * np.clip(0.5 + 4 * pulses, float(recipe.uniform(0, 0.3)), 1), np.float32)


def _fall(recipe: np.random.Generator) -> NDArray[np.float32]:
    """A downlifter, for after a riser: falling noise, or a tone that falls below the audible range."""
    length = float(recipe.uniform(1, 4))
    if recipe.random() < 0.5:
        return _noise_sweep(length, recipe)[:, ::-1].copy()
    time = np.arange(int(length * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    frequency = float(recipe.uniform(90, 400)) * np.exp(-time * float(recipe.uniform(1, 4)) / length) + 20
    tone = np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE_HZ) * np.exp(-2.5 * time / length)
    return _normal(effects.drive(np.stack((tone, tone)).astype(np.float32), float(recipe.uniform(0, 12))))


def _tone_sweep(length_s: float, recipe: np.random.Generator) -> NDArray[np.float32]:
    time = np.arange(int(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    start, octaves = float(recipe.uniform(60, 400)), float(recipe.uniform(1, 4)) * float(recipe.choice((1, 1, -1)))
    sides = []
    for detune in (0.995, 1.005):
        phase = np.cumsum(start * detune * 2 ** (octaves * (time / length_s) ** 1.5)) / SAMPLE_RATE_HZ
        sides.append(
            2 * (phase % 1) - 1 if recipe.random() < 0.6 else np.sin(2 * np.pi * phase + 2 * np.sin(6 * np.pi * phase))
        )
    return effects.cut(_normal(np.stack(sides) * (time / length_s)), float(recipe.uniform(2000, 9000)), high=True)


def _reversed_cymbal(length_s: float, recipe: np.random.Generator) -> NDArray[np.float32]:
    crashes = [drum for kit in kits.recorded().values() for drum in kit.get("crash", ())]
    crash = kits.load(crashes[recipe.integers(len(crashes))][-1]) if crashes else hits.strike("crash", recipe)
    turned = kits.repitch(crash, float(recipe.uniform(0.5, 1.2)))[:, ::-1]
    return np.asarray(turned[:, -int(length_s * SAMPLE_RATE_HZ) :], np.float32)


def _impact(recipe: np.random.Generator) -> NDArray[np.float32]:
    body = hits.strike("kick", recipe)
    sound = np.zeros((2, int(recipe.uniform(2, 4.5) * SAMPLE_RATE_HZ)), np.float32)
    slow = kits.repitch(body, float(recipe.uniform(0.3, 0.7)))[:, : sound.shape[1]]
    sound[:, : slow.shape[1]] += slow
    burst = hits.strike(str(recipe.choice(("crash", "snare", "clap"))), recipe)[:, : sound.shape[1]]
    sound[:, : burst.shape[1]] += burst * np.float32(recipe.uniform(0.1, 0.6))
    return _normal(
        effects.reverb(
            sound,
            recipe,
            float(recipe.uniform(0.4, 1.5)),
            float(recipe.uniform(1, 3)),
            float(recipe.uniform(800, 5000)),
        )
    )


def _drone(note: Note, length_s: float, recipe: np.random.Generator) -> NDArray[np.float32]:
    count = int(length_s * SAMPLE_RATE_HZ)
    time = np.arange(count) / SAMPLE_RATE_HZ
    base = 440 * 2 ** ((note.pitch - 69) / 12)
    sides = np.zeros((2, count))
    for _ in range(int(recipe.integers(3, 9))):
        partial = base * float(recipe.choice((1, 1, 2, 3, 1.5, 4, 5.04, 6.1))) * float(recipe.uniform(0.99, 1.01))
        beat = 0.5 + 0.5 * np.sin(2 * np.pi * float(recipe.uniform(0.05, 0.6)) * time + float(recipe.uniform(0, 6)))
        side = float(recipe.uniform(0, 1))
        tone = np.sin(2 * np.pi * partial * time + float(recipe.uniform(0, 6))) * beat * (base / partial) ** 0.5
        sides += tone * np.array(((1 - side,), (side,)))
    sides += float(recipe.uniform(0, 0.1)) * recipe.standard_normal((2, count))
    edge = np.clip(np.minimum(time, length_s - time) / min(1.0, length_s / 3), 0, 1)
    return effects.cut(_normal(np.tanh(sides) * edge), float(recipe.uniform(600, 6000)), high=True)


def _recorded(length_s: float, recipe: np.random.Generator) -> NDArray[np.float32]:
    files = [file for pattern in _AMBIENCES for file in sorted(kits.SAMPLES.glob(pattern + ".flac"))]
    if not files:
        return _wind(length_s, recipe)
    sound = kits.repitch(kits.load(files[recipe.integers(len(files))]), float(recipe.uniform(0.5, 1.5)))
    return sound[:, ::-1].copy() if recipe.random() < 0.2 else sound


def _grains(length_s: float, recipe: np.random.Generator, rng: np.random.Generator) -> NDArray[np.float32]:
    sound = np.zeros((2, int((length_s + 0.3) * SAMPLE_RATE_HZ)), np.float32)
    noisy = recipe.random() < 0.4
    for _ in range(int(length_s * recipe.uniform(4, 30))):
        count = int(recipe.uniform(0.01, 0.12) * SAMPLE_RATE_HZ)
        time = np.arange(count) / SAMPLE_RATE_HZ
        grain = recipe.standard_normal(count) if noisy else np.sin(2 * np.pi * np.exp(recipe.uniform(5, 9)) * time)
        grain *= np.hanning(count)
        start = int(rng.integers(0, max(1, sound.shape[1] - count)))
        side = float(rng.random())
        sound[:, start : start + count] += (grain * np.array(((1 - side,), (side,)))).astype(np.float32)
    return _normal(sound)


def _wind(length_s: float, recipe: np.random.Generator) -> NDArray[np.float32]:
    count = int(length_s * SAMPLE_RATE_HZ)
    low = float(recipe.uniform(100, 2500))
    sos = butter(2, (low, low * float(recipe.uniform(1.5, 5))), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    noise = sosfilt(sos, recipe.standard_normal((2, count)), axis=-1)
    time = np.arange(count) / SAMPLE_RATE_HZ
    gusts = 0.6 + 0.4 * np.sin(2 * np.pi * float(recipe.uniform(0.1, 0.8)) * time + float(recipe.uniform(0, 6)))
    edge = np.clip(np.minimum(time, length_s - time) / min(0.5, length_s / 3), 0, 1)
    return _normal(noise * gusts * edge)


def _zap(recipe: np.random.Generator) -> NDArray[np.float32]:
    time = np.arange(int(recipe.uniform(0.1, 0.8) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    frequency = float(recipe.uniform(100, 800)) * (
        1 + float(recipe.uniform(2, 12)) * np.exp(-time / float(recipe.uniform(0.02, 0.2)))
    )
    tone = np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE_HZ) * np.exp(-time / 0.15)
    stereo = np.zeros((2, len(time) + int(1.5 * SAMPLE_RATE_HZ)), np.float32)
    stereo[:, : len(time)] = tone
    return effects.echo(_normal(stereo), float(recipe.uniform(0.1, 0.3)), 0.6, 0.6, ping_pong=True)
