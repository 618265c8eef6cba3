"""The corpus: instruments, effects and the driver, with the real synthesisers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.stems import SINGING, STEMS
from training.compose.genres import GENRES
from training.compose.note import Note
from training.compose.song import Part, compose
from training.instruments import (
    ambiences,
    amplifier,
    hits,
    kits,
    microphones,
    modal,
    noises,
    players,
    plucked,
    soundfont,
    sounds,
    synthesis,
)
from training.instruments.soundfont import Patch, SoundFontMissingError
from training.rendering import corpus, effects

RATE = 44100
SHORT_S = 2.0

Audio = NDArray[np.float32]


@pytest.fixture(scope="module")
def font() -> Path:
    try:
        fonts = soundfont.installed_fonts()
        soundfont.play([], Patch(fonts[0], 0), 0.1)
    except SoundFontMissingError as missing:
        pytest.skip(str(missing))
    return fonts[0]


def scale(pitch: int = 60) -> list[Note]:
    return [Note(0.25 * step, 0.24, pitch + interval, 90) for step, interval in enumerate((0, 2, 4, 5, 7, 9, 11))]


def offset_cents(audio: Audio, pitch: int) -> float:
    """How far the fundamental and its harmonics lie from where they should: the best of a comb of four partials."""
    size = 1 << 19
    held = audio.mean(axis=0)[8000:40000].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(held * np.hanning(len(held)), size))
    cents = np.arange(-100, 101)
    frequency = 440 * 2 ** ((pitch - 69) / 12) * 2 ** (cents / 1200)
    score = sum(
        np.log(spectrum[np.round(frequency * partial * size / RATE).astype(int)] + 1e-9) for partial in range(1, 5)
    )
    return float(cents[int(np.argmax(score))])


@pytest.mark.training
@pytest.mark.parametrize("character", [0, 5, -5])
def test_a_soundfont_plays_in_tune_whatever_its_character(font: Path, character: int) -> None:
    audio = soundfont.play([Note(0, 1.2, 57, 100)], Patch(font, 0, character=character), 1.5)
    assert audio.shape == (2, round(1.5 * RATE))
    assert abs(offset_cents(audio, 57)) < 20


@pytest.mark.training
def test_a_line_does_not_hear_the_line_before(font: Path) -> None:
    soundfont.play([Note(0, 3, 60, 127)], Patch(font, 48), 1.0)
    silence = soundfont.play([], Patch(font, 0), 0.5)
    assert float(np.abs(silence).max()) < 1e-4


@pytest.mark.parametrize(
    "play",
    [
        lambda notes, rng: plucked.play(notes, plucked.electric_guitar(rng), 1.5, rng),
        lambda notes, rng: plucked.play(notes, plucked.acoustic_guitar(rng), 1.5, rng),
        lambda notes, rng: synthesis.play(notes, sounds.organ(rng), 1.5, rng),
        lambda notes, rng: synthesis.play(notes, sounds.bowed(rng, 1), 1.5, rng),
        lambda notes, rng: synthesis.play(notes, sounds.blown(rng, "brass"), 1.5, rng),
    ],
    ids=["electric", "acoustic", "organ", "bowed", "blown"],
)
@pytest.mark.parametrize("pitch", [40, 57, 71])
def test_modelled_instruments_play_in_tune(
    play: Callable[[list[Note], np.random.Generator], Audio], pitch: int
) -> None:
    audio = play([Note(0, 1.3, pitch, 100)], np.random.default_rng(pitch))
    assert audio.shape == (2, round(1.5 * RATE))
    assert abs(offset_cents(audio, pitch)) < 25


def test_a_long_note_may_end_at_once() -> None:
    sound = synthesis.SynthPatch(release_s=0.001)
    held, ended = np.split(synthesis.play([Note(0.0, 3.0, 57, 90)], sound, 3.2, np.random.default_rng(1)), [132_300], 1)
    assert np.sqrt(np.mean(held**2)) > 0.01 > 10 * np.abs(ended[:, 2000:]).max(initial=0)


@pytest.mark.parametrize("kind", hits.KINDS)
def test_synthesised_hits_are_loud_and_end_in_silence(kind: str) -> None:
    for seed in range(5):
        hit = hits.strike(kind, np.random.default_rng(seed))
        assert hit.shape[0] == 2
        assert float(np.abs(hit).max()) == pytest.approx(1, abs=1e-3)
        assert float(np.abs(hit[:, -1]).max()) < 1e-3


def test_kicks_are_low_and_hats_are_high() -> None:
    def centroid_hz(kind: str, seed: int) -> float:
        power = np.abs(np.fft.rfft(hits.strike(kind, np.random.default_rng(seed)).mean(axis=0), RATE)) ** 2
        return float((power * np.arange(len(power))).sum() / power.sum())

    assert max(centroid_hz("kick", seed) for seed in range(10)) < 400
    assert min(centroid_hz("hat", seed) for seed in range(10)) > 2500


def test_kicks_ring_short_and_long() -> None:
    def ring_s(seed: int) -> float:
        hit = hits.strike("kick", np.random.default_rng(seed))[0]
        return float(np.flatnonzero(np.abs(hit) > 0.1)[-1]) / RATE

    lengths = [ring_s(seed) for seed in range(40)]
    assert min(lengths) < 0.12
    assert max(lengths) > 0.5


def test_a_room_is_heard_after_a_stroke() -> None:
    kit = np.zeros((2, RATE), np.float32)
    kit[:, 100:600] = hits.strike("snare", np.random.default_rng(0))[:, :500]
    recordings = [microphones.record(kit, np.random.default_rng(seed)) for seed in range(12)]
    after = [float(np.abs(recording[:, 2000:6000]).max()) for recording in recordings]
    assert min(after) == 0  # some kits stay dry
    assert sum(level > 0.005 for level in after) >= 6
    assert all(np.isfinite(recording).all() and recording.shape == kit.shape for recording in recordings)


@pytest.mark.parametrize("role", ["riser", "swell", "impact", "drone", "texture", "echo", "ambience"])
def test_noises_sound_where_they_are_asked_for(role: str) -> None:
    audio = noises.play([Note(0.5, 1.0, 48, 100)], role, SHORT_S, np.random.default_rng(3))
    assert np.isfinite(audio).all()
    assert float(np.abs(audio[:, : RATE // 2 - 10]).max()) == 0
    assert float(np.abs(audio).max()) > 0.01


def test_ambiences_are_of_many_kinds_and_never_silent() -> None:
    loudest_hz = set()
    for seed in range(24):
        audio = ambiences.make(1.0, np.random.default_rng(seed))
        assert audio.shape == (2, RATE) and np.isfinite(audio).all()
        assert float(np.abs(audio).max()) == pytest.approx(1, abs=1e-3)
        assert float(np.abs(audio[:, (0, -1)]).max()) < 0.05
        loudest_hz.add(int(np.log2(1 + np.argmax(np.abs(np.fft.rfft(audio[0]))))))
    assert len(loudest_hz) > 4  # octaves


def test_percussion_is_struck_on_time() -> None:
    audio = modal.hand_percussion([Note(1.0, 0.2, 75, 120)], SHORT_S, np.random.default_rng(0))
    onset = int(np.argmax(np.abs(audio).max(axis=0) > 0.02))
    assert onset == pytest.approx(RATE, abs=200)


def test_a_closed_hat_stops_an_open_one() -> None:
    ring = np.ones((2, 2 * RATE), np.float32)
    kit = {kind: kits.Drum((ring if kind == "open_hat" else ring[:, :10],), 1.0, 0.0) for kind in ("open_hat", "hat")}
    audio = kits.play([Note(0.0, 1, 46, 127), Note(0.5, 1, 42, 127)], kit, SHORT_S)
    assert float(audio[0, RATE // 4]) > 0.5
    assert float(np.abs(audio[0, RATE // 2 + 100 :]).max()) == 0


def test_an_amplifier_adds_harmonics_and_loses_the_top() -> None:
    tone = np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE).astype(np.float32)
    amplified = amplifier.Amplifier(30).play(np.stack((tone, tone)))
    spectrum = np.abs(np.fft.rfft(amplified[0]))
    assert spectrum[660] > 0.05 * spectrum[220]
    assert spectrum[15000:].max() < 1e-3 * spectrum.max()


def test_effects_keep_shape_and_stay_finite() -> None:
    rng = np.random.default_rng(0)
    audio = rng.uniform(-0.5, 0.5, (2, RATE)).astype(np.float32)
    treated = (
        effects.equalise(audio, rng),
        effects.drive(audio, 12, 0.1),
        effects.compress(audio, 4, -20),
        effects.reverb(audio, rng, 0.3, 0.5),
        effects.chorus(audio, rng),
        effects.tremolo(audio, 5, 0.5, stereo=True),
        effects.echo(audio, 0.2, 0.5, 0.4, ping_pong=True),
        effects.pan(audio, 0.5, 0.5),
        effects.level(audio, -20),
    )
    for result in treated:
        assert result.shape == audio.shape
        assert result.dtype == np.float32
        assert np.isfinite(result).all()


def test_compression_evens_loud_and_soft() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE) * np.repeat((0.1, 1.0), RATE)
    audio = np.stack((tone, tone)).astype(np.float32)
    squeezed = effects.compress(audio, 4, -24)
    before = audio[0, -RATE // 4 :].std() / audio[0, RATE // 2 : RATE].std()
    after = squeezed[0, -RATE // 4 :].std() / squeezed[0, RATE // 2 : RATE].std()
    assert after < 0.4 * before


def test_a_de_esser_tames_hisses_and_leaves_vowels() -> None:
    rng = np.random.default_rng(0)
    tone = 0.5 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)
    hiss = 0.3 * rng.standard_normal(RATE) * (np.arange(RATE) % 11025 < 2000)
    softened = effects.de_ess(np.stack((tone + hiss,) * 2).astype(np.float32), 5000, 8, -30)
    before, after = (np.abs(np.fft.rfft(audio)) for audio in (tone + hiss, softened[0]))
    assert (after[10000:20000] ** 2).sum() < 0.35 * (before[10000:20000] ** 2).sum()
    assert after[220] == pytest.approx(before[220], rel=0.05)


def test_level_counts_only_what_sounds() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (2, RATE)).astype(np.float32)
    noise[:, RATE // 2 :] = 0
    levelled = effects.level(noise, -20)
    assert 20 * np.log10(levelled[:, : RATE // 2].std()) == pytest.approx(-20, abs=0.1)


@pytest.mark.training
@pytest.mark.parametrize("stem", [stem for stem in STEMS if stem not in SINGING])
def test_every_role_of_a_stem_is_played(font: Path, stem: str) -> None:
    roles = sorted({role for genre in GENRES.values() for seat, role, _ in genre.seats if seat == stem})
    for seed, role in enumerate(roles):
        part = Part(
            stem, role, tuple(scale(36 if stem == "bass" else 60) if stem != "drums" else [Note(0.3, 0.2, 36, 100)])
        )
        audio = players.render(stem, [part], 0.5, SHORT_S, np.random.default_rng(seed))
        assert audio.shape == (2, round(SHORT_S * RATE))
        assert np.isfinite(audio).all()
        assert 0.001 < float(np.abs(audio).max()) < 1


@pytest.mark.training
def test_rendering_repeats_itself(font: Path) -> None:
    first, second = (dict(corpus.render(compose(7, SHORT_S))) for _ in range(2))
    assert first.keys() == second.keys()
    for stem, audio in first.items():
        # FluidSynth keeps the phase of its oscillators from line to line, so notes repeat but for their last bits.
        assert np.abs(audio - second[stem]).max() < 0.05, stem


@pytest.mark.training
def test_a_song_is_written_whole_and_once(font: Path, tmp_path: Path) -> None:
    line = corpus.render_song(tmp_path, 2)
    folder = corpus.find_song(tmp_path, 2)
    assert folder is not None and line.startswith(folder.name)
    files = sorted(folder.glob("*.flac"))
    assert files
    for file in files:
        info = soundfile.info(file)
        assert (info.samplerate, info.channels, info.subtype, info.frames) == (RATE, 2, "PCM_16", 30 * RATE)
        assert file.stem in STEMS
    assert [entry.name for entry in tmp_path.iterdir()] == [folder.name]
    assert corpus.render_song(tmp_path, 2) == f"{folder.name} is there"
