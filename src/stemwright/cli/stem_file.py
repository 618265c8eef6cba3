"""``stemwright stem-file``: the stems of a song as one ``.stem.mp4``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stemwright.stem_groups import Group


def stem_file(
    song_dir: Annotated[Path, typer.Argument(metavar="SONG_DIR", help="Folder with the stems of one song.")],
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:STEM,STEM", help="A group; give four. Default: Drums, Bass, Other, Vocals."),
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="ALAC with 24 bits in place of AAC.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="MP4", help="File to write. Default: SONG_DIR/NAME.stem.mp4.")
    ] = None,
) -> None:
    """Writes the mix and four groups of stems into one file for DJ software (Native Instruments' Stems).

    Example:

      stemwright stem-file stems/song
    """
    from stemwright import arguments
    from stemwright.audio.stem_mp4 import StemGroup, write_stem_mp4
    from stemwright.errors import UnreadableInputError, UsageError
    from stemwright.sound_files import is_sound_file
    from stemwright.stem_groups import COLOURS, N_GROUPS, usual_groups

    song_dir = arguments.path(song_dir, "SONG_DIR")
    if not song_dir.is_dir():
        raise UnreadableInputError(f"'{song_dir}' is not a folder; name the folder of one song's stems.")
    files = {
        path.stem: path
        for path in sorted(song_dir.iterdir())
        if is_sound_file(path) and not path.name.endswith(".stem.mp4")
    }
    if not files:
        raise UnreadableInputError(f"'{song_dir}' contains no audio files; give the folder of one song's stems.")
    groups = [_read_group(text) for text in group or []] or list(usual_groups(files))
    if len(groups) != N_GROUPS:
        raise UsageError(f"There are {len(groups)} groups: give --group four times, or not at all.")
    placed = [name for one in groups for name in one.stems]
    for name in placed:
        if name not in files:
            raise UsageError(f"'{song_dir}' has no stem named '{name}': it has {', '.join(files)}.")
    wrong = sorted({name for name in files if placed.count(name) != 1})
    if wrong:
        raise UsageError(f"Put {', '.join(wrong)} into one group each: --group NAME:STEM,STEM.")
    name = song_dir.resolve().name
    path = song_dir / f"{name}.stem.mp4" if out is None else arguments.path(out, "--out")
    described = [
        StemGroup(one.name, colour, tuple(files[stem] for stem in one.stems))
        for one, colour in zip(groups, COLOURS, strict=True)
    ]
    part = path.with_name(f".{path.name}.part")
    try:
        write_stem_mp4(described, part, codec="alac" if lossless else "aac", title=name)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    typer.echo(str(path))


def _read_group(text: str) -> Group:
    from stemwright.errors import UsageError
    from stemwright.stem_groups import Group

    name, colon, stems = text.rpartition(":")
    if not colon or not name.strip():
        raise UsageError(f"--group {text} cannot be read: write NAME:STEM,STEM, such as Drums:drums,percussion.")
    return Group(name.strip(), tuple(stem.strip() for stem in stems.split(",") if stem.strip()))
