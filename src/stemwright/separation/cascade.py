"""A cascade: waveform engines one after another, each hearing what the ones before it left.

                    +-> drums, bass, ...
    mix --[vocals]--+                         +-> strings, brass, ...
                    +-> rest --[colours]------+
                                              +-> rest = fx

Each step goes over the whole song, from disk to disk, before the next one begins: so one model is in use at a time, memory
is that of the largest step's chunk, and a broken run goes on in the step where it broke. What a step leaves is what it heard
less what it gave, sample by sample, so all that is given and the last rest add up to the song whatever the engines did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stemwright.models.engine import WaveformEngine
from stemwright.separation.chunk_runner import Waveforms, listen
from stemwright.separation.pass_output import Column, HeardWaveforms, PartRows
from stemwright.separation.plan import MIX
from stemwright.separation.presence_scan import Survey
from stemwright.separation.progress import IsCancelled
from stemwright.separation.source import Source
from stemwright.separation.working_files import WorkingFiles
from stemwright.stems import STEMS, Selection

Samples = NDArray[np.float32]
Surveyor = Callable[[Source, IsCancelled], Survey]
OnHeard = Callable[[float, float], None]
"""Told how many seconds of the song are heard, counting all steps as one, and their share of the whole."""


@dataclass(frozen=True)
class CascadeStep:
    """One engine's part.

    Attributes:
        name: of the step, and of its folder among the working files.
        model: name and digest of the model; empty where there is none, and the step is left out.
        hears: ``mix``, or a name that an earlier step gives or leaves.
        outputs: name to the engine's stems that are added up for it.
        leaves: name of what is left of what it heard.
        otherwise: name that what it would have heard goes by where none of its stems plays; empty if it always runs.
        sample_rate: of the engine, Hz.
        cost: what it takes next to other steps.
        load: gives the engine, and may take a while for it; None where there is none.
    """

    name: str
    model: str
    hears: str
    outputs: Mapping[str, tuple[str, ...]]
    leaves: str
    otherwise: str
    sample_rate: int
    cost: float
    load: Callable[[IsCancelled], WaveformEngine] | None

    def is_absent(self, survey: Survey | None) -> bool:
        """Whether the step may be left out, since none of what it gives plays in the song."""
        if survey is None or not self.otherwise:
            return False
        return all(survey.is_absent(stem) for stems in self.outputs.values() for stem in stems)


class Cascade:
    """The steps that a song needs for the parts that are asked for.

    It takes nearly all of the work: large networks are a hundred times slower than writing files.

    Args:
        steps: in order; all engines work at one rate.
        selection: the parts.
        surveyor: finds out which stems play; None runs every step.
        notes: what the user should know of the models.
        ends: for a name that no step hears, since the parts need not be told apart further, a stem that it counts as.
    """

    share = 0.97

    def __init__(
        self,
        steps: Sequence[CascadeStep],
        selection: Selection,
        surveyor: Surveyor | None = None,
        notes: tuple[str, ...] = (),
        ends: Mapping[str, str] | None = None,
    ) -> None:
        self.steps = tuple(steps)
        self.selection = selection
        self.sample_rate = steps[0].sample_rate
        self._surveyor = surveyor
        self._ends = ends or {}
        self.notes = (*notes, *self._silent())
        if any(step.load and step.sample_rate != self.sample_rate for step in steps):
            raise ValueError("the engines of a cascade work at one rate")

    @property
    def models(self) -> tuple[str, ...]:
        """Names and digests of the models, in the order of their steps."""
        return tuple(dict.fromkeys(step.model for step in self.steps if step.model))

    def bytes_per_s(self, channels: int) -> float:
        """Disk that the working files of a second of song take."""
        return sum(4.0 * channels * (len(step.outputs) + 1) * step.sample_rate for step in self.steps if step.load)

    def run(
        self, source: Source, work: WorkingFiles, *, on_heard: OnHeard, is_cancelled: IsCancelled
    ) -> HeardWaveforms:
        """Runs the steps, from where an earlier run left them.

        Raises:
            CancelledError: ``is_cancelled`` said so; the working files hold what was done.
        """
        columns: dict[str, list[Column]] = {}
        survey: Survey | None = None
        total = sum(step.cost for step in self.steps)
        done = 0.0

        def tell(step: CascadeStep, seconds: float) -> None:
            length = source.expected_s
            if length:
                share = done + step.cost / total * min(1.0, seconds / length)
                on_heard(share * length, share)
            else:
                on_heard(seconds, 0.0)

        def is_over(step: CascadeStep) -> bool:
            tell(step, 0.0)  # a survey and a download take a while, in which whoever watches should see some life
            return is_cancelled()

        for step in self.steps:
            if step.load and step.otherwise and survey is None and self._surveyor is not None:
                survey = _surveyed(self._surveyor, source, work, partial(is_over, step))
            if step.load is None or step.is_absent(survey):
                if step.load is not None:
                    self.notes += (f"The step '{step.name}' was left out: none of its stems plays in this song.",)
                columns.setdefault(step.otherwise, []).extend(columns.pop(step.hears))
            else:
                heard = source if step.hears == MIX else _Heard(columns.pop(step.hears), source, self.sample_rate)
                files = work.step(step.name, (len(step.outputs) + 1, source.channels), Waveforms.dtype)
                if not files.state.complete:
                    hearing = Waveforms(step.load(partial(is_over, step)), list(step.outputs.values()), source.channels)
                    listen(heard, hearing, files, on_seconds=partial(tell, step), is_cancelled=is_cancelled)
                for place, name in enumerate((*step.outputs, step.leaves)):
                    columns.setdefault(name, []).append(Column(files.outputs, place))
            done += step.cost / total
            tell(step, 0.0)
        for name, stem in self._ends.items():
            columns.setdefault(stem, []).extend(columns.pop(name, ()))
        parts = [[column for stem in part.sources for column in columns.get(stem, ())] for part in self.selection.parts]
        unknown = set(columns) - set(STEMS)
        if unknown:
            raise ValueError(f"no part takes what the plan calls {', '.join(sorted(unknown))}")
        return HeardWaveforms(PartRows(parts, source.channels), self.sample_rate)

    def _silent(self) -> tuple[str, ...]:
        """Says which parts none of the steps gives, whatever plays."""
        names = {name for step in self.steps for name in (*step.outputs, step.leaves, step.otherwise)}
        given = names | {self._ends[name] for name in names if name in self._ends}
        silent = [part.name for part in self.selection.parts if given.isdisjoint(part.sources)]
        return (
            (f"No model of this plan separates {', '.join(silent)}: silent here, and heard in the rest.",)
            if silent
            else ()
        )


def _surveyed(surveyor: Surveyor, source: Source, work: WorkingFiles, is_cancelled: IsCancelled) -> Survey:
    """The survey of this song, from an earlier run if there was one."""
    facts = work.recall("survey") or work.remember("survey", asdict(surveyor(source, is_cancelled)))
    return Survey(**facts)


class _Heard:
    """What earlier steps left, as a source for the next one."""

    def __init__(self, columns: Sequence[Column], song: Source, sample_rate: int) -> None:
        self._rows = PartRows([columns], song.channels)
        self.sample_rate = sample_rate
        self.channels = song.channels
        self.expected_s: float | None = self._rows.n_rows / sample_rate

    def blocks(self) -> Iterator[Samples]:
        """From the start, ``(channels, samples)``."""
        for block in self._rows.blocks():  # (samples, 1, channels)
            yield block[:, 0].T
