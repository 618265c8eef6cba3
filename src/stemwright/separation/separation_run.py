"""Runs both passes for one song."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from stemwright.audio.encode import Encoder
from stemwright.audio.formats import OutputFormat
from stemwright.audio.peaks import PeaksWriter
from stemwright.separation.analysis_pass import AnalysisPass
from stemwright.separation.pass_output import PassOutput
from stemwright.separation.presence import Presence, score_presence
from stemwright.separation.progress import IsCancelled, OnProgress, Progress, Stage
from stemwright.separation.quantization import Quantization, Values
from stemwright.separation.render_pass import PartSink, RenderReport, render
from stemwright.separation.resources import check_disk_space
from stemwright.separation.song_folder import MIX_PEAKS, PEAKS_SUFFIX
from stemwright.separation.source import FileSource, Source
from stemwright.separation.working_files import WorkingFiles
from stemwright.stems import Selection

LOSSY_KBPS = 256
"""Bit rate of lossy stems that the check of disk space assumes if none is given."""


@dataclass(frozen=True)
class EncodedParts:
    """Complete files that do not have their final names yet.

    Attributes:
        report: measurements of what was written.
        quantization: how samples were quantized, with the gain.
        files: one per part; then their peaks files and that of the song, if wanted.
        notes: remarks on changes by the format.
    """

    report: RenderReport
    quantization: Quantization
    files: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _BothSinks:
    """Writes one part to its encoder and to its peaks file."""

    encoder: Encoder
    peaks: PeaksWriter

    def write(self, block: Values) -> None:
        self.encoder.write(block)
        self.peaks.write(block)


@dataclass
class SeparationRun:
    """Both passes for one song, with progress and cancellation."""

    analysis_pass: AnalysisPass
    source: Source
    selection: Selection
    threads: int
    on_progress: OnProgress | None
    is_cancelled: IsCancelled | None
    _fraction: float = 0.0
    _done_s: dict[Stage, float] = field(default_factory=dict)

    def check_disk_space(self, folder: Path, fmt: OutputFormat) -> None:
        """Checks the disk space for the files of both passes, which exist at the same time at the end.

        Raises:
            StorageError: there is too little.
        """
        seconds = self.source.expected_s
        if seconds is None:
            return
        working = self.analysis_pass.bytes_per_s(self.source.channels)
        if fmt.bit_depth:
            written = self.source.sample_rate * self.source.channels * fmt.bit_depth / 8
        else:
            written = (fmt.bitrate_kbps or LOSSY_KBPS) * 125.0
        check_disk_space(folder, int(seconds * (working + written * len(self.selection.parts))))

    def analyse(self, work: WorkingFiles) -> tuple[PassOutput, Presence]:
        """The analysis pass, and the presence of each part in the whole song."""
        output = self.analysis_pass.run(
            self.source,
            work,
            on_advance=lambda seconds, share: self._report("separating", seconds, share),
            is_cancelled=self._cancelled,
        )
        presence = score_presence(output.levels)
        if self.selection.playing is not None:
            presence = presence.known([any(map(self.selection.plays, part.sources)) for part in self.selection.parts])
        return output, presence

    def render(
        self,
        output: PassOutput,
        presence: Presence,
        sinks: Sequence[PartSink],
        quantization: Quantization,
        mix_sink: PartSink | None = None,
    ) -> RenderReport:
        """The render pass into the given sinks."""

        def on_seconds(seconds: float) -> None:
            length = self.source.expected_s
            self._report("writing", seconds, min(1.0, seconds / length) if length else 0.0)

        return render(
            self.source,
            output,
            presence,
            sinks,
            quantization,
            threads=self.threads,
            on_seconds=on_seconds,
            is_cancelled=self._cancelled,
            mix_sink=mix_sink,
        )

    def encode(
        self,
        song: FileSource,
        output: PassOutput,
        presence: Presence,
        folder: Path,
        fmt: OutputFormat,
        *,
        with_peaks: bool = False,
    ) -> EncodedParts:
        """The render pass into files, repeated with a common gain where a part exceeds full scale.

        Args:
            with_peaks: write a peaks file beside each part, and one of the song.
        """
        files = tuple(folder / f"{part.name}.{fmt.extension}" for part in self.selection.parts)
        peaks_files = tuple(file.with_suffix(PEAKS_SUFFIX) for file in files)
        quantization = Quantization(fmt.bit_depth if fmt.bit_depth in (16, 24) else None, limited=fmt.bit_depth != 32)
        shape = {"sample_rate": song.sample_rate, "channels": song.channels}
        while True:
            with ExitStack() as stack:
                encoders = [
                    stack.enter_context(Encoder(file, fmt, **shape, tags=song.tags(part.name)))
                    for part, file in zip(self.selection.parts, files, strict=True)
                ]
                sinks: list[PartSink] = [*encoders]
                mix_sink: PeaksWriter | None = None
                if with_peaks:
                    peaks = [
                        stack.enter_context(
                            PeaksWriter(file, sample_rate=song.sample_rate, full_scale=quantization.full_scale)
                        )
                        for file in peaks_files
                    ]
                    sinks = [_BothSinks(*both) for both in zip(encoders, peaks, strict=True)]
                    mix_sink = stack.enter_context(
                        PeaksWriter(folder / MIX_PEAKS, sample_rate=song.sample_rate, full_scale=1.0)
                    )
                report = self.render(output, presence, sinks, quantization, mix_sink)
            if not report.exceeded:
                notes = dict.fromkeys(note for encoder in encoders for note in encoder.notes)
                with_them = (*peaks_files, folder / MIX_PEAKS) if with_peaks else ()
                return EncodedParts(report, quantization, (*files, *with_them), tuple(notes))
            quantization = replace(quantization, gain=quantization.gain * quantization.ceiling / report.peak)

    def _cancelled(self) -> bool:
        return self.is_cancelled is not None and self.is_cancelled()

    def _report(self, stage: Stage, done_s: float, share: float) -> None:
        if self.on_progress is None:
            return
        total_s = self.source.expected_s
        fraction = None
        # Neither a repeated render pass nor a length that becomes known late may move the progress bar back.
        done_s = self._done_s[stage] = max(self._done_s.get(stage, 0.0), done_s)
        if total_s:
            analysis = self.analysis_pass.work_share
            done = share * analysis if stage == "separating" else analysis + share * (1 - analysis)
            fraction = self._fraction = max(self._fraction, min(1.0, done))
        self.on_progress(Progress(stage, done_s, total_s, fraction))
