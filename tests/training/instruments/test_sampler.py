"""Instruments recorded note by note: fetched from a registry, played in tune, and by whom."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.http_stub import HttpStub, StubHandler
from training.compose.note import Note
from training.compose.song import Part
from training.instruments import download, ensemble, library, sampler
from training.instruments.library import Instrument
from training.instruments.sampler import Take

RATE = 44100
SCRIPT = Path(__file__).parents[3] / "scripts/samples"

Audio = NDArray[np.float32]

BY_NOTE = r"^(?P<note>[A-G](s|#)?\d)\.(wav|ogg|mp3)$"
CLARINET = Instrument("clarinet", "clarinet", "woodwind", BY_NOTE)
VIOLIN = Instrument("violin", "violin", "bowed", BY_NOTE)
TUBA = Instrument("tuba", "tuba", "brass", BY_NOTE)


def tone(pitch: int, seconds: float = 2.0, rate: int = RATE) -> Audio:
    """A bright tone, like a reed's."""
    time = np.arange(round(seconds * rate)) / rate
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    partials = (np.sin(2 * np.pi * frequency * n * time) / n for n in range(1, 9))
    return np.asarray(0.3 * sum(partials), np.float32)


def semitones_of(audio: Audio) -> float:
    """MIDI pitch of the strongest partial below 600 Hz."""
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(audio[4000:24000] * np.hanning(20000), size))[: round(600 / RATE * size)]
    return float(69 + 12 * np.log2(np.argmax(spectrum) * RATE / size / 440))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("samples")
    for name, keys in {"clarinet": {"C3.wav": 48, "Gs3.wav": 56, "C#4.ogg": 61}, "violin": {"G3.wav": 55}}.items():
        (root / name).mkdir()
        for file, pitch in keys.items():
            rate = 48000 if file.endswith("ogg") else RATE
            soundfile.write(root / name / file, tone(pitch, rate=rate), rate)
    (root / "clarinet" / "README.md").write_text("no recording")
    return root


def test_recordings_are_found_by_the_names_of_their_keys(samples: Path) -> None:
    assert sorted(recording.pitch or 0 for recording in library.recordings(CLARINET, samples)) == [48, 56, 61]
    assert not library.recordings(TUBA, samples)


@pytest.mark.parametrize("pitch", [46, 50, 56, 60, 63])
@pytest.mark.parametrize("character", [0, 4, -4])
def test_every_key_is_in_tune_whatever_recording_it_is_made_of(samples: Path, pitch: int, character: int) -> None:
    take = Take(CLARINET, character=character)
    audio = sampler.play([Note(0, 0.8, pitch, 100)], take, 1.0, np.random.default_rng(pitch), samples)
    assert audio.shape == (2, RATE)
    assert np.array_equal(audio[0], audio[1])
    assert semitones_of(audio[0]) == pytest.approx(pitch, abs=0.2)


def test_a_note_lasts_as_long_as_it_is_held_and_the_line_as_it_is_asked(samples: Path) -> None:
    notes = [Note(0, 0.3, 56, 100), Note(0.9, 5, 56, 100)]
    audio = sampler.play(notes, Take(CLARINET, release_s=0.02), 1.0, np.random.default_rng(0), samples)
    assert audio.shape == (2, RATE)
    loud = np.abs(audio[0]).reshape(20, -1).max(axis=1)  # twentieths of a second
    assert loud[:6].min() > 0.1 and loud[9:18].max() < 1e-3 and loud[18:].min() > 0.1


def test_soft_notes_are_duller(samples: Path) -> None:
    def brightness(velocity: int) -> float:
        audio = sampler.play(
            [Note(0, 0.8, 56, velocity)], Take(CLARINET, softness=1.0), 1.0, np.random.default_rng(0), samples
        )
        power = np.abs(np.fft.rfft(audio[0])) ** 2
        return float(power[1200:].sum() / power.sum())

    assert brightness(30) < 0.8 * brightness(120)


def test_what_is_out_of_reach_is_left_out_and_what_is_not_there_is_told(samples: Path) -> None:
    assert not sampler.play([Note(0, 0.5, 100, 100)], Take(VIOLIN), 1.0, np.random.default_rng(0), samples).any()
    with pytest.raises(FileNotFoundError, match="Run: scripts/samples"):
        sampler.play([Note(0, 0.5, 60, 100)], Take(TUBA), 1.0, np.random.default_rng(0), samples)


def test_a_note_is_played_from_the_recording_of_its_dynamic_and_length(tmp_path: Path) -> None:
    pitches = {"p": 60, "f": 62, "f_short": 64}  # the same key by name, told apart by what sounds
    for name, pitch in pitches.items():
        soundfile.write(tmp_path / f"C4_{name}.wav", tone(pitch), RATE)
    horn = Instrument("horn", tmp_path.name, "brass", r"^(?P<note>C4)_(?P<dynamic>p|f)(_(?P<short>short))?\.wav$")

    def sounding(velocity: int, duration_s: float) -> float:
        note = Note(0, duration_s, 60, velocity)
        audio = sampler.play([note], Take(horn, release_s=0.4), 1.0, np.random.default_rng(0), tmp_path.parent)
        return semitones_of(audio[0])

    assert sounding(20, 0.8) == pytest.approx(60, abs=0.3)
    assert sounding(120, 0.8) == pytest.approx(62, abs=0.3)
    assert sounding(120, 0.15) == pytest.approx(64, abs=0.3)


