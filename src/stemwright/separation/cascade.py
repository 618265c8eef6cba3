"""A cascade: waveform engines in sequence, each run on an output or the remainder of an earlier step.

                    +-> drums, bass, ...
    mix --[vocals]--+                         +-> strings, brass, ...
                    +-> rest --[colours]------+
                                              +-> rest = fx

Each step processes the whole song, from disk to disk, before the next one starts. So only one model is in use at a
time, memory is that of the largest step's chunk, and a killed run resumes in the step where it stopped. The remainder
of a step is its input less its outputs, sample by sample, so all outputs and the last remainder add up to the song for
any engines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stemwright.models.engine import WaveformEngine
from stemwright.models.speed import LEAST_MEASURED_SONG_S
from stemwright.separation.chunk_runner import WaveformRunner, run_chunks
from stemwright.separation.pass_output import Column, PartSamples, WaveformOutput
from stemwright.separation.plan import MIX
from stemwright.separation.presence_scan import PresenceScan
from stemwright.separation.progress import IsCancelled, OnAdvance
from stemwright.separation.source import Source
from stemwright.separation.working_files import WorkingFiles
from stemwright.stems import STEMS, Selection

Samples = NDArray[np.float32]
PresenceScanner = Callable[[Source, IsCancelled], PresenceScan]


@dataclass(frozen=True)
class CascadeStep:
    """One engine and its place in the cascade.

    Attributes:
        name: name of the step, and of its folder in the working files.
        model: name and digest of the model; empty if no model is available, and the step is skipped.
        input: ``mix``, or the name of an output or remainder of an earlier step.
        outputs: name to the engine's stems that are summed for it.
        remainder: name of its input less its outputs.
        if_skipped: name of its input if none of its stems plays; empty if the step always runs.
        sample_rate: sample rate of the engine in Hz.
        cost: operations, relative to other steps.
        load: loads the engine, which may take a while; None if no model is available.
        on_timed: called with the seconds of work for a second of song, once the engine has run over a whole song.
    """

    name: str
    model: str
    input: str
    outputs: Mapping[str, tuple[str, ...]]
    remainder: str
    if_skipped: str
    sample_rate: int
    cost: float
    load: Callable[[IsCancelled], WaveformEngine] | None
    on_timed: Callable[[float], None] | None = None

    def is_absent(self, scan: PresenceScan | None) -> bool:
        """Whether the step may be skipped, since none of its stems plays in the song."""
        if scan is None or not self.if_skipped:
            return False
        return all(scan.is_absent(stem) for stems in self.outputs.values() for stem in stems)


class Cascade:
    """An analysis pass of waveform engines: the steps that the requested parts need.

    Args:
        steps: in order; all engines have the same sample rate.
        selection: the parts.
        scanner: measures which stems play, unless the selection knows them; None runs every step.
        notes: remarks for the user about the models.
        stem_of_name: the stem of each name that is not split here, since the requested parts do not need it.
    """

    work_share = 0.97
    """Nearly all work: large networks are a hundred times slower than writing files."""

    def __init__(
        self,
        steps: Sequence[CascadeStep],
        selection: Selection,
        scanner: PresenceScanner | None = None,
        notes: tuple[str, ...] = (),
        stem_of_name: Mapping[str, str] | None = None,
    ) -> None:
        self.steps = tuple(steps)
        self.selection = selection
        self.sample_rate = steps[0].sample_rate
        self._scanner = scanner
        self._stem_of_name = stem_of_name or {}
        self.notes = (*notes, *self._silent_parts())
        if any(step.load and step.sample_rate != self.sample_rate for step in steps):
            raise ValueError("the engines of a cascade have one sample rate")

    @property
    def models(self) -> tuple[str, ...]:
        """Names and digests of the models, in the order of their steps."""
        return tuple(dict.fromkeys(step.model for step in self.steps if step.model))

    def bytes_per_s(self, channels: int) -> float:
        """Bytes of working files per second of song."""
        return sum(4.0 * channels * (len(step.outputs) + 1) * step.sample_rate for step in self.steps if step.load)

    def run(
        self, source: Source, work: WorkingFiles, *, on_advance: OnAdvance, is_cancelled: IsCancelled
    ) -> WaveformOutput:
        """Runs the steps, from where an earlier run stopped.

        Raises:
            CancelledError: ``is_cancelled`` returned true; the working files are kept.
        """
        columns: dict[str, list[Column]] = {}
        scan = None if self.selection.playing is None else PresenceScan.of_known(self.selection)
        total = sum(step.cost for step in self.steps)
        done = 0.0

        def advance(step: CascadeStep, seconds: float) -> None:
            length = source.expected_s
            if length:
                share = done + step.cost / total * min(1.0, seconds / length)
                on_advance(share * length, share)
            else:
                on_advance(seconds, 0.0)

        def is_cancelled_in(step: CascadeStep) -> bool:
            advance(step, 0.0)  # a scan or a download takes a while: show that the run is alive
            return is_cancelled()

        for step in self.steps:
            if step.load and step.if_skipped and scan is None and self._scanner is not None:
                scan = _load_or_scan(self._scanner, source, work, partial(is_cancelled_in, step))
            if step.load is None or step.is_absent(scan):
                if step.load is not None:
                    self.notes += (f"The step '{step.name}' was skipped: none of its stems plays in this song.",)
                columns.setdefault(step.if_skipped, []).extend(columns.pop(step.input))
            else:
                step_input = (
                    source if step.input == MIX else _ColumnSource(columns.pop(step.input), source, self.sample_rate)
                )
                files = work.step(step.name, (len(step.outputs) + 1, source.channels), WaveformRunner.dtype)
                if not files.state.complete:
                    engine = step.load(partial(is_cancelled_in, step))
                    runner = WaveformRunner(engine, list(step.outputs.values()), source.channels)
                    is_whole, started = files.state.n_chunks == 0, time.perf_counter()
                    run_chunks(step_input, runner, files, on_seconds=partial(advance, step), is_cancelled=is_cancelled)
                    song_s = files.outputs.n_rows / step.sample_rate
                    if step.on_timed is not None and is_whole and song_s >= LEAST_MEASURED_SONG_S:
                        step.on_timed((time.perf_counter() - started) / song_s)
                for index, name in enumerate((*step.outputs, step.remainder)):
                    columns.setdefault(name, []).append(Column(files.outputs, index))
            done += step.cost / total
            advance(step, 0.0)
        for name, stem in self._stem_of_name.items():
            columns.setdefault(stem, []).extend(columns.pop(name, ()))
        parts = [[column for stem in part.sources for column in columns.get(stem, ())] for part in self.selection.parts]
        unknown = set(columns) - set(STEMS)
        if unknown:
            raise ValueError(f"no part takes the outputs {', '.join(sorted(unknown))}")
        return WaveformOutput(PartSamples(parts, source.channels), self.sample_rate)

    def _silent_parts(self) -> tuple[str, ...]:
        """A note on the parts that no step outputs."""
        names = {name for step in self.steps for name in (*step.outputs, step.remainder, step.if_skipped)}
        given = names | {self._stem_of_name[name] for name in names if name in self._stem_of_name}
        silent = [part.name for part in self.selection.parts if given.isdisjoint(part.sources)]
        if not silent:
            return ()
        return (
            f"No model of this plan separates {', '.join(silent)}: the files are silent, the sound is in other stems.",
        )


def _load_or_scan(
    scanner: PresenceScanner, source: Source, work: WorkingFiles, is_cancelled: IsCancelled
) -> PresenceScan:
    """The presence scan of this song, from an earlier run if there was one."""
    facts = work.load_facts("presence_scan") or work.save_facts("presence_scan", asdict(scanner(source, is_cancelled)))
    return PresenceScan(**facts)


class _ColumnSource:
    """Outputs of earlier steps as the input of the next one."""

    def __init__(self, columns: Sequence[Column], song: Source, sample_rate: int) -> None:
        self._rows = PartSamples([columns], song.channels)
        self.sample_rate = sample_rate
        self.channels = song.channels
        self.expected_s: float | None = self._rows.n_rows / sample_rate

    def blocks(self) -> Iterator[Samples]:
        """From the start, ``(channels, samples)``."""
        for block in self._rows.blocks():  # (samples, 1, channels)
            yield block[:, 0].T
