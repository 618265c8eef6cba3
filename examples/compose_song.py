"""Composes, renders, mixes and writes the example song.

On the same machine every run gives the same file. examples/README.md lists the packages that it needs.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile

from examples.song import ensemble, mix, singers
from examples.song.score import TITLE
from stemwright.audio.ffmpeg_writer import FFmpegWriter
from stemwright.audio.formats import OutputFormat
from stemwright.stems import STEMS
from training.rendering.effects import SAMPLE_RATE_HZ, Audio

TAGS = {
    "title": TITLE,
    "artist": "Stemwright",
    "comment": "Composed and rendered by Stemwright's examples/compose_song.py. Licence: CC0 1.0",
}
BLOCK = 1 << 16


def render() -> dict[str, Audio]:
    """The song's stems as they are in the finished mix, which is their sum; ``(2, samples)`` each, at 44.1 kHz."""
    parts = {"vocals": singers.lead, "backing_vocals": singers.backing, **ensemble.BAND}
    return mix.master({stem: mix.channel(stem, parts[stem]()) for stem in STEMS})


def write_mp3(audio: Audio, path: Path, bitrate_kbps: int = 192) -> None:
    """Writes ``(2, samples)`` as a tagged MP3 of constant bit rate."""
    writer = FFmpegWriter(path, OutputFormat("mp3", "mp3", None, bitrate_kbps, False), SAMPLE_RATE_HZ, 2, TAGS)
    try:
        for start in range(0, audio.shape[1], BLOCK):
            writer.write(audio[:, start : start + BLOCK])
    finally:
        writer.close()


def write_stems(stems: dict[str, Audio], folder: Path) -> None:
    """Writes each stem as ``<folder>/<stem>.flac``, 24 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, audio in stems.items():
        soundfile.write(folder / f"{stem}.flac", audio.T, SAMPLE_RATE_HZ, subtype="PCM_24")  # (2, n) -> (n, 2)


def main() -> None:
    """Writes the song, and its true stems if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("song.mp3"), help="the MP3 to write")
    parser.add_argument("--stems", type=Path, help="folder for the true stems, for stemwright evaluate")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    stems = render()
    write_mp3(np.sum(list(stems.values()), axis=0), options.out)
    if options.stems:
        write_stems(stems, options.stems)


if __name__ == "__main__":
    main()