def test_round_robins_take_turns(tmp_path: Path) -> None:
    for take, pitch in enumerate((60, 61, 62)):
        soundfile.write(tmp_path / f"C4_rr{take}.wav", tone(pitch), RATE)
    bass = Instrument("bass", tmp_path.name, "electric-bass", r"^(?P<note>C4)_(?P<take>rr\d)\.wav$")
    rng = np.random.default_rng(1)
    pitches = {
        round(semitones_of(sampler.play([Note(0, 0.8, 60, 100)], Take(bass), 1.0, rng, tmp_path.parent)[0]))
        for _ in range(16)
    }
    assert pitches == {60, 61, 62}


def part(stem: str, role: str, pitch: int) -> Part:
    return Part(stem, role, tuple(Note(0.2 * step, 0.2, pitch + step % 3, 100) for step in range(4)))


@pytest.mark.parametrize(
    ("given", "who"),
    [
        (part("woodwinds", "melody", 52), ("clarinet",)),
        (part("woodwinds", "melody", 90), ()),
        (part("strings", "melody", 54), ("violin",)),
        (part("strings", "pizzicato", 54), ()),
        (part("drums", "beat", 54), ()),
    ],
)
def test_a_part_is_played_by_who_reaches_it_in_its_way(samples: Path, given: Part, who: tuple[str, ...]) -> None:
    assert tuple(one.name for one in ensemble.candidates(given, samples=samples)) == who


def test_some_parts_are_played_by_a_section(samples: Path) -> None:
    given = part("woodwinds", "melody", 52)
    takes = [ensemble.play(given, (CLARINET,), 1.0, np.random.default_rng(seed), samples) for seed in range(12)]
    assert all(np.isfinite(take).all() and np.abs(take).max() > 0.05 for take in takes)
    assert {bool(np.array_equal(take[0], take[1])) for take in takes} == {
        True,
        False,
    }  # alone, and spread over the stage


class Registry(HttpStub):
    """An npm registry that holds what `packages` says: files by name, for each package."""

    def __init__(self, packages: dict[str, dict[str, bytes]]) -> None:
        super().__init__(RegistryHandler)
        self.packages = packages


class RegistryHandler(StubHandler):
    server: Registry

    def answer(self) -> None:
        name = self.path.strip("/").removesuffix(".tgz").replace("%2f", "/").replace("%2F", "/")
        if name not in self.server.packages:
            return self.reply(404)
        if self.path.endswith(".tgz"):
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w:gz") as archive:
                for file, content in self.server.packages[name].items():
                    entry = tarfile.TarInfo(f"package/{file}")
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
            return self.reply(200, packed.getvalue())
        version = "1.1.2"
        dist = {"tarball": f"{self.server.url}/{name}.tgz"}
        page = {"name": name, "dist-tags": {"latest": version}}
        self.reply(
            200, json.dumps({**page, "versions": {version: {"name": name, "version": version, "dist": dist}}}).encode()
        )


@pytest.fixture
def registry() -> Iterator[str]:
    recording = io.BytesIO()
    soundfile.write(recording, tone(60, 0.2), RATE, format="WAV")
    packages = {
        "tonejs-instrument-cello-wav": {"package.json": b"{}", "C4.wav": recording.getvalue(), "README.md": b"cello"},
        "tonejs-instrument-harp-wav": {"package.json": b"{}", "README.md": b"no recordings"},
    }
    with Registry(packages) as server:
        yield server.url


@pytest.mark.long
@pytest.mark.training
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_what_the_registry_has_is_fetched_and_what_it_has_not_is_told(registry: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "npm_config_registry": registry,
        "npm_config_cache": str(tmp_path / "cache"),
        "npm_config_fetch_retries": "0",
        "npm_config_audit": "false",
        "npm_config_update_notifier": "false",
        "PYTHON": sys.executable,
        "STEMWRIGHT_SAMPLES_MIRROR": registry,
    }
    out = tmp_path / "samples"
    done = subprocess.run([SCRIPT, out], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0
    assert sorted(path.name for path in out.iterdir()) == ["cello"]
    cello = Instrument("cello", "cello", "bowed", BY_NOTE)
    assert [recording.pitch for recording in library.recordings(cello, out)] == [60]
    lines = [line for line in done.stderr.splitlines() if line.startswith("left out: ")]
    of_npm = [line for line in lines if line.endswith(", which npm could not fetch")]
    assert len(of_npm) == 21 and any("tonejs-instrument-harp-wav" in line for line in of_npm)
    assert {line.split()[2] for line in lines if line not in of_npm} == {
        f"{source.repository}," for source in download.sources(held_out=False)
    }
