"""The separator: the public class that separates files and arrays."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from stemwright import arguments
from stemwright.arguments import AnyPath
from stemwright.audio.formats import output_format
from stemwright.cpu_memory_limits import cores
from stemwright.errors import CancelledError, ModelUnavailableError, StemwrightError, UsageError, storage_error
from stemwright.models.engine import MaskEngine, WaveformEngine
from stemwright.models.engine_loading import OnDownload, fetch_weights
from stemwright.models.registry import Model
from stemwright.separation.auto_choice import AUTO
from stemwright.separation.auto_plan import AutoPlan
from stemwright.separation.engine_cache import EngineCache
from stemwright.separation.model_resolver import PlanResolver, SingleEngine
from stemwright.separation.naming import checked_folder_name, song_folder_name
from stemwright.separation.options import (
    Device,
    Options,
    read_device,
    read_licence,
    read_max_minutes,
    read_threads,
)
from stemwright.separation.plan import plan_of
from stemwright.separation.progress import IsCancelled, OnProgress
from stemwright.separation.quantization import Quantization
from stemwright.separation.render_pass import ArraySink
from stemwright.separation.result import Result
from stemwright.separation.run_key import begun_models, run_key
from stemwright.separation.samples import Samples, as_rate, as_samples
from stemwright.separation.separation_run import SeparationRun
from stemwright.separation.song_folder import SongFolder
from stemwright.separation.song_plan import NamedPlan, Planner
from stemwright.separation.song_result import song_result
from stemwright.separation.source import ArraySource, FileSource
from stemwright.separation.working_files import WorkingFiles
from stemwright.stems import select


class Separator:
    """Separates songs. Loading the model takes a moment: use one separator for many songs.

    Several threads may use it at once. A forked process loads the models again; a spawned one can be sent a separator.

    Args:
        plan: ``auto``, ``fast``, ``good``, ``best``, or the name of a model (``stemwright models``). ``auto`` takes for
            each song the best of the others that is installed, may be used and is worth its time.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads; None takes all that are available (``stemwright.cpu_memory_limits``).
        licence: ``any``, or ``permissive`` to use only weights whose licence allows any use; None takes
            ``STEMWRIGHT_LICENSE``.
        max_minutes: longest time that ``auto`` may take for a song; None for four times the song's length.
        download: whether a named plan may download weights that are not installed. ``auto`` never does.
        denoise: remove noise before the plan; it counts as ``fx``. The network for it is downloaded if it is missing.
        engine: an engine of your own, used in place of the plan's models; ``plan`` is then only a name.

    Raises:
        ModelUnavailableError: the plan, its weights or the device is not available.
        UsageError: an argument is invalid.
    """

    def __init__(
        self,
        plan: str = AUTO,
        *,
        device: Device = "auto",
        threads: int | None = None,
        licence: str | None = None,
        max_minutes: float | None = None,
        download: bool = True,
        denoise: bool = False,
        engine: MaskEngine | WaveformEngine | None = None,
    ) -> None:
        self.plan = arguments.text(plan, "plan")
        if engine is not None and self.plan == AUTO:
            self.plan = "custom"
        self._threads = read_threads(threads) or cores()
        most_minutes = read_max_minutes(max_minutes, self.plan == AUTO)
        may_download = arguments.flag(download, "download")
        clean = arguments.flag(denoise, "denoise")
        self._copy = partial(
            Separator,
            plan,
            device=device,
            threads=threads,
            licence=licence,
            max_minutes=most_minutes,
            download=may_download,
            denoise=clean,
            engine=engine,
        )
        self._planner: Planner
        if engine is not None:
            if clean:
                raise UsageError("denoise adds a step before a plan: leave it out, or leave engine out.")
            self._planner = NamedPlan(self.plan, SingleEngine(_checked_engine(engine)))
            return
        engines = EngineCache(read_device(device), self._threads)
        if self.plan == AUTO:
            self._planner = AutoPlan(engines, licence=read_licence(licence), max_minutes=most_minutes, denoise=clean)
        else:
            models = PlanResolver(
                plan_of(self.plan), engines, read_licence(licence), download=may_download, denoise=clean
            )
            self._planner = NamedPlan(self.plan, models)

    @classmethod
    def of_engine(cls, engine: MaskEngine | WaveformEngine, *, threads: int | None = None) -> Separator:
        """A separator with an engine of your own; its plan is called ``custom``.

        Raises:
            UsageError: the object is not an engine (``stemwright.models.engine``).
        """
        return cls(threads=threads, engine=_checked_engine(engine))

    def __reduce__(self) -> tuple[partial[Separator], tuple[()]]:
        """For pickle: the other process creates a separator from the same arguments."""
        return self._copy, ()

    def plan_name(self, stems: str | Iterable[str] = "twelve", song_s: float | None = None) -> str:
        """The plan that these stems get: for ``auto`` the one that it chooses, else the plan's own name.

        Args:
            stems: as in ``separate``.
            song_s: length of the song in seconds, which counts where ``max_minutes`` is given.
        """
        return self._planner.plan_name(select(stems), song_s)

    def missing(self, stems: str | Iterable[str] = "twelve") -> tuple[Model, ...]:
        """The models that these stems need and that are not installed. The first song would download them.

        With the plan ``auto``, which takes what is installed, only that of ``denoise``.
        """
        return self._planner.missing(select(stems))

    def prepare(
        self,
        stems: str | Iterable[str] = "twelve",
        *,
        on_download: OnDownload | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> None:
        """Downloads the missing weights for these stems. Unlike the first song it reports progress of the download.

        Args:
            stems: as in ``separate``.
            on_download: called several times a second with the progress of each file.
            is_cancelled: polled; True stops the download and keeps the partial file.

        Raises:
            ModelUnavailableError: a file cannot be downloaded, or its digest is not that of the registry.
            StorageError: not enough disk space.
            CancelledError: ``is_cancelled`` returned true.
            UsageError: an argument is invalid.
        """
        arguments.function(on_download, "on_download")
        arguments.function(is_cancelled, "is_cancelled")
        for model in self.missing(stems):
            fetch_weights(model, on_download, is_cancelled)

    def separate(
        self,
        samples: object,
        sample_rate: object,
        stems: str | Iterable[str] = "twelve",
        playing: str | Iterable[str] | None = None,
    ) -> dict[str, Samples]:
        """Separates a song in memory.

        Args:
            samples: ``(channels, samples)``, one or two channels: an array, a tensor, or nested lists. Floats have a full
                scale of 1, integers that of their type (``stemwright.separation.samples``).
            sample_rate: Hz, a whole number of any type, or text.
            stems: ``two``, ``twelve``, or names: separated by commas, or a list.
            playing: the stems that play in the song, where you know them (``Options``).

        Returns:
            Name to ``(channels, samples)`` float32 at the same rate and of the same length. They add up to the input.

        Raises:
            UnreadableInputError: the array is empty, of another shape, or holds NaN or infinity.
            UsageError: a stem name is unknown, the rate is invalid, or the array's type has no known full scale.
            StorageError: not enough space for working files in the folder for temporary files.
        """
        selection = select(stems, playing)
        source = ArraySource(as_samples(samples), as_rate(sample_rate))
        sinks = [ArraySink() for _ in selection.parts]
        with _temporary_folder() as folder:
            song_plan = self._planner.song_plan(selection, source.expected_s)
            run = SeparationRun(song_plan.analysis_pass, source, selection, self._threads, None, None)
            with WorkingFiles(Path(folder), {}, resume=False) as work:
                output, presence = run.analyse(work)
                run.render(output, presence, sinks, Quantization(bits=None, limited=False))
        return {part.name: sink.samples for part, sink in zip(selection.parts, sinks, strict=True)}

    def separate_file(
        self,
        song: AnyPath,
        options: Options | None = None,
        *,
        name: str | None = None,
        on_progress: OnProgress | None = None,
        is_cancelled: IsCancelled | None = None,
        with_peaks: bool = False,
    ) -> Result:
        """Separates a file into files.

        Args:
            song: any audio file, or a video with an audio track.
            options: stems, format, output folder; None takes the defaults.
            name: folder of the song under ``options.out``; None takes the file's name.
            on_progress: called often with the progress.
            is_cancelled: polled; True cancels the separation.
            with_peaks: write ``<stem>.peaks`` beside each stem, and ``mix.peaks`` (``stemwright.audio.peaks``).

        Raises:
            UsageError: the options contradict each other or the format.
            UnreadableInputError: the song cannot be read.
            StorageError: disk full, or no permission.
            ModelUnavailableError: a model is not available or fails. The output of earlier steps is kept for
                ``Options.resume``.
            CancelledError: ``is_cancelled`` returned true. The working files are kept for ``Options.resume``.
        """
        options = _checked(options)
        arguments.function(on_progress, "on_progress")
        arguments.function(is_cancelled, "is_cancelled")
        title = None if name is None else checked_folder_name(name)
        started = time.monotonic()
        selection = options.selection
        source = FileSource(arguments.path(song, "song"), start_s=options.start_s, duration_s=options.duration_s)
        fmt = output_format(
            options.format, bit_depth=options.bit_depth, bitrate_kbps=options.bitrate_kbps, source=source.format
        )
        folder = SongFolder(options.folder, title or song_folder_name(source.path.stem))
        begun = begun_models(folder, source, selection, options) if self.plan == AUTO else None
        song_plan = self._planner.song_plan(selection, source.expected_s, begun)
        key = run_key(source, selection, options, song_plan.analysis_pass.models)
        output_key = {**key, "format": fmt.name, "bit_depth": fmt.bit_depth, "bitrate_kbps": fmt.bitrate_kbps}
        if not options.overwrite and (existing := folder.existing_result(output_key)):
            return replace(existing, better=song_plan.better)
        folder.check_writable()
        run = SeparationRun(song_plan.analysis_pass, source, selection, self._threads, on_progress, is_cancelled)
        run.check_disk_space(folder.path.parent, fmt)
        work = WorkingFiles(folder.working, key, resume=options.resume)
        try:
            output, presence = run.analyse(work)
            encoded = run.encode(source, output, presence, work.stems, fmt, with_peaks=with_peaks)
            result = song_result(run, song_plan, source, presence, encoded, fmt, folder.path, started)
            folder.publish(encoded.files, result, output_key)
            work.remove()
        except CancelledError:
            raise  # the working files stay for a resume
        except ModelUnavailableError:
            # Keep the output of earlier steps, maybe an hour of work, if a later step's download or GPU memory fails.
            if not work.has_finished_step:
                work.remove()
            raise
        except StemwrightError:
            work.remove()
            raise
        finally:
            work.close()
        return result


def _checked(options: Options | None) -> Options:
    if options is not None and not isinstance(options, Options):
        raise UsageError(f"options is of type {type(options).__name__}: give stemwright.Options(...), or None.")
    return options or Options()


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="stemwright-")
    except OSError as error:
        raise storage_error(error, Path(tempfile.gettempdir())) from error


def _checked_engine(engine: MaskEngine | WaveformEngine) -> MaskEngine | WaveformEngine:
    """Checks that an object has the attributes and methods of an engine.

    Raises:
        UsageError: it does not.
    """
    if isinstance(engine, type) or not isinstance(engine, MaskEngine | WaveformEngine):
        raise UsageError(
            f"engine is of type {type(engine).__name__}: give an object with the methods of a MaskEngine or a "
            "WaveformEngine of stemwright.models.engine."
        )
    return engine
