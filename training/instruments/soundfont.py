"""SoundFont playback with the FluidSynth library: a font is loaded once for any number of lines."""

import ctypes
import ctypes.util
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.compose.note import Note

SAMPLE_RATE_HZ = 44100
DRUM_CHANNEL = 9
SOUNDS = Path("/usr/share/sounds")
GENERAL_MIDI = (
    SOUNDS / "sf2/FluidR3_GM.sf2",
    SOUNDS / "sf3/MuseScore_General_Full.sf3",
    SOUNDS / "sf3/FluidR3Mono_GM.sf3",
    SOUNDS / "sf2/TimGM6mb.sf2",
    SOUNDS / "sf2/sf_GMbank.sf2",
    Path(__file__).parents[1] / "samples/sonivox/sonivox.sf2",
)
"""Fonts with all General MIDI programmes; the installed ones are used."""
ELECTRONIC = (SOUNDS / "sf2/OPL-3_FM_128M.sf2",)
"""Fonts of chip sounds: used for synths only, whatever the names of their programmes."""
DRUM_KITS = (SOUNDS / "sf2/Black_Pearl_4_LV2.sf2", SOUNDS / "sf2/Red_Zeppelin_4_LV2.sf2")
"""Fonts with one recorded drum kit."""

_BEND_CENTRE = 8192
_MODULATION, _VOLUME, _PAN, _EXPRESSION, _SUSTAIN = 1, 7, 10, 11, 64
# From section 8.1.3 of the SoundFont 2.04 specification.
_GENERATOR_CUTOFF, _GENERATOR_VIBRATO_RATE, _GENERATOR_ATTACK, _GENERATOR_RELEASE, _GENERATOR_TUNE = 8, 24, 34, 38, 51
_SEGMENT = 64  # FluidSynth renders blocks of 64 samples: event times are rounded to them (1.5 ms)


class SoundFontMissingError(RuntimeError):
    """FluidSynth or a SoundFont is not installed. Install Debian's fluidsynth and fluid-soundfont-gm."""


@dataclass(frozen=True)
class Patch:
    """Settings of a line on a SoundFont.

    Attributes:
        font: path of the SoundFont.
        programme: General MIDI programme, 0 to 127 (of the kit, with ``drums``).
        drums: use the drum channel.
        detune_cents: tuning of the whole line.
        vibrato: vibrato depth of held notes, as a MIDI modulation value.
        scoop_cents: how far below pitch notes start.
        swell: whether notes longer than 0.6 s swell and fade.
        sustain_s: interval between lifts of the sustain pedal; 0 is no pedal.
        character: semitones by which the samples used are higher than the notes; they are slowed down, which shifts the
            formants, so that one instrument gives many timbres.
        brightness_cents: offset of the filter cut-off.
        attack_timecents, release_timecents: stretch of the envelope (1200 doubles a time).
        vibrato_rate_cents: offset of the vibrato rate.
    """

    font: Path
    programme: int
    drums: bool = False
    detune_cents: float = 0.0
    vibrato: int = 0
    scoop_cents: float = 0.0
    swell: bool = False
    sustain_s: float = 0.0
    character: int = 0
    brightness_cents: float = 0.0
    attack_timecents: float = 0.0
    release_timecents: float = 0.0
    vibrato_rate_cents: float = 0.0


def installed_fonts(fonts: Sequence[Path] = GENERAL_MIDI) -> tuple[Path, ...]:
    """The installed ones of ``fonts``.

    Raises:
        SoundFontMissingError: no font is installed.
    """
    found = tuple(font for font in fonts if font.exists())
    if not found:
        raise SoundFontMissingError(f"None of these SoundFonts is installed: {', '.join(font.name for font in fonts)}.")
    return found


def preload() -> None:
    """Loads all installed fonts, so that processes forked later share them."""
    for font in installed_fonts() + tuple(font for font in ELECTRONIC + DRUM_KITS if font.exists()):
        _font(font)


