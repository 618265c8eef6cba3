from __future__ import annotations

from pathlib import Path

import pytest

from stemwright.audio.containers import adts
from stemwright.audio.containers.parts import parts_of
from tests.audio.byte_files import APE_FOOTER, V1_TAG, id3_tag, join
from tests.audio.signals import noise, read, write_av

SAMPLES = 30001


def aac(path: Path, rate: int = 44100, channels: int = 2) -> Path:
    layout = "mono" if channels == 1 else "stereo"
    write_av(path, noise(channels, SAMPLES), "aac", rate=rate, layout=layout, muxer="adts")
    return path


@pytest.mark.parametrize("between", [b"", V1_TAG, APE_FOOTER, id3_tag(73)])
def test_joined_files_and_tags_between(tmp_path: Path, between: bytes) -> None:
    path = aac(tmp_path / "one.aac")
    alone = read(path)[0].shape[1]
    given, source, notes = read(join(tmp_path / "all.aac", path, between, path, between, path, between))
    assert given.shape == (2, 3 * alone) and notes == []
    assert source.duration_s == pytest.approx(3 * alone / 44100)


def test_long_files_are_scanned_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, mono = aac(tmp_path / "one.aac"), aac(tmp_path / "mono.aac", channels=1)
    all_of = join(tmp_path / "all.aac", path, id3_tag(73), path, mono, path, V1_TAG)
    careful = parts_of(all_of)
    assert len(careful) == 3
    monkeypatch.setattr(adts, "WINDOW_BYTES", 2048)  # else only what is longer takes the quick way
    assert parts_of(all_of) == careful


@pytest.mark.parametrize(("rate", "channels"), [(22050, 2), (48000, 2), (44100, 1), (32000, 1)])
def test_joined_files_of_other_rates_and_channels(tmp_path: Path, rate: int, channels: int) -> None:
    first, second = aac(tmp_path / "a.aac"), aac(tmp_path / "b.aac", rate, channels)
    lengths = [read(path)[0].shape[1] for path in (first, second)]
    given, source, notes = read(join(tmp_path / "both.aac", first, second))
    assert given.shape == (2, lengths[0] + round(lengths[1] * 44100 / rate))
    assert source.duration_s == pytest.approx(given.shape[1] / 44100, abs=0.001)
    assert any("sample rate of the file changes" in note for note in notes) == (rate != 44100)
    assert any("number of channels changes" in note for note in notes) == (channels != 2)
