"""``stemwright batch``: separates whole libraries, on as many hosts as there are, without a server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemwright.cli.common_options import (
    FILES_PANEL,
    OUTPUT_PANEL,
    PROCESSING_PANEL,
    DeviceOption,
    Plan,
)
from stemwright.errors import UsageError
from stemwright.separation.options import FormatName

if TYPE_CHECKING:
    from collections.abc import Callable

    from stemwright.batch.options import BatchOptions
    from stemwright.batch.places import Source, Target
    from stemwright.batch.worker_main import WorkerConfig
    from stemwright.database.engine import Database
    from stemwright.settings import Settings

LISTING_INTERVAL_S = 10.0
STOPPING_MESSAGE = b"\nStopping at the next chunk; the same command goes on from there. Press again to stop at once.\n"
JOBS_PANEL = "Work"


def batch(
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="Folder of songs, searched with all subfolders, or s3://bucket/prefix.")
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="DST",
            help="Folder or s3://bucket/prefix of the stems; those of SRC/rock/song.mp3 are DST/rock/song.mp3/vocals.wav.",
        ),
    ],
    stems: Annotated[
        str,
        typer.Option(metavar="two|twelve|NAME[,NAME...]", help="As for separate.", rich_help_panel=FILES_PANEL),
    ] = "two",
    format: Annotated[FormatName, typer.Option(help="File format of the stems.", rich_help_panel=FILES_PANEL)] = "wav",
    plan: Plan = "auto",
    device: DeviceOption = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="CPU threads of each process. Default: its share of the available cores.",
            rich_help_panel=PROCESSING_PANEL,
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=256,
            help="Processes on this host, each with its own model in memory.",
            rich_help_panel=JOBS_PANEL,
        ),
    ] = 1,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Try songs again that failed in an earlier run.", rich_help_panel=JOBS_PANEL
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say how many songs are new, changed, done and failed; write nothing.",
            rich_help_panel=JOBS_PANEL,
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.", rich_help_panel=OUTPUT_PANEL)] = False,
) -> None:
    """Separates a whole library: each song once, on any number of hosts, without a server.

    Run the same command again after a stop or a crash: it does what is left, and what is new or has changed. Run it on
    several hosts at once and they share the songs through the PostgreSQL database of STEMWRIGHT_DATABASE_URL; without
    it one host keeps its records in SQLite, in DST/.stemwright-batch. Songs that fail do not stop the others: DST gets
    manifest.jsonl (digests and facts of each song that is done) and failures.jsonl (what failed, why, and what helps).

    Examples:

      stemwright batch music/ stems/ --dry-run

      stemwright batch music/ stems/ --stems twelve --format flac --jobs 4

      export STEMWRIGHT_DATABASE_URL=postgresql://USER:PASSWORD@HOST/DATABASE

      stemwright batch s3://library/music s3://library/stems --plan best --device cuda

      stemwright batch music/ stems/ --retry-failed
    """
    from stemwright.batch.options import BatchOptions
    from stemwright.batch.places import open_places
    from stemwright.cli.data_folder import load_settings
    from stemwright.stems import select

    stems = select(stems).mode
    settings = load_settings()
    from_place, to_place = open_places(source, target)
    options = BatchOptions(from_place.name, stems, plan, format)
    url = _database_url(settings, to_place)
    if dry_run:
        _tell_what_is_left(settings, url, from_place, to_place, options)
        return
    from stemwright.batch.worker_main import WorkerConfig
    from stemwright.cli.model_download import download_missing
    from stemwright.cpu_memory_limits import cores
    from stemwright.separation.separator import Separator

    download_missing(Separator(plan, device=device, threads=threads), stems, quiet=quiet)
    config = WorkerConfig(
        name="",
        database_url=url,
        batch_id="",
        source=source,
        target=target,
        stems=stems,
        plan=plan,
        format=format,
        device=device,
        threads=threads or max(1, cores() // jobs),
    )
    run(settings, from_place, to_place, options, config, jobs, retry_failed=retry_failed, quiet=quiet)


def run(
    settings: Settings,
    source: Source,
    target: Target,
    options: BatchOptions,
    config: WorkerConfig,
    jobs: int,
    *,
    retry_failed: bool,
    quiet: bool,
) -> None:
    """Lists the songs, runs the processes until none is left, and writes the manifest.

    Raises:
        StemwrightError: something that holds for all songs; see ``BatchRunner.run``.
        typer.Exit: a song has failed; with its exit code.
    """
    from dataclasses import replace

    from stemwright.batch.listing_run import add_songs
    from stemwright.batch.manifest import FAILURES, MANIFEST, write_manifest
    from stemwright.batch.progress import BatchProgress
    from stemwright.batch.runner import BatchRunner
    from stemwright.batch.songs import BatchSongs
    from stemwright.cli.interrupt import InterruptHandler
    from stemwright.cli.streams import print_error_line
    from stemwright.formatting import counted

    def tell(line: str) -> None:
        if not quiet:
            print_error_line(line)

    with InterruptHandler(quiet=quiet, stopping_message=STOPPING_MESSAGE) as interrupt:
        target.check()
        database = _open_database(settings, config.database_url)
        try:
            database.migrate()
            songs = BatchSongs.begin(database, target.name, options)
            if retry_failed:
                songs.retry_failed()
            total = add_songs(songs, source, _listing_lines(source, tell))
            tell(f"{counted(total, 'song')} in {source.name}")
            if not songs.is_finished():
                runner = BatchRunner(
                    replace(config, batch_id=songs.batch_id),
                    jobs,
                    songs,
                    lambda path, error: print_error_line(f"error: {path}: {error}"),
                )
                with interrupt.deferred():
                    runner.run(interrupt.is_set, BatchProgress(songs, tell).turn)
            write_manifest(songs, target)
            counts, code = songs.counts(), songs.exit_code()
        finally:
            database.close()
    if not quiet:
        ends = f"{counted(counts['done'], 'song')} done, {counts['failed']:,} failed"
        typer.echo(f"{ends}; {target.name} has {MANIFEST} and {FAILURES}.")
    if code:
        print_error_line(
            f"error: {counted(counts['failed'], 'song')} failed: see {FAILURES}; --retry-failed tries again."
        )
        raise typer.Exit(code)


def _database_url(settings: Settings, target: Target) -> str | None:
    """SQLite in the target's folder; None for the database that the settings name."""
    from stemwright.batch.places import RECORDS_FOLDER
    from stemwright.database.engine import DATABASE_FILE

    if settings.database_url is not None:
        return None
    if "://" in target.name:
        raise UsageError(
            f"A batch into {target.name} needs a database for its records: set STEMWRIGHT_DATABASE_URL to one of "
            "PostgreSQL, or on one host to a file, such as sqlite:////home/me/batch.db."
        )
    return f"sqlite:///{Path(target.name) / RECORDS_FOLDER / DATABASE_FILE}"


