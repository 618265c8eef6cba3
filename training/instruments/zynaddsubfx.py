"""Synthesisers, organs, electric pianos and basses of ZynAddSubFX: 749 sounds of Debian's ``zynaddsubfx-lv2``.

A General MIDI font has about twenty synthesiser sounds, each a looped sample. These sounds are synthesised (additive,
subtractive, FM) with filters, envelopes and effects, and were made by dozens of sound designers. Sounds of guitars and
choirs are left out, as they do not sound like the real ones. Sounds of the PADsynth engine are left out too: its
threads share one random generator, so that a seed would not give the same audio twice. The sounds are skipped if the
package is not installed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from training.compose.note import Note
from training.compose.song import Part
from training.instruments import lv2

PLUG_IN = Path("/usr/lib/lv2/ZynAddSubFX.lv2")
BANKS = Path("/usr/lib/lv2/ZynAddSubFX.lv2presets")

_KINDS: tuple[tuple[str, tuple[int, ...], str], ...] = (
    ("", (), r"choir|\bvoices?\b|voiced|\bvocal|\b[aeo]+h+\b|soprano|drums? kit|\bkick\b|\bsnare\b|\bhithat\b"),
    ("", (4, 6), r"guitar|gritar|banjo|sitar|violin|fiddle|\bharp\b"),
    ("pad", (), r"\bpads?\b|\bspace\b"),
    ("bass", (5,), r"bass\d?\b"),
    ("accordion", (), r"accord|concertina|organetto|armonica|harmonica"),
    ("organ", (3,), r"organ(?!ic)|organo\b|organz|hammond|clonewheel"),
    ("electric piano", (), r"rhodes|\bep\b|\bclav|king-o-funk"),
    ("piano", (1,), r"piano|harpsichord|clavicembalo"),
    ("mallets", (), r"xylophone|\bvib(es|raphone)|marimba|mallets|steel ?drums|chimes|tubular|musicbox"),
    ("effect", (13, 16), r"noise\b|laser|alarm|alert|glitch|\bufo|thunder|\brain\b|wind$|effect|metal sound"),
    ("wind", (9, 10, 14), r"flute|clarinet|bassoon|fagotto|\breeds?\b|ocarina|zufolo"),
    ("brass", (8,), r"brass|brazz|horn\b|fanfar|thrumpet|trumpet"),
    ("arpeggio", (), r"a[rp]p?or?ggio|arpeggio|sequen[cz]|echo"),
    ("pluck", (2,), r"pluck|bells?\b|twang|\bdrop"),
    ("pad", (7, 12), r"string|sweep|swell|soft|morph"),
    ("lead", (11,), r"lead|saw|synth|square|pulse|solo"),
    ("pad", (), r""),
)
"""Kind of a sound, by its type number (as in General MIDI's families) or by its name; the first match counts."""

_PADSYNTH = '<par_bool name="pad_enabled" value="yes"'
_EFFECTS = ("Noises", "Cormi_Noise")
_PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "bass": {"": ("bass",), "upright": ()},
    "keyboard": {
        "": ("electric piano", "electric piano", "piano"),
        "organ": ("organ",),
        "organ_bubble": ("organ",),
        "accordion": ("accordion",),
        "stride": (),
        "montuno": (),
    },
    "synth": {
        "": ("lead", "pluck", "arpeggio", "brass"),
        "pad": ("pad",),
        "lead": ("lead", "lead", "brass"),
        "arp": ("pluck", "pluck", "arpeggio", "lead"),
        "stabs": ("brass", "lead", "pluck"),
    },
    "woodwinds": {"": ("wind",)},
    "percussion": {"": (), "mallets": ("mallets",)},
    "fx": {"": ("effect",), **dict.fromkeys(("impact", "riser", "swell", "echo", "ambience"), ())},
}
"""Kinds by stem and role; the empty role is the default."""

_SHARES = {"bass": 0.15, "keyboard": 0.2, "synth": 0.4, "woodwinds": 0.06, "percussion": 0.2, "fx": 0.25}
"""Share of the suitable parts that use one of these sounds, by stem."""

_CUTOFF, _MODULATION, _BEND_CENTRE = 74, 1, 8192
_BEND_CENTS = 200
_ATTEMPTS = 4
_SILENCE = 1e-3


@dataclass(frozen=True)
class Preset:
    """A preset: its name, and the position of its settings in the bank file, in characters."""

    name: str
    bank: Path
    start: int
    stop: int

    def settings(self) -> str:
        """The settings, as the plug-in restores them."""
        return self.bank.read_text()[self.start : self.stop]


@cache
def presets() -> dict[str, tuple[Preset, ...]]:
    """All installed sounds, by kind."""
    found: dict[str, list[Preset]] = {}
    for bank in sorted(BANKS.glob("*.ttl")) if PLUG_IN.is_dir() else ():
        for match in re.finditer(r'#preset_([^>]+)>\s+state:state[^"]*"""\s*(<.*?)"""', bank.read_text(), re.DOTALL):
            if _PADSYNTH in match[2]:
                continue
            name = unquote(match[1]).removeprefix(f"{bank.stem}_")
            kind = re.search(r'<par name="type" value="(\d+)"', match[2])
            words = re.sub(r"^\d+-", "", name).replace("_", " ").lower()
            of = "effect" if bank.stem in _EFFECTS else _kind(int(kind[1]) if kind else 0, words)
            found.setdefault(of, []).append(Preset(name, bank, *match.span(2)))
    return {kind: tuple(of) for kind, of in found.items() if kind}


def _kind(number: int, words: str) -> str:
    return next(kind for kind, numbers, pattern in _KINDS if number in numbers or re.search(pattern, words))


def draw_candidates(part: Part, rng: np.random.Generator) -> tuple[Preset, ...]:
    """Sounds that suit a part, or an empty tuple, at random by share. Uses ``rng`` only if a sound suits."""
    roles = _PARTS.get(part.stem, {})
    kinds = [kind for kind in roles.get(part.role, roles.get("", ())) if kind in presets()]
    if not kinds or rng.random() >= _SHARES[part.stem]:
        return ()
    return presets()[kinds[rng.integers(len(kinds))]]


def play(
    notes: Sequence[Note], among: Sequence[Preset], duration_s: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Plays notes on one of the sounds, or on another if that one is silent; ``(2, samples)`` at 44.1 kHz.

    Raises:
        RuntimeError: the plug-in failed.
    """
    for _ in range(_ATTEMPTS):
        sound = among[int(rng.integers(len(among)))]
        audio = lv2.play(_instrument(sound), _events(notes, rng), duration_s)
        if float(np.abs(audio).max(initial=0)) > _SILENCE:
            break
    return audio


def _instrument(sound: Preset) -> lv2.Instrument:
    binary, page = PLUG_IN / "ZynAddSubFX.so", PLUG_IN / "ZynAddSubFX.ttl"
    return lv2.Instrument(str(binary), str(page), {"urn:distrho:state": sound.settings()})


def _events(notes: Sequence[Note], rng: np.random.Generator) -> list[lv2.Event]:
    bend = _BEND_CENTRE + round(float(rng.normal(0, 5)) / _BEND_CENTS * _BEND_CENTRE)
    cutoff = int(np.clip(rng.normal(64, 12), 20, 110)) if rng.random() < 0.6 else 64
    events: list[lv2.Event] = [(0.0, (0xE0, bend & 127, bend >> 7)), (0.0, (0xB0, _CUTOFF, cutoff))]
    if rng.random() < 0.25:
        events.append((0.0, (0xB0, _MODULATION, int(rng.integers(70, 120)))))
    return events + lv2.keys(notes)
