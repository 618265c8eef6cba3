"""Draws the README's picture of a song and its stems.

All waveforms have the same scale. Amplitudes are drawn as square roots, so that quiet stems are visible beside loud ones.
"""

import argparse
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve
from PIL import Image

from stemwright.audio.decode import Decoder
from stemwright.plot.song_folder_reader import read_stem_plots
from stemwright.plot.stem_picture import COLOURS, FAINT, INK
from stemwright.plot.waveform_summary import WaveformSummary, summary

WIDTH_IN, HEIGHT_IN, DPI = 12.0, 5.4, 110
COLUMNS = 600
SONG_LEFT, SONG_WIDTH = 0.02, 0.27
STEMS_LEFT, STEMS_WIDTH = 0.50, 0.485
MARGIN = 0.02


def draw(song: Path, stems: Path, picture: Path) -> None:
    """Writes the picture as a PNG with a palette, which is a third of the size."""
    with Decoder(song) as decoder:
        mix = summary(decoder, decoder.format.sample_rate)
    stem_plots = read_stem_plots(stems)
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    whole: Axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    whole.set_xlim(0.0, 1.0)
    whole.set_ylim(0.0, 1.0)
    whole.axis("off")
    row = (1.0 - 2 * MARGIN) / len(stem_plots)
    reach = np.sqrt(max(mix.highs.max(), -mix.lows.min()))
    _wave(figure.add_axes((SONG_LEFT, 0.28, SONG_WIDTH, 0.44)), mix, INK, reach)
    whole.text(SONG_LEFT + SONG_WIDTH / 2, 0.76, song.name, ha="center", color=INK, fontsize=15, fontweight="bold")
    for index, stem_plot in enumerate(stem_plots):
        middle = 1.0 - MARGIN - (index + 0.5) * row
        colour = COLOURS[stem_plot.name]
        start, end = SONG_LEFT + SONG_WIDTH + 0.005, STEMS_LEFT - 0.125
        bend = (start + end) / 2
        points = [(start, 0.5), (bend, 0.5), (bend, middle), (end, middle)]
        codes = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
        whole.add_patch(PathPatch(Curve(points, codes), facecolor="none", edgecolor=colour, linewidth=1.4, alpha=0.7))
        name = stem_plot.name.replace("_", " ")
        whole.text(
            STEMS_LEFT - 0.012, middle, name, ha="right", va="center", color=colour, fontsize=11, fontweight="bold"
        )
        _wave(figure.add_axes((STEMS_LEFT, middle - row / 2, STEMS_WIDTH, row)), stem_plot.summary, colour, reach)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(picture, optimize=True)


def _wave(axis: Axes, shape: WaveformSummary, colour: str, reach: float) -> None:
    merged = max(1, len(shape.lows) // COLUMNS)
    n = len(shape.lows) // merged * merged
    lows = -np.sqrt(np.maximum(-shape.lows[:n].reshape(-1, merged).min(axis=1), 0.0))
    highs = np.sqrt(np.maximum(shape.highs[:n].reshape(-1, merged).max(axis=1), 0.0))
    at = np.arange(len(lows))
    axis.fill_between(at, lows, highs, color=colour, linewidth=0)
    axis.axhline(0.0, color=FAINT, linewidth=0.4, zorder=0)
    axis.set_xlim(0, len(at))
    axis.set_ylim(-1.02 * reach, 1.02 * reach)
    axis.axis("off")


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("song", type=Path)
    parser.add_argument("stems", type=Path, help="the folder of its stems")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    options = parser.parse_args()
    draw(options.song, options.stems, options.picture)


if __name__ == "__main__":
    main()