def _open_database(settings: Settings, url: str | None) -> Database:
    from stemwright.database.engine import Database

    return Database.open(settings) if url is None else Database(url)


def _tell_what_is_left(
    settings: Settings, url: str | None, source: Source, target: Target, options: BatchOptions
) -> None:
    import sqlalchemy

    from stemwright.batch.listing_run import count_songs
    from stemwright.batch.songs import BatchSongs
    from stemwright.formatting import counted

    songs, database = None, None
    if url is None or Path(url.removeprefix("sqlite:///")).exists():
        database = _open_database(settings, url)
        if database.schema_state() != "missing" and sqlalchemy.inspect(database.engine).has_table("batches"):
            songs = BatchSongs.find(database, target.name, options)
    found = count_songs(songs, source)
    if database is not None:
        database.close()
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(found.items()))
    typer.echo(f"{counted(found.total(), 'song')} in {source.name}: {states}. Nothing was written.")


def _listing_lines(source: Source, tell: Callable[[str], None]) -> Callable[[int], None]:
    """Tells of a long listing."""
    from stemwright.formatting import counted

    told_at = time.monotonic()

    def on_chunk(total: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= LISTING_INTERVAL_S:
            told_at = time.monotonic()
            tell(f"listing {source.name}: {counted(total, 'song')} so far")

    return on_chunk
