from pathlib import Path

import numpy as np
import pytest

from stemwright.errors import StorageError
from stemwright.plot.stem_picture import StemPlot, draw
from stemwright.plot.waveform_summary import WaveformSummary, summary

PNG = b"\x89PNG\r\n\x1a\n"


def shape(seconds: float = 1.0, rate_hz: int = 8000) -> WaveformSummary:
    samples = 0.1 * np.random.default_rng(0).standard_normal((2, int(seconds * rate_hz)))
    return summary([samples.astype(np.float32)], rate_hz)


def size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(PNG)
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


def test_every_stem_makes_the_picture_higher(tmp_path: Path) -> None:
    draw("one", [StemPlot("drums", shape())], tmp_path / "one.png")
    draw("three", [StemPlot(name, shape()) for name in ("drums", "bass", "fx")], tmp_path / "three.png")
    (one_width, one_height), (width, height) = size(tmp_path / "one.png"), size(tmp_path / "three.png")
    assert width == one_width
    assert height > 2 * one_height - one_height // 2


@pytest.mark.parametrize("title", ["$x$", "[red]", "a\nb", "🎵 日本", "\udcff"])
def test_any_title_and_name_can_be_drawn(tmp_path: Path, title: str) -> None:
    draw(title, [StemPlot(title, shape())], tmp_path / "odd.png")
    size(tmp_path / "odd.png")


@pytest.mark.parametrize("seconds", [0.0, 1 / 8000, 0.3, 400.0])
def test_any_length_can_be_drawn(tmp_path: Path, seconds: float) -> None:
    draw("song", [StemPlot("vocals", shape(seconds)), StemPlot("fx", shape(seconds / 2))], tmp_path / "song.png")
    size(tmp_path / "song.png")


def test_an_absent_silent_stem_is_drawn_too(tmp_path: Path) -> None:
    silent = summary([np.zeros((1, 8000), np.float32)], 8000)
    draw("song", [StemPlot("brass", silent, present=False, presence=0.02)], tmp_path / "song.png")
    size(tmp_path / "song.png")


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "song.png").mkdir()
    with pytest.raises(StorageError):
        draw("song", [StemPlot("drums", shape())], tmp_path / "song.png")
    with pytest.raises(StorageError):
        draw("song", [StemPlot("drums", shape())], tmp_path / "missing" / "song.png")
    assert [path.name for path in tmp_path.iterdir()] == ["song.png"]
