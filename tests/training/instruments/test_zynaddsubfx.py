import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.instruments.test_csound import cents_off
from training.compose.note import Note
from training.compose.song import Part
from training.instruments import lv2, players, zynaddsubfx
from training.instruments.lv2 import SAMPLE_RATE_HZ, Instrument
from training.instruments.zynaddsubfx import Preset

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(not zynaddsubfx.PLUG_IN.is_dir(), reason="Debian's zynaddsubfx-lv2 is not installed"),
]

TUNE = (Note(0.0, 0.9, 60, 90), Note(1.0, 0.9, 67, 110))


def named(kind: str, name: str) -> Preset:
    return next(sound for sound in zynaddsubfx.presets()[kind] if sound.name.endswith(name))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("organ", "Hammond Organ"),
        ("organ", "Cathedral Organ2"),
        ("electric piano", "DX Rhodes 1"),
        ("bass", "Analogue Bass"),
        ("wind", "Bassoon"),
        ("pad", "Analog Pad 1"),
        ("lead", "SuperSaw 1"),
        ("arpeggio", "Soft Arpeggio1"),
        ("mallets", "Marimba 3"),
        ("effect", "thunder"),
        ("accordion", "Accordion 1"),
    ],
)
def test_sounds_are_what_their_names_say(kind: str, name: str) -> None:
    assert named(kind, name).settings().startswith("<?xml")


@pytest.mark.parametrize("name", ["Dist Guitar 1", "AHH Choir 1", "Drums Kit1", "Vocal Morph 3"])
def test_guitars_choirs_and_drum_kits_are_left_out(name: str) -> None:
    assert not any(sound.name.endswith(name) for of in zynaddsubfx.presets().values() for sound in of)


def test_there_are_hundreds_of_them() -> None:
    assert sum(len(of) for of in zynaddsubfx.presets().values()) > 700


@pytest.mark.parametrize("kind", ["organ", "electric piano", "brass", "wind", "piano"])
def test_they_are_heard_and_in_tune(kind: str) -> None:
    off = []
    for sound in zynaddsubfx.presets()[kind][::6]:
        audio = zynaddsubfx.play(TUNE, [sound], 2.1, np.random.default_rng(3))
        assert audio.shape == (2, round(2.1 * SAMPLE_RATE_HZ)) and np.isfinite(audio).all()
        for note in TUNE:
            start = round((note.start_s + 0.3) * SAMPLE_RATE_HZ)
            segment = audio[:, start : start + SAMPLE_RATE_HZ // 2].mean(0)
            assert np.sqrt(np.mean(segment**2)) > 1e-3, sound.name
            off.append(abs(cents_off(segment, 440 * 2 ** ((note.pitch - 69) / 12))))
    assert np.median(off) < 15


@pytest.mark.parametrize("seed", range(8, 12))
def test_the_same_seed_plays_the_same(seed: int) -> None:
    among = zynaddsubfx.presets()["pad"]
    once, again = (zynaddsubfx.play(TUNE, among, 2.0, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, zynaddsubfx.play(TUNE, among, 2.0, np.random.default_rng(99)))


def test_parts_are_given_to_them_as_often_as_they_are_to_play() -> None:
    rng = np.random.default_rng(4)
    pad, upright, drums = (
        Part(stem, role, TUNE) for stem, role in (("synth", "pad"), ("bass", "upright"), ("drums", ""))
    )
    assert 150 < sum(bool(zynaddsubfx.draw_candidates(pad, rng)) for _ in range(500)) < 250
    assert not any(zynaddsubfx.draw_candidates(part, rng) for part in (upright, drums) for _ in range(50))
    assert not zynaddsubfx.draw_candidates(replace(pad, stem="vocals"), rng)


def test_a_part_of_every_kind_is_played() -> None:
    for stem, role in (("synth", "lead"), ("keyboard", "organ"), ("bass", ""), ("percussion", "mallets")):
        part = Part(stem, role, TUNE)
        seed = next(seed for seed in range(99) if zynaddsubfx.draw_candidates(part, _after_the_draws(seed)))
        assert np.abs(players.play(part, 2.0, np.random.default_rng(seed))).max() > 1e-3


def _after_the_draws(seed: int) -> np.random.Generator:
    rng = np.random.default_rng(seed)
    rng.random()  # `players.play` draws a chance before it asks
    return rng


def test_what_the_plug_in_cannot_do_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.ttl"
    page.write_text("")
    with pytest.raises(RuntimeError, match=r"nothing\.so ended with 1"):
        lv2.play(Instrument(str(tmp_path / "nothing.so"), str(page), {}), [], 0.1)


def open_ports(more: str) -> list[str]:
    """UDP ports that a process holds once it has the plug-in."""
    script = f"""
import os, socket
from contextlib import suppress
from training.instruments import lv2, zynaddsubfx
{more}
sound = zynaddsubfx.presets()["organ"][0]
host = lv2._Host(zynaddsubfx._instrument(sound))
for name in os.listdir("/proc/self/fd"):
    with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as found:
        if found.family in (socket.AF_INET, socket.AF_INET6) and found.getsockname()[1]:
            print("port", found.getsockname()[1], flush=True)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.startswith("port")]


def test_nobody_reaches_the_port_that_the_plug_in_opens() -> None:
    assert open_ports("lv2._close_ports = lambda: None")
    assert not open_ports("")
