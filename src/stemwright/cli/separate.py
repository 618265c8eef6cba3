"""``stemwright separate``: songs in, stems out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stemwright.cli.common_options import OUTPUT, SOUND, WORK, DeviceOption, License, Plan, Threads, length, seconds
from stemwright.errors import CancelledError, StemwrightError
from stemwright.separation.options import FormatName, Options

if TYPE_CHECKING:
    from stemwright.cli.interrupt import Interrupt
    from stemwright.cli.progress_display import Meter
    from stemwright.cli.song_inputs import SongInput
    from stemwright.separation.result import Result
    from stemwright.separation.separator import Separator


def separate(
    songs: Annotated[
        list[str],
        typer.Argument(
            metavar="SONG", help="Sound files, folders of them (with all folders below), or - for standard input."
        ),
    ],
    stems: Annotated[
        str,
        typer.Option(
            metavar="two|twelve|NAME[,NAME...]",
            help="two: vocals (all singing) and instrumental. twelve: every stem. A list: those stems and the residual.",
            rich_help_panel=SOUND,
        ),
    ] = "two",
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Stems land in DIR/<song name>/<stem>.<format>.", rich_help_panel=SOUND),
    ] = Path("stems"),
    format: Annotated[FormatName, typer.Option(help="File format of the stems.", rich_help_panel=SOUND)] = "wav",
    bit_depth: Annotated[
        Literal["16", "24", "32"] | None,
        typer.Option(
            help="Bits a sample; 32 is float, for wav and aiff. Default: the input's, 24 for lossy input.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    bitrate: Annotated[
        int | None,
        typer.Option(
            metavar="KBPS",
            min=1,
            help="Constant kbit/s of a lossy format. Default: a good variable one.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    start: Annotated[
        float,
        typer.Option(metavar="S", parser=seconds, help="Begin S seconds into the song.", rich_help_panel=SOUND),
    ] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="S", parser=length, help="Take S seconds of it. Default: the rest.", rich_help_panel=SOUND
        ),
    ] = None,
    plan: Plan = "fast",
    device: DeviceOption = "auto",
    threads: Threads = None,
    license: License = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Take up what a broken run left.", rich_help_panel=WORK)
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Make stems anew that are there already; else they are kept.", rich_help_panel=WORK
        ),
    ] = False,
    json_lines: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object a song on standard output.", rich_help_panel=OUTPUT),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Separates songs into stems that add up to the song, at its own rate, length and bit depth.

    Examples:

      stemwright separate song.mp3

      stemwright separate album/ --stems twelve --format flac --out parts

      stemwright separate song.wav --stems drums,bass --start 60 --duration 30

      stemwright separate song.wav --stems twelve --plan best --license permissive

      curl -s https://example.org/song.mp3 | stemwright separate - --json
    """
    from stemwright.cli.interrupt import Interrupt
    from stemwright.cli.model_download import prepare
    from stemwright.cli.progress_display import meter
    from stemwright.cli.song_inputs import SongInput, find_songs
    from stemwright.cpu_memory_limits import cores, limit_blas

    limit_blas(threads or cores())  # NumPy reads it when it is imported, with the separator

    from stemwright.separation.separator import Separator
    from stemwright.stems import select

    select(stems)  # an unknown stem ends the run before the model is loaded
    options = Options(
        stems=stems,
        out=out,
        format=format,
        bit_depth=None if bit_depth is None else int(bit_depth),
        bitrate_kbps=bitrate,
        start_s=start,
        duration_s=duration,
        resume=resume,
        overwrite=overwrite,
    )
    found = find_songs(songs, out)
    teller = _Teller(json_lines=json_lines, quiet=quiet)
    separator: Separator | None = None
    with Interrupt(quiet=quiet) as interrupt:
        for index, song in enumerate(found):
            count = f"[{index + 1}/{len(found)}] " if len(found) > 1 else ""
            if not isinstance(song, SongInput):
                teller.failed(song.named, song.error)
                continue
            try:
                if separator is None:
                    loaded = Separator(plan, device=device, threads=threads, licence=license)
                    prepare(loaded, stems, quiet=quiet, is_cancelled=interrupt.is_set)
                    separator = loaded
                with meter(quiet=quiet) as shown:
                    shown.start(f"{count}{song.name}")
                    result = _separate(separator, song, options, shown, interrupt)
            except CancelledError as error:
                teller.failed(song.named, error)
                break
            except StemwrightError as error:
                if separator is None:
                    raise  # without a model no song can be separated
                teller.failed(song.named, error)
            else:
                teller.done(result)
    if teller.exit_code:
        raise typer.Exit(teller.exit_code)


def _separate(separator: Separator, song: SongInput, options: Options, shown: Meter, interrupt: Interrupt) -> Result:
    from stemwright.cli.song_inputs import opened

    with opened(song) as path, interrupt.patience():
        result = separator.separate_file(
            path, options, name=song.name, on_progress=shown.update, is_cancelled=interrupt.is_set
        )
    return replace(result, input=song.named)


class _Teller:
    """Says what became of each song, and keeps the exit code: that of the first failure."""

    def __init__(self, *, json_lines: bool, quiet: bool) -> None:
        self._json_lines = json_lines
        self._quiet = quiet
        self.exit_code = 0

    def done(self, result: Result) -> None:
        """One song is separated."""
        from stemwright.formatting import json_text

        if self._json_lines:
            typer.echo(json_text(result.to_dict()))
        elif not self._quiet:
            from stemwright.cli.tables import print_result

            print_result(result)

    def failed(self, named: str, error: StemwrightError) -> None:
        """One song is not. An interruption counts more than the failures before it."""
        from stemwright.formatting import json_text, printable

        if self._json_lines:
            typer.echo(json_text({"input": named, "error": str(error), "exit_code": error.exit_code}))
        typer.echo(f"error: {printable(str(error))}", err=True)
        if not self.exit_code or isinstance(error, CancelledError):
            self.exit_code = error.exit_code
