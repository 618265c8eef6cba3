"""``stemwright separate``: separates songs into stems."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stemwright.cli.common_options import (
    FILES_PANEL,
    OUTPUT_PANEL,
    PROCESSING_PANEL,
    DeviceOption,
    License,
    MaxMinutes,
    Plan,
    Threads,
    positive_seconds,
    seconds,
)
from stemwright.errors import CancelledError, StemwrightError
from stemwright.separation.options import FormatName, Options

if TYPE_CHECKING:
    from stemwright.cli.interrupt import InterruptHandler
    from stemwright.cli.progress_display import ProgressDisplay
    from stemwright.cli.song_inputs import SongInput
    from stemwright.separation.offer import Offer
    from stemwright.separation.result import Result
    from stemwright.separation.separator import Separator


def separate(
    songs: Annotated[
        list[str],
        typer.Argument(
            metavar="SONG", help="Audio files, folders (searched with all subfolders), or - for standard input."
        ),
    ],
    stems: Annotated[
        str,
        typer.Option(
            metavar="two|twelve|NAME[,NAME...]",
            help="two: vocals (all singing) and instrumental. twelve: vocals, backing_vocals, drums, bass, guitar, "
            "keyboard, strings, brass, woodwinds, percussion, synth, fx. A list of these: those stems, and the rest as "
            "residual.",
            rich_help_panel=FILES_PANEL,
        ),
    ] = "two",
    playing: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME...]",
            help="The stems that play in the song, if you know them. The others are left silent, and their sound goes to "
            "those that play: a guitar is then not split among keyboard, strings and synth. vocals stands for all "
            "singing. Default: the networks decide.",
            rich_help_panel=FILES_PANEL,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Output folder; stems are DIR/<song name>/<stem>.<format>.", rich_help_panel=FILES_PANEL
        ),
    ] = Path("stems"),
    format: Annotated[FormatName, typer.Option(help="File format of the stems.", rich_help_panel=FILES_PANEL)] = "wav",
    bit_depth: Annotated[
        Literal["16", "24", "32"] | None,
        typer.Option(
            help="Bits per sample; 32 is float, for wav and aiff. Default: that of the input, 24 for lossy input.",
            rich_help_panel=FILES_PANEL,
        ),
    ] = None,
    bitrate: Annotated[
        int | None,
        typer.Option(
            metavar="KBPS",
            min=1,
            help="Constant bit rate of a lossy format in kbit/s. Default: variable, at high quality.",
            rich_help_panel=FILES_PANEL,
        ),
    ] = None,
    start: Annotated[
        float,
        typer.Option(metavar="S", parser=seconds, help="Start S seconds into the song.", rich_help_panel=FILES_PANEL),
    ] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            parser=positive_seconds,
            help="Separate only S seconds. Default: up to the end.",
            rich_help_panel=FILES_PANEL,
        ),
    ] = None,
    plan: Plan = "auto",
    max_minutes: MaxMinutes = None,
    denoise: Annotated[
        bool,
        typer.Option(
            "--denoise",
            help="First remove noise, with a network of its own. It counts as fx, so of two stems the instrumental has it.",
            rich_help_panel=PROCESSING_PANEL,
        ),
    ] = False,
    device: DeviceOption = "auto",
    threads: Threads = None,
    license: License = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue an interrupted run of the same command.", rich_help_panel=PROCESSING_PANEL
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace existing stems. Default: keep stems of an identical earlier run.",
            rich_help_panel=PROCESSING_PANEL,
        ),
    ] = False,
    json_lines: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object per song on standard output.", rich_help_panel=OUTPUT_PANEL),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.", rich_help_panel=OUTPUT_PANEL)] = False,
) -> None:
    """Separates songs into stems, which add up to the song, with its sample rate, length and bit depth.

    Examples:

      stemwright separate song.mp3

      stemwright separate album/ --stems twelve --format flac --out parts

      stemwright separate song.wav --stems drums,bass --start 60 --duration 30

      stemwright separate song.wav --stems twelve --playing vocals,drums,bass,guitar

      stemwright separate song.wav --stems twelve --plan best --license permissive

      curl -s https://example.org/song.mp3 | stemwright separate - --json
    """
    from stemwright.cli.interrupt import InterruptHandler
    from stemwright.cli.model_download import download_missing
    from stemwright.cli.progress_display import progress_display
    from stemwright.cli.song_inputs import SongInput, find_songs
    from stemwright.cpu_memory_limits import cores, limit_blas

    limit_blas(threads or cores())  # before the separator imports NumPy, which reads the limit then

    from stemwright.separation.separator import Separator
    from stemwright.stems import select

    select(stems, playing)  # an unknown stem ends the run before the model is loaded
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
        playing=playing,
    )
    found = find_songs(songs, out)
    reporter = _ResultReporter(json_lines=json_lines, quiet=quiet)
    separator: Separator | None = None
    with InterruptHandler(quiet=quiet) as interrupt:
        for index, song in enumerate(found):
            count = f"[{index + 1}/{len(found)}] " if len(found) > 1 else ""
            if not isinstance(song, SongInput):
                reporter.failed(song.source, song.error)
                continue
            try:
                if separator is None:
                    loaded = Separator(
                        plan,
                        device=device,
                        threads=threads,
                        licence=license,
                        max_minutes=max_minutes,
                        denoise=denoise,
                    )
                    download_missing(loaded, stems, quiet=quiet, is_cancelled=interrupt.is_set)
                    separator = loaded
                with progress_display(quiet=quiet) as display:
                    display.start(f"{count}{song.name}")
                    result = _separate(separator, song, options, display, interrupt)
            except CancelledError as error:
                reporter.failed(song.source, error)
                break
            except StemwrightError as error:
                if separator is None:
                    raise  # without a model no song can be separated
                reporter.failed(song.source, error)
            else:
                reporter.succeeded(result)
    reporter.tell_better()
    if reporter.exit_code:
        raise typer.Exit(reporter.exit_code)


def _separate(
    separator: Separator, song: SongInput, options: Options, display: ProgressDisplay, interrupt: InterruptHandler
) -> Result:
    from stemwright.cli.song_inputs import open_song

    with open_song(song) as path, interrupt.deferred():
        result = separator.separate_file(
            path, options, name=song.name, on_progress=display.update, is_cancelled=interrupt.is_set
        )
    return replace(result, input=song.source)


class _ResultReporter:
    """Prints the result of each song, and keeps the exit code, that of the first failure."""

    def __init__(self, *, json_lines: bool, quiet: bool) -> None:
        self._json_lines = json_lines
        self._quiet = quiet
        self._better: Offer | None = None
        self.exit_code = 0

    def succeeded(self, result: Result) -> None:
        """Prints the result of a song."""
        from stemwright.formatting import json_text

        self._better = result.better

        if self._json_lines:
            typer.echo(json_text(result.to_dict()))
        elif not self._quiet:
            from stemwright.cli.tables import print_result

            print_result(result)

    def tell_better(self) -> None:
        """Says once, in one line, that a better plan is one step away."""
        from stemwright.cli.streams import print_error_line

        if self._better is not None and not self._quiet:
            print_error_line(str(self._better))

    def failed(self, source: str, error: StemwrightError) -> None:
        """Prints an error. The exit code of an interruption replaces that of earlier failures."""
        from stemwright.formatting import json_text, printable

        if self._json_lines:
            typer.echo(json_text({"input": source, "error": str(error), "exit_code": error.exit_code}))
        typer.echo(f"error: {printable(str(error))}", err=True)
        if not self.exit_code or isinstance(error, CancelledError):
            self.exit_code = error.exit_code
