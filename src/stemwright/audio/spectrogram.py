"""Spectrograms of a sound file as PNG tiles, and the picture of what a stem took of its song."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.colour_map import colour_map, mixed_map
from stemwright.audio.decode import Decoder
from stemwright.audio.in_step import in_step
from stemwright.audio.mel_spectrum import ROWS, MelBands, MelSpectrum, Powers, Samples
from stemwright.audio.resample import Resampler
from stemwright.audio.tile_file import Painter, TileWriter
from stemwright.audio.tile_index import Picture

FLOOR_DB = -80.0
CEILING_DB = -4.0
"""Power in dB of a sine at full scale that has the darkest and the brightest colour."""

LEVELS = 64
"""Colours of a spectrogram; 256 would look the same, and take half as much room again."""
SONG_LEVELS, SHARES = 32, 8
"""Colours of the picture of what was taken: levels of the song, times shares of the stem."""

SILENCE = 1e-12


def write_spectrogram(sound: Path, out: Path) -> None:
    """Writes the tile file of a sound file's spectrogram.

    Raises:
        UnreadableInputError: it is no sound file.
        StorageError: no room for the tiles.
    """
    with Decoder(sound) as decoder:
        blocks = (block[None] for block in decoder)
        _write(out, blocks, decoder.format.sample_rate, _paint_levels, colour_map(LEVELS))


def write_taken(song: Path, stem: Path, out: Path, *, gain: float) -> None:
    """Writes the tile file of a song's spectrogram in grey, coloured by the share of a stem in each point.

    Args:
        song: the song that was separated.
        stem: the stem, of the same length; a lossy one may have another rate.
        gain: the factor with which the stem was written.

    Raises:
        UnreadableInputError: one is no sound file.
        StorageError: no room for the tiles.
    """
    with Decoder(song) as song_decoder, Decoder(stem) as stem_decoder:
        rate = stem_decoder.format.sample_rate
        channels = max(song_decoder.format.channels, stem_decoder.format.channels)
        whole = _at_rate(song_decoder, rate)
        blocks = (
            np.stack([mix * gain, part, mix * gain - part])
            for mix, part in in_step([whole, iter(stem_decoder)], channels)
        )
        _write(out, blocks, rate, _paint_shares, mixed_map(SONG_LEVELS, SHARES))


def _write(out: Path, blocks: Iterator[Samples], sample_rate: int, paint: Painter, palette: NDArray[np.uint8]) -> None:
    """Writes the tiles of blocks ``(signals, channels, samples)``."""
    bands = MelBands(sample_rate)
    spectrum: MelSpectrum | None = None
    samples = 0
    with TileWriter(out, paint, palette) as writer:
        for block in blocks:
            if spectrum is None:
                spectrum = MelSpectrum(bands, block.shape[0], block.shape[1])
            samples += block.shape[2]
            writer.write(spectrum.process(block))
        if spectrum is not None:
            writer.write(spectrum.finish())
        picture = Picture(sample_rate, samples, bands.hop, ROWS, bands.highest_hz, FLOOR_DB, CEILING_DB)
        writer.finish(picture)


def _at_rate(decoder: Decoder, rate: int) -> Iterator[Samples]:
    resampler = Resampler(decoder.format.sample_rate, rate, decoder.format.channels)
    for block in decoder:
        yield resampler.process(block)
    yield resampler.process(np.zeros((decoder.format.channels, 0), np.float32), last=True)


def _levels(power: Powers, n_levels: int) -> NDArray[np.intp]:
    """Numbers from 0 to ``n_levels - 1`` by the level in dB."""
    db = 10 * np.log10(power + SILENCE)
    scaled = (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)
    numbers: NDArray[np.intp] = np.rint(np.clip(scaled, 0, 1) * (n_levels - 1)).astype(np.intp)
    return numbers


def _paint_levels(powers: Powers) -> NDArray[np.uint8]:
    return _levels(powers[:, 0], LEVELS).T[::-1].astype(np.uint8)


def _paint_shares(powers: Powers) -> NDArray[np.uint8]:
    mix, stem, rest = powers[:, 0], powers[:, 1], powers[:, 2]
    share = stem / (stem + rest + SILENCE)
    numbers = np.rint(share * (SHARES - 1)).astype(np.intp) * SONG_LEVELS + _levels(mix, SONG_LEVELS)
    painted: NDArray[np.uint8] = numbers.T[::-1].astype(np.uint8)
    return painted
