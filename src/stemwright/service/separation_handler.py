"""Runs a task in a worker: fetches the song, separates it or converts it to WAV, and stores the results.

Working files are in ``work/<task id>/``: after a kill the next worker resumes from them. They include finished stems
that are not stored yet. The folder is deleted when the task ends.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import structlog

from stemwright.cpu_memory_limits import cores, threads_per_worker
from stemwright.errors import (
    CancelledError,
    DatabaseUnavailableError,
    ModelUnavailableError,
    StemwrightError,
    UnreadableInputError,
)
from stemwright.jobs.handler import FailureReason, TaskContext, TaskInterrupted, TaskPostponed
from stemwright.jobs.queue import Lease
from stemwright.separation.auto_choice import resolved
from stemwright.separation.options import FormatName, Options, read_device
from stemwright.separation.progress import Progress
from stemwright.service.cache_key import cache_key_of
from stemwright.service.errors import QuotaExceeded, ServiceError, SourceUnavailable
from stemwright.service.failure_messages import SEPARATION_FAILED, error_message, reason_message
from stemwright.service.ids import new_id
from stemwright.service.peer_check import storage_problem
from stemwright.service.progress_reporter import ProgressReporter, ReportingWriter
from stemwright.service.result_storage import ResultStorage, facts_of
from stemwright.service.service import Service
from stemwright.service.task import Stem, Task
from stemwright.service.task_folder import link_song, locked_task_folder
from stemwright.service.working_copies import WorkingCopy
from stemwright.settings import Settings
from stemwright.storage.blob import StoreUnreachable
from stemwright.tracing import Attributes, span
from stemwright.wire_names import SONG

if TYPE_CHECKING:
    from stemwright.separation.result import Result
    from stemwright.separation.separator import Separator

SONG_FOLDER = "stems"
"""Name of the folder of stems within that of the task."""

logger = structlog.stdlib.get_logger(__name__)


def create_handler(settings: Settings) -> SeparationHandler:
    """Creates the handler of the server's workers, with the model of the default plan loaded."""
    return SeparationHandler(Service.open(settings))


