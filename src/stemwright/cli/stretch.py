"""``stemwright stretch``: the stems of a song at another speed or in another key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemwright.speed_and_key import SEMITONES, SPEEDS

if TYPE_CHECKING:
    from stemwright.audio.frame import Block
    from stemwright.audio.stretch import Signals


def stretch(
    song_dir: Annotated[Path, typer.Argument(metavar="SONG_DIR", help="Folder with the stems of one song.")],
    speed: Annotated[
        float, typer.Option(min=SPEEDS[0], max=SPEEDS[1], help="0.5 is half as fast; the pitch stays.")
    ] = 1.0,
    semitones: Annotated[
        float, typer.Option(min=SEMITONES[0], max=SEMITONES[1], help="Transposes; the speed stays.")
    ] = 0.0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to write. Default: SONG_DIR with the change in its name.")
    ] = None,
) -> None:
    """Writes the stems of a song at another speed, in another key, or both, as WAV files of 32-bit floats.

    All stems are changed together, so they stay aligned to the sample and add up to the changed song.

    Example:

      stemwright stretch stems/song --speed 0.75
    """
    from contextlib import ExitStack

    from stemwright import arguments
    from stemwright.audio.decode import Decoder
    from stemwright.audio.encode import Encoder, Tags
    from stemwright.audio.formats import OutputFormat
    from stemwright.audio.stretch import stretched
    from stemwright.errors import UnreadableInputError, UsageError, storage_error
    from stemwright.sound_files import is_sound_file

    song_dir = arguments.path(song_dir, "SONG_DIR")
    if not song_dir.is_dir():
        raise UnreadableInputError(f"'{song_dir}' is not a folder; name the folder of one song's stems.")
    files = [path for path in sorted(song_dir.iterdir()) if is_sound_file(path) and not path.name.endswith(".stem.mp4")]
    if not files:
        raise UnreadableInputError(f"'{song_dir}' contains no audio files; give the folder of one song's stems.")
    if speed == 1 and semitones == 0:
        raise UsageError("Nothing would change: give --speed, --semitones or both.")
    folder = _usual_folder(song_dir, speed, semitones) if out is None else arguments.path(out, "--out")
    if folder.resolve() == song_dir.resolve():
        raise UsageError(f"'{folder}' is the folder of the stems: give another --out.")
    fmt = OutputFormat("wav", "wav", 32, None, lossless=True)
    with ExitStack() as stack:
        decoders = [stack.enter_context(Decoder(path)) for path in files]
        rates = sorted({decoder.format.sample_rate for decoder in decoders})
        if len(rates) > 1:
            raise UsageError(f"The stems have {' and '.join(map(str, rates))} Hz: give stems of one song.")
        channels = max(decoder.format.channels for decoder in decoders)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, folder) from error
        encoders = [
            stack.enter_context(
                Encoder(
                    folder / f"{path.stem}.wav",
                    fmt,
                    sample_rate=rates[0],
                    channels=channels,
                    tags=Tags(song_dir.resolve().name, None, None, path.stem),
                )
            )
            for path in files
        ]
        for block in stretched(_together(decoders, channels), rates[0], speed=speed, semitones=semitones):
            for encoder, signal in zip(encoders, block, strict=True):
                if signal.shape[1]:
                    encoder.write(signal)
    typer.echo(str(folder))


def _together(decoders: Sequence[Iterator[Block]], channels: int) -> Iterator[Signals]:
    import numpy as np

    from stemwright.audio.in_step import in_step

    for blocks in in_step(decoders, channels):
        yield np.stack(blocks)


def _usual_folder(song_dir: Path, speed: float, semitones: float) -> Path:
    changes = [f"{speed:g}x"] if speed != 1 else []
    if semitones:
        changes.append(f"{semitones:+g}")
    song_dir = song_dir.resolve() if not song_dir.name else song_dir
    return song_dir.with_name(f"{song_dir.name} {' '.join(changes)}")