def play(notes: Sequence[Note], patch: Patch, duration_s: float) -> NDArray[np.float32]:
    """Renders a line dry, ``(2, samples)`` at 44.1 kHz, cut at ``duration_s``."""
    return _font(patch.font).render(notes, patch, duration_s)


Event = tuple[float, int, int, int, int]  # time in seconds, order at equal times, kind, two values
_OFF, _ON, _CONTROL, _BEND = 0, 3, 1, 2


def _events(notes: Sequence[Note], patch: Patch, duration_s: float) -> list[Event]:
    events: list[Event] = []
    for note in notes:
        pitch = note.pitch + patch.character
        if not 0 <= pitch < 128:
            continue
        events.append((note.start_s, _ON, _ON, pitch, min(127, max(1, note.velocity))))
        events.append((note.end_s, _OFF, _OFF, pitch, 0))
        if patch.vibrato and note.duration_s > 0.35:
            events.append((note.start_s, _CONTROL, _CONTROL, _MODULATION, 0))
            for step in range(1, 5):
                time = note.start_s + 0.15 + 0.08 * step
                events.append((time, _CONTROL, _CONTROL, _MODULATION, patch.vibrato * step // 4))
        if patch.swell and note.duration_s > 0.6:
            for step in range(9):
                level = int(127 * (0.55 + 0.45 * np.sin(np.pi * (0.1 + 0.8 * step / 8))))
                time = note.start_s + note.duration_s * step / 8
                events.append((time, _CONTROL, _CONTROL, _EXPRESSION, level))
        detune = _BEND_CENTRE + int(patch.detune_cents / 200 * _BEND_CENTRE)
        if patch.scoop_cents:
            for step in range(6):
                bend = detune - int(patch.scoop_cents / 200 * _BEND_CENTRE * (1 - step / 5))
                events.append((note.start_s + 0.016 * step, _BEND, _BEND, max(0, min(16383, bend)), 0))
    if patch.sustain_s:
        time = 0.0
        while time < duration_s:
            events.append((time, _CONTROL, _CONTROL, _SUSTAIN, 0))
            events.append((time + 0.06, _CONTROL, _CONTROL, _SUSTAIN, 127))
            time += patch.sustain_s
    return sorted(events)


class _Font:
    """A FluidSynth instance with one SoundFont."""

    def __init__(self, path: Path) -> None:
        self._fluid = _library()
        self._settings = self._fluid.new_fluid_settings()
        self._set_number("synth.sample-rate", float(SAMPLE_RATE_HZ))
        self._set_number("synth.gain", 0.4)
        for name, value in (("synth.polyphony", 128), ("synth.reverb.active", 0), ("synth.chorus.active", 0)):
            self._fluid.fluid_settings_setint(self._settings, name.encode(), value)
        self._synth = self._fluid.new_fluid_synth(self._settings)
        self._id = self._fluid.fluid_synth_sfload(self._synth, str(path).encode(), 1)
        if self._id < 0:
            raise SoundFontMissingError(f"FluidSynth cannot load {path}. Install the Debian package that holds it.")

    def _set_number(self, name: str, value: float) -> None:
        self._fluid.fluid_settings_setnum(self._settings, name.encode(), ctypes.c_double(value))

    def render(self, notes: Sequence[Note], patch: Patch, duration_s: float) -> NDArray[np.float32]:
        """Renders the notes from a reset state; ``(2, samples)``."""
        fluid, synth = self._fluid, self._synth
        channel = DRUM_CHANNEL if patch.drums else 0
        fluid.fluid_synth_system_reset(synth)
        fluid.fluid_synth_all_sounds_off(synth, -1)
        # Ringing notes of the line before would click in this one.
        self._write(np.zeros((2, 64 * _SEGMENT), np.float32), 0, 64 * _SEGMENT)
        if patch.drums:
            fluid.fluid_synth_program_change(synth, channel, patch.programme)
        else:
            fluid.fluid_synth_program_select(synth, channel, self._id, 0, patch.programme)
        fluid.fluid_synth_cc(synth, channel, _VOLUME, 110)
        fluid.fluid_synth_cc(synth, channel, _PAN, 64)
        detune = _BEND_CENTRE + int(patch.detune_cents / 200 * _BEND_CENTRE)
        fluid.fluid_synth_pitch_bend(synth, channel, detune)
        for generator, offset in (
            (_GENERATOR_TUNE, -patch.character),
            (_GENERATOR_CUTOFF, patch.brightness_cents),
            (_GENERATOR_ATTACK, patch.attack_timecents),
            (_GENERATOR_RELEASE, patch.release_timecents),
            (_GENERATOR_VIBRATO_RATE, patch.vibrato_rate_cents),
        ):
            fluid.fluid_synth_set_gen(synth, channel, generator, float(offset))
        samples = round(duration_s * SAMPLE_RATE_HZ)
        # Whole blocks only: FluidSynth would keep the rest of a block for the next line.
        audio = np.zeros((2, -(-samples // _SEGMENT) * _SEGMENT), np.float32)
        done = 0
        for time, _, kind, first, second in _events(notes, patch, duration_s):
            due = min(audio.shape[1], round(time * SAMPLE_RATE_HZ / _SEGMENT) * _SEGMENT)
            if due > done:
                self._write(audio, done, due)
                done = due
            if kind == _ON:
                fluid.fluid_synth_noteon(synth, channel, first, second)
            elif kind == _OFF:
                fluid.fluid_synth_noteoff(synth, channel, first)
            elif kind == _CONTROL:
                fluid.fluid_synth_cc(synth, channel, first, second)
            else:
                fluid.fluid_synth_pitch_bend(synth, channel, first)
        if done < audio.shape[1]:
            self._write(audio, done, audio.shape[1])
        return audio[:, :samples]

    def _write(self, audio: NDArray[np.float32], start: int, stop: int) -> None:
        left = audio[0, start:stop].ctypes.data_as(ctypes.c_void_p)
        right = audio[1, start:stop].ctypes.data_as(ctypes.c_void_p)
        self._fluid.fluid_synth_write_float(self._synth, stop - start, left, 0, 1, right, 0, 1)


@functools.cache  # fonts stay loaded: a reload in a forked process waits forever for threads of its parent (libgomp)
def _font(path: Path) -> _Font:
    return _Font(path)


@functools.lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    name = ctypes.util.find_library("fluidsynth")
    if name is None:
        raise SoundFontMissingError("FluidSynth is not installed. Install Debian's package fluidsynth.")
    fluid = ctypes.CDLL(name)
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    fluid.new_fluid_settings.restype = pointer
    fluid.new_fluid_synth.restype = pointer
    fluid.new_fluid_synth.argtypes = [pointer]
    fluid.fluid_settings_setnum.argtypes = [pointer, ctypes.c_char_p, ctypes.c_double]
    fluid.fluid_settings_setint.argtypes = [pointer, ctypes.c_char_p, integer]
    fluid.fluid_synth_sfload.argtypes = [pointer, ctypes.c_char_p, integer]
    fluid.fluid_synth_system_reset.argtypes = [pointer]
    fluid.fluid_synth_all_sounds_off.argtypes = [pointer, integer]
    fluid.fluid_synth_program_change.argtypes = [pointer, integer, integer]
    fluid.fluid_synth_program_select.argtypes = [pointer, integer, integer, integer, integer]
    fluid.fluid_synth_set_gen.argtypes = [pointer, integer, integer, ctypes.c_float]
    fluid.fluid_synth_cc.argtypes = [pointer, integer, integer, integer]
    fluid.fluid_synth_pitch_bend.argtypes = [pointer, integer, integer]
    fluid.fluid_synth_noteon.argtypes = [pointer, integer, integer, integer]
    fluid.fluid_synth_noteoff.argtypes = [pointer, integer, integer]
    fluid.fluid_synth_write_float.argtypes = [pointer, integer, pointer, integer, integer, pointer, integer, integer]
    # Do not report missing keys of a kit on standard error.
    fluid.fluid_set_log_function.argtypes = [integer, pointer, pointer]
    fluid.fluid_set_log_function.restype = pointer
    for level in range(5):
        fluid.fluid_set_log_function(level, None, None)
    return fluid
