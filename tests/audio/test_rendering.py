"""Files at another speed: of one length, and none clipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.audio.rendering import Part, render
from stemwright.errors import StorageError, UnreadableInputError
from stemwright.speed_and_key import SpeedAndKey

RATE = 8000
LENGTH = 2 * RATE + 11


def tone(path: Path, level: float, channels: int = 2, rate: int = RATE, length: int = LENGTH) -> Path:
    wave = level * np.sin(2 * np.pi * 220 * np.arange(length) / rate)
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate, format="WAV", subtype="FLOAT")
    return path


def made(parts: list[Part], speed: float = 0.8, semitones: float = 0.0, channels: int = 2) -> list[str]:
    shares: list[float] = []
    formats = render(
        parts,
        sample_rate=RATE,
        channels=channels,
        samples=LENGTH,
        wanted=SpeedAndKey(speed, semitones),
        on_progress=shares.append,
    )
    assert shares == sorted(shares) and shares[-1] == 1
    for part in parts:
        info = soundfile.info(str(part.out))
        assert (info.frames, info.samplerate, info.channels) == (round(LENGTH / speed), RATE, channels)
    return formats


@pytest.mark.parametrize(("speed", "semitones"), [(0.5, 0), (0.777, 0), (2, -12), (1, 12), (0.9, 0.37)])
def test_every_part_has_the_length_of_the_song_by_the_speed(tmp_path: Path, speed: float, semitones: float) -> None:
    short = tone(tmp_path / "a", 0.3, length=LENGTH - 200)
    long = tone(tmp_path / "b", 0.3, length=LENGTH + 300)
    parts = [Part(short, tmp_path / "c", "a"), Part(long, tmp_path / "d", "b"), Part(None, tmp_path / "e", "none")]
    assert made(parts, speed, semitones) == ["flac"] * 3
    assert not soundfile.read(tmp_path / "e")[0].any()


def test_what_exceeds_full_scale_is_kept_as_floats(tmp_path: Path) -> None:
    ramp = np.linspace(0, 3, LENGTH) * np.sin(2 * np.pi * 220 * np.arange(LENGTH) / RATE)
    soundfile.write(tmp_path / "a", np.stack([ramp, ramp], axis=1), RATE, format="WAV", subtype="FLOAT")
    parts = [Part(tmp_path / "a", tmp_path / "b", "loud"), Part(tone(tmp_path / "c", 0.1), tmp_path / "d", "soft")]
    assert made(parts) == ["wav", "flac"]
    output = soundfile.read(tmp_path / "b")[0]
    assert 2.5 < np.abs(output).max() < 3.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "d"]
    loud = [Part(tone(tmp_path / "a", 1.5), tmp_path / "b", "loud")]
    assert made(loud) == ["wav"]


def test_mono_and_other_rates(tmp_path: Path) -> None:
    mono = tone(tmp_path / "a", 0.3, channels=1)
    other = tone(tmp_path / "b", 0.3, channels=1, rate=11_025, length=round(LENGTH * 11_025 / RATE))
    made([Part(mono, tmp_path / "c", "mono"), Part(other, tmp_path / "d", "other")], channels=1)
    first, second = (soundfile.read(tmp_path / name)[0][2000:-2000] for name in "cd")
    np.testing.assert_allclose(first, second, atol=0.02)


def test_silence_alone(tmp_path: Path) -> None:
    assert made([Part(None, tmp_path / "a", "none")]) == ["flac"]
    assert not soundfile.read(tmp_path / "a")[0].any()


def test_what_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"no sound")
    with pytest.raises(UnreadableInputError):
        made([Part(tmp_path / "a", tmp_path / "b", "none")])
    with pytest.raises(StorageError):
        made([Part(tone(tmp_path / "c", 0.3), tmp_path / "no folder" / "d", "drums")])
