"""``stemwright plot``: draws the stems of a song."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plot(
    song_dir: Annotated[Path, typer.Argument(metavar="SONG_DIR", help="Folder with the stems of one song.")],
    out: Annotated[Path | None, typer.Option(metavar="PNG", help="File to write. Default: SONG_DIR/stems.png.")] = None,
) -> None:
    """Draws the waveforms and spectrograms of all stems of a song into one PNG.

    Spectrograms have a logarithmic frequency axis and one scale of 80 dB for all stems. Drawing needs Matplotlib:
    pip install 'stemwright[plot]'.

    Example:

      stemwright plot stems/song
    """
    from stemwright import arguments
    from stemwright.plot.song_folder_reader import read_stem_plots
    from stemwright.plot.stem_picture import check_matplotlib, draw

    check_matplotlib()
    song_dir = arguments.path(song_dir, "SONG_DIR")
    path = song_dir / "stems.png" if out is None else arguments.path(out, "--out")
    draw(song_dir.resolve().name, read_stem_plots(song_dir), path)
    typer.echo(str(path))
