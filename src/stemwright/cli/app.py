"""The ``stemwright`` command: its subcommands, and how errors are reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from stemwright.cli import (
    administration,
    batch,
    credits,
    doctor,
    evaluate,
    keys,
    migrate,
    models,
    plot,
    quota,
    separate,
    serve,
    setup,
    stem_file,
    storage,
    stretch,
    worker,
)
from stemwright.cli.help_sections import SectionedCommand, SummaryGroup, narrow_width
from stemwright.errors import CancelledError, StemwrightError
from stemwright.formatting import printable

HELP = """Separates a mixed song into stems: vocals and instrumental, or twelve instruments. It runs on your own machine.

Examples:

  stemwright separate song.mp3                 vocals and instrumental

  stemwright separate song.mp3 --stems twelve  twelve stems instead of two

  stemwright setup                             better plans for this machine, and what they cost

  stemwright doctor                            check the installation and its speed
"""

EXIT_CODES = (
    "Exit codes: 0 done, 2 wrong usage, 3 unreadable input, 4 model unavailable, 5 disk full or not writable, "
    "130 interrupted."
)


class RootGroup(SummaryGroup):
    """Reports expected errors as one line on standard error and an exit code; other errors keep their traceback."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context; commands below it have its width."""
        return super().make_context(info_name, args, parent, terminal_width=narrow_width(), **extra)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except StemwrightError as error:
            typer.echo(f"error: {printable(str(error))}", err=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            typer.echo("error: Interrupted.", err=True)
            raise typer.Exit(CancelledError.exit_code) from error


app = typer.Typer(
    cls=RootGroup,
    help=HELP,
    epilog=EXIT_CODES,
    rich_markup_mode=None,  # importing rich takes longer than everything else
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
        import stemwright

        typer.echo(f"stemwright {stemwright.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


COMMANDS: tuple[Callable[..., None], ...] = (
    separate.separate,
    batch.batch,
    setup.setup,
    doctor.doctor,
    evaluate.evaluate,
    plot.plot,
    stem_file.stem_file,
    stretch.stretch,
    serve.serve,
    worker.worker,
    worker.workers,
    administration.maintenance,
    administration.tracks,
    administration.tasks,
    administration.backup,
    migrate.migrate,
    quota.quota,
    storage.storage,
)
for command in COMMANDS:  # each has the name of its function
    app.command(cls=SectionedCommand, epilog=EXIT_CODES)(command)
app.add_typer(models.app, name="models", epilog=EXIT_CODES)
app.add_typer(keys.app, name="keys")
app.add_typer(credits.app, name="credits")
