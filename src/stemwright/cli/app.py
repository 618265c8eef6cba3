"""The ``stemwright`` command: its groups, and what becomes of errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from stemwright.cli import credits, doctor, evaluate, keys, models, operator, plot, quota, separate, serve
from stemwright.cli.help_sections import Sectioned, Summarised
from stemwright.errors import CancelledError, StemwrightError
from stemwright.formatting import printable

HELP = """Splits a finished song into its stems: vocals and instrumental, or twelve parts, on your own machine.

Examples:

  stemwright separate song.mp3                 vocals and instrumental

  stemwright separate song.mp3 --stems twelve  twelve files in place of two

  stemwright doctor                            how fast this machine is
"""

EXIT_CODES = (
    "Exit codes: 0 done, 2 wrong usage, 3 unreadable input, 4 model unavailable, 5 no room or no permission to write, "
    "130 interrupted."
)


class Commands(Summarised):
    """Turns expected errors into one line on standard error and an exit code; others keep their traceback."""

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
    cls=Commands,
    help=HELP,
    epilog=EXIT_CODES,
    rich_markup_mode=None,  # loading rich takes longer than all the rest
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
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
    doctor.doctor,
    evaluate.evaluate,
    plot.plot,
    serve.serve,
    operator.maintenance,
    operator.tracks,
    operator.tasks,
    operator.backup,
    quota.quota,
)
for command in COMMANDS:  # each has the name of its function
    app.command(cls=Sectioned, epilog=EXIT_CODES)(command)
app.add_typer(models.app, name="models", epilog=EXIT_CODES)
app.add_typer(keys.app, name="keys")
app.add_typer(credits.app, name="credits")
