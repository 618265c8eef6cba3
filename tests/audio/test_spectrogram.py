"""Spectrograms: a tone is where it belongs, tiles abut, levels halve, memory stays, and shares are those of the energy."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.audio.colour_map import colour_map, mixed_map
from stemwright.audio.mel_spectrum import ROWS, MelBands, MelSpectrum
from stemwright.audio.png import palette_png
from stemwright.audio.spectrogram import (
    CEILING_DB,
    FLOOR_DB,
    LEVELS,
    SHARES,
    SONG_LEVELS,
    write_spectrogram,
    write_taken,
)
from stemwright.audio.tile_index import TILE_COLUMNS, TileIndex, read_index
from stemwright.errors import StorageError, UnreadableInputError

RATE = 16_000
Picture = NDArray[np.uint8]


def tone(hz: float, seconds: float, amplitude: float = 0.5, channels: int = 2) -> NDArray[np.float64]:
    """``(samples, channels)``"""
    wave = amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return np.repeat(wave[:, None], channels, axis=1)


def write(path: Path, samples: NDArray[np.float64]) -> Path:
    soundfile.write(path, samples, RATE, format="WAV", subtype="FLOAT")
    return path


def pixels(png: bytes) -> Picture:
    """``(rows, columns, 3)``, decoded by FFmpeg."""
    with av.open(io.BytesIO(png), "r") as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == "pal8"
    return np.asarray(frame.reformat(format="rgb24").to_ndarray(), np.uint8)


def opened(path: Path) -> tuple[TileIndex, list[Picture]]:
    """The index, and the picture of each level."""
    content = path.read_bytes()
    index = read_index(len(content), lambda start, end: content[start:end])
    levels = []
    for columns, tiles in zip(index.columns, index.tiles, strict=True):
        pictures = [pixels(content[start : start + size]) for start, size in tiles]
        assert [one.shape[:2] for one in pictures[:-1]] == [(ROWS, TILE_COLUMNS)] * (len(pictures) - 1)
        levels.append(np.concatenate(pictures, axis=1))
        assert levels[-1].shape[1] == columns
    return index, levels


def numbers(picture: Picture, palette: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Numbers of colours, ``(rows, columns)``; every colour is one of the palette."""
    weights = np.array([65_536, 256, 1])
    codes, wanted = palette @ weights, picture @ weights
    order = codes.argsort()
    found: NDArray[np.int64] = order[np.searchsorted(codes, wanted, sorter=order).clip(max=len(codes) - 1)]
    assert (codes[found] == wanted).all()
    return found


def row_of(hz: float) -> float:
    """From the top."""

    def mel(frequency: float) -> float:
        return float(np.log10(1 + frequency / 700))

    return ROWS - mel(hz) / mel(RATE / 2) * (ROWS + 1)