class SeparationHandler:
    """Runs tasks; see ``jobs.handler.Handler``. Keeps the model of the last plan loaded."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = service.settings
        self._worker_tasks = service.worker_tasks
        self._storage = ResultStorage(service.store, service.peaks)
        self._separator = self._load(_first_plan(service.settings))
        self._remove_ended()

    def run(self, lease: Lease, context: TaskContext) -> None:
        """Runs a task to its end.

        Raises:
            TaskPostponed: the store cannot be reached, or is not that of the API servers.
            DatabaseUnavailableError: it was lost on the way.
        """
        if (problem := storage_problem(self._service.database, self._settings)) is not None:
            raise TaskPostponed(problem)
        self._remove_ended()
        with locked_task_folder(self._settings.work_folder / lease.task_id, context) as folder:
            task = self._worker_tasks.begin(lease.task_id, lease.token)
            if task is not None:
                facts: Attributes = {
                    "stemwright.task": task.id,
                    "stemwright.plan": task.plan,
                    "stemwright.attempt": lease.attempt,
                }
                with span("task", facts, parent=task.trace_context, kind="consumer"):
                    self._attempt(task, lease, context, folder)
            self._clear(folder)

    def fail(self, lease: Lease, reason: FailureReason) -> None:
        """Ends a task as failed."""
        task = self._service.tasks.any(lease.task_id)
        message = reason_message(reason, is_wav=task is not None and task.is_wav)
        self._worker_tasks.fail(lease.task_id, lease.token, SEPARATION_FAILED, message)
        self._clear(self._settings.work_folder / lease.task_id)

    def _attempt(self, task: Task, lease: Lease, context: TaskContext, folder: Path) -> None:
        try:
            self._separate(task, lease, folder, ProgressReporter(self._worker_tasks, lease, context))
        except CancelledError:
            if context.should_stop():
                raise TaskInterrupted from None
            self._worker_tasks.cancelled(task.id, lease.token)
        except DatabaseUnavailableError:
            # No fault of the task's, so it has not failed, even if the database could be told so by now.
            raise
        except StoreUnreachable as error:
            raise TaskPostponed(str(error)) from error
        except QuotaExceeded as error:
            self._worker_tasks.fail(task.id, lease.token, SEPARATION_FAILED, str(error))
        except ServiceError as error:
            self._worker_tasks.fail(task.id, lease.token, error.code, str(error))
        except StemwrightError as error:
            logger.warning("task failed", task=task.id, reason=str(error))
            self._worker_tasks.fail(
                task.id, lease.token, SEPARATION_FAILED, error_message(error, folder / "song", self._settings.data)
            )

    def _separate(self, task: Task, lease: Lease, folder: Path, reporter: ProgressReporter) -> None:
        reporter.report("fetching", None)
        with span("fetch"):
            song = self._fetch_song(task, reporter)
        if task.is_wav:
            self._convert(task, lease, song, folder, reporter)
            return
        cache_key = cache_key_of(task, song)
        if (cached_result := self._cached_result(task, cache_key)) is not None:
            if cached_result.account_id != task.account_id:
                self._service.storage_quota.room(task.account_id, sum(stem.size_bytes for stem in cached_result.stems))
            stems = [replace(stem, id=new_id()) for stem in cached_result.stems]
            self._succeed(lease, stems, cached_result.seconds or 0.0, cache_key, cached_result.facts)
            return
        with self._service.store.as_file(song) as path, span("separate"):
            result = self._run_separator(task, path, folder, reporter, lease)
        reporter.report("storing", None)
        files = [*(stem.path for stem in result.stems), *result.output_dir.glob("*.peaks")]
        self._service.storage_quota.room(task.account_id, sum(file.stat().st_size for file in files))
        with span("store"):
            stems = [
                self._storage.store_stem(stem, place, task.format, result.seconds)
                for place, stem in enumerate(result.stems)
            ]
            self._storage.store_peaks(song, result, stems)
        self._succeed(lease, stems, result.seconds, cache_key, facts_of(result))

    def _convert(self, task: Task, lease: Lease, song: str, folder: Path, reporter: ProgressReporter) -> None:
        from stemwright.service.wav_conversion import convert

        name = task.stem_name or SONG

        def on_progress(done_s: float, in_all_s: float | None) -> None:
            self._check_length(done_s)
            reporter.report("writing", min(1.0, done_s / in_all_s) if in_all_s else None)

        with self._service.store.as_file(song) as path:
            converted = convert(link_song(folder, path), folder / "song.wav", name, on_progress)
        reporter.report("storing", None)
        self._service.storage_quota.room(task.account_id, (folder / "song.wav").stat().st_size)
        blob = self._storage.store_file(folder / "song.wav")
        stem = Stem(
            id=new_id(),
            name=name,
            position=0,
            blob=blob.digest,
            format="wav",
            size_bytes=blob.size_bytes,
            seconds=converted.seconds,
            present=converted.peak_dbfs is not None,
            presence=0.0 if converted.peak_dbfs is None else 1.0,
            peak_dbfs=converted.peak_dbfs,
            rms_dbfs=converted.rms_dbfs,
        )
        facts: dict[str, object] = {
            "sample_rate": converted.sample_rate,
            "channels": converted.channels,
            "samples": converted.samples,
            "gain_db": converted.gain_db,
            "notes": list(converted.notes),
        }
        self._succeed(lease, [stem], converted.seconds, None, facts)

    def _succeed(
        self, lease: Lease, stems: list[Stem], seconds: float, cache_key: str | None, facts: dict[str, object]
    ) -> None:
        if not self._worker_tasks.succeed(
            lease.task_id, lease.token, stems, seconds=seconds, cache_key=cache_key, facts=facts
        ):
            logger.warning("task had ended, or was another's, when its stems were ready", task=lease.task_id)

    def _fetch_song(self, task: Task, reporter: ProgressReporter) -> str:
        """Returns the digest of the song in the store; fetches the song if needed."""
        track = self._service.tracks.get(task.account_id, task.track_id)
        if track is None:
            raise SourceUnavailable("The song was deleted before it was separated: send it again.")
        store = self._service.store
        if track.blob is not None and store.exists(track.blob):
            return track.blob
        if track.url is None:
            raise SourceUnavailable("The song is no longer stored: send it again.")
        if self._service.links.is_ours(track.url):
            raise SourceUnavailable("This server's own link to the song has expired, or was not made for this account.")
        self._service.storage_quota.room(track.account_id)
        with store.writer() as writer:
            reporting = ReportingWriter(writer, reporter)
            fetched = self._service.fetcher.fetch(track.url, reporting, self._settings.max_upload_mb * 1_000_000)
            blob = writer.commit()
        self._service.tracks.set_audio(
            track.account_id, track.id, blob, media_type=fetched.media_type, file_name=fetched.file_name
        )
        return blob.digest

    def _cached_result(self, task: Task, cache_key: str) -> Task | None:
        cached_result = self._worker_tasks.cached_result(
            cache_key, None if self._settings.share_results else task.account_id
        )
        if cached_result is None or not all(self._service.store.renew(stem.blob) for stem in cached_result.stems):
            return None
        return cached_result

    def _run_separator(self, task: Task, path: Path, folder: Path, reporter: ProgressReporter, lease: Lease) -> Result:
        from stemwright.separation.source import FileSource

        song = link_song(folder, path)
        self._check_length(FileSource(song).expected_s)
        if self._separator.plan != task.plan:
            self._separator = self._load(task.plan)
        if missing := self._separator.missing(
            task.stems_asked
        ):  # removed since the task was accepted: workers download no models
            raise ModelUnavailableError(f"{', '.join(model.name for model in missing)}: no longer installed")

        working = folder / f".{SONG_FOLDER}.stemwright"
        copy = WorkingCopy(self._service.working_copies, lease, working, self._settings.copy_work_s)
        if not self._service.queue.is_local:
            copy.restore()

        def on_progress(progress: Progress) -> None:
            self._check_length(progress.done_s)
            if progress.stage == "separating" and not self._service.queue.is_local:
                copy.save_if_due(at_once=reporter.should_stop())
            reporter.report(progress.stage, progress.fraction)

        return self._separator.separate_file(
            song,
            Options(
                stems=task.stems_asked,
                out=folder,
                format=cast(FormatName, task.format),
                bit_depth=task.bit_depth,
                bitrate_kbps=task.bitrate_kbps,
                resume=True,
                playing=task.playing,
            ),
            name=SONG_FOLDER,
            on_progress=on_progress,
            is_cancelled=reporter.should_stop,
            with_peaks=True,
        )

    def _check_length(self, seconds: float | None) -> None:
        """Checks the length limit. Headers can be wrong, so both the stated and the decoded length are checked."""
        longest = self._settings.max_song_minutes
        if seconds is not None and seconds > 60 * longest:
            raise UnreadableInputError(
                f"The song is longer than {longest:g} minutes, the limit of this server: shorten it."
            )

    def _load(self, plan: str) -> Separator:
        from stemwright.separation.separator import Separator

        threads = self._settings.worker_threads or threads_per_worker(self._settings.workers, cores())
        device = read_device(self._settings.device.partition(":")[0])  # the worker sees no other GPU than its own
        return Separator(plan, device=device, threads=threads, download=False)

    def _clear(self, folder: Path) -> None:
        """Deletes the folder of a task, unless the task is still running."""
        task = self._service.tasks.any(folder.name)
        if task is None or task.has_ended:
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_ended(self) -> None:
        """Deletes folders of ended tasks: of workers that died, and of tasks that this one lost to another machine."""
        self._settings.work_folder.mkdir(parents=True, exist_ok=True)
        for folder in self._settings.work_folder.iterdir():
            self._clear(folder)


def _first_plan(settings: Settings) -> str:
    """Returns the plan whose model is loaded at the start: the default one, if this worker takes it."""
    plan = resolved(settings.plan, "two")
    return plan if not settings.worker_plans or plan in settings.worker_plans else settings.worker_plans[0]