@pytest.mark.parametrize("hz", [110.0, 440.0, 3000.0])
def test_a_tone_is_in_its_row_at_its_time(tmp_path: Path, hz: float) -> None:
    samples = np.concatenate([np.zeros((2 * RATE, 2)), tone(hz, 3)])
    write_spectrogram(write(tmp_path / "song", samples), tmp_path / "tiles")
    index, levels = opened(tmp_path / "tiles")
    picture = index.picture
    assert (picture.sample_rate, picture.samples, picture.rows) == (RATE, len(samples), ROWS)
    assert index.columns[0] == -(-len(samples) // picture.samples_per_column)
    shown = numbers(levels[0], colour_map(LEVELS))
    begin = 2 * RATE / picture.samples_per_column
    assert shown[:, : int(begin) - 2].max() == 0
    loud = shown[:, int(begin) + 3 : -3]
    assert (abs(loud.argmax(axis=0) - row_of(hz)) <= 1.5).all()
    level_db = 20 * np.log10(0.5)
    expected = (level_db - FLOOR_DB) / (CEILING_DB - FLOOR_DB) * (LEVELS - 1)
    assert abs(loud.max() - expected) < 3


def test_levels_halve_and_the_topmost_is_one_tile(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_spectrogram(write(tmp_path / "song", rng.uniform(-0.5, 0.5, (23 * RATE, 2))), tmp_path / "tiles")
    index, levels = opened(tmp_path / "tiles")
    assert index.columns[0] > 2 * TILE_COLUMNS and len(index.tiles[-1]) == 1
    for below, above in zip(index.columns, index.columns[1:], strict=False):
        assert above == -(-below // 2)
    fine, coarse = (numbers(level, colour_map(LEVELS)).astype(float) for level in levels[:2])
    pairs = fine[:, : coarse.shape[1] // 2 * 4].reshape(ROWS, -1, 2).max(axis=2)
    assert (coarse[:, : pairs.shape[1]] <= pairs).all() and (coarse[:, : pairs.shape[1]] >= pairs - 3 / 1.2 - 1).all()


@pytest.mark.parametrize("columns", [1, 255, 256, 257, 512, 700])
def test_every_number_of_columns(tmp_path: Path, columns: int) -> None:
    hop = MelBands(RATE).hop
    write_spectrogram(write(tmp_path / "song", tone(1000, 1)[:1].repeat(columns * hop, axis=0)), tmp_path / "tiles")
    index, _ = opened(tmp_path / "tiles")
    assert index.columns[0] == columns and len(index.tiles[-1]) == 1
    assert all(len(tiles) > 1 for tiles in index.tiles[:-1])


def test_columns_do_not_depend_on_blocks() -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (1, 2, 3 * RATE + 77)).astype(np.float32)
    whole, parts = (MelSpectrum(MelBands(RATE), 1, 2) for _ in range(2))
    expected = np.concatenate([whole.process(samples), whole.finish()])
    cut = [parts.process(samples[:, :, start : start + 301]) for start in range(0, samples.shape[2], 301)]
    np.testing.assert_allclose(np.concatenate([*cut, parts.finish()]), expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_what_a_stem_took_is_coloured_and_the_rest_grey(tmp_path: Path, gain: float) -> None:
    stem, rest = tone(500, 4), tone(3000, 4)
    write(tmp_path / "song", stem + rest)
    write(tmp_path / "stem", gain * stem)
    write_taken(tmp_path / "song", tmp_path / "stem", tmp_path / "tiles", gain=gain)
    _, levels = opened(tmp_path / "tiles")
    shown = numbers(levels[0], mixed_map(SONG_LEVELS, SHARES))[:, 4:-4]
    share, level = shown // SONG_LEVELS, shown % SONG_LEVELS
    taken, left = round(row_of(500)), round(row_of(3000))
    assert (share[taken] == SHARES - 1).all() and (share[left] == 0).all()
    assert (level[taken] > 20).all() and (level[left] > 20).all()
    half = write(tmp_path / "half", gain * 0.5 * (stem + rest))
    write_taken(tmp_path / "song", half, tmp_path / "tiles", gain=gain)
    shown = numbers(opened(tmp_path / "tiles")[1][0], mixed_map(SONG_LEVELS, SHARES))[:, 4:-4]
    assert set(np.unique(shown[taken] // SONG_LEVELS)) <= {SHARES // 2 - 1, SHARES // 2}


def test_a_stem_of_another_rate_length_and_channels(tmp_path: Path) -> None:
    write(tmp_path / "song", tone(500, 4.2) + tone(3000, 4.2))
    wave = 0.5 * np.sin(2 * np.pi * 500 * np.arange(4 * 48_000) / 48_000)
    soundfile.write(tmp_path / "stem", wave, 48_000, format="WAV", subtype="FLOAT")
    write_taken(tmp_path / "song", tmp_path / "stem", tmp_path / "tiles", gain=1.0)
    index, levels = opened(tmp_path / "tiles")
    assert index.picture.sample_rate == 48_000 and index.picture.samples == round(4.2 * 48_000)
    share = numbers(levels[0], mixed_map(SONG_LEVELS, SHARES)) // SONG_LEVELS
    loud = share[:, 20:300].max(axis=1)
    assert loud[100:].max() == SHARES - 1 and share[:, -5:].max() <= 1


def test_what_is_no_sound_and_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "page").write_bytes(b"<html>")
    with pytest.raises(UnreadableInputError):
        write_spectrogram(tmp_path / "page", tmp_path / "tiles")
    with pytest.raises(StorageError):
        write_spectrogram(write(tmp_path / "song", tone(500, 1)), tmp_path / "none" / "tiles")


@pytest.mark.parametrize("content", [b"", b"abc", b"\0\0\0\xff", b"\xff\xff\xff\xff"])
def test_what_is_no_tile_file(content: bytes) -> None:
    with pytest.raises(ValueError, match="tile file"):
        read_index(len(content), lambda start, end: content[start:end])


def test_a_png_is_what_was_drawn() -> None:
    palette = np.random.default_rng(0).integers(0, 256, (200, 3)).astype(np.uint8)
    drawn = np.random.default_rng(1).integers(0, 200, (7, 13)).astype(np.uint8)
    np.testing.assert_array_equal(pixels(palette_png(drawn, palette)), palette[drawn])


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from stemwright.audio import spectrogram
from stemwright.audio.colour_map import colour_map

rng = np.random.default_rng(0)
blocks = (rng.uniform(-0.5, 0.5, (1, 2, 65536)).astype(np.float32) for _ in range(int(sys.argv[1])))
spectrogram._write(Path(sys.argv[2]), blocks, 44100, spectrogram._paint_levels, colour_map(64))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_song(tmp_path: Path) -> None:
    def peak_kb(blocks: int) -> int:
        command = [sys.executable, "-c", MEMORY, str(blocks), str(tmp_path / "tiles")]
        return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    assert peak_kb(100) < 1.1 * peak_kb(20)
