"""The contract of an ONNX file: what its tensors mean, as data.

An ONNX file states names, types and shapes of its inputs and outputs, but not what they mean. Published separators are
cut at different places: some graphs contain the short-time Fourier transform and map samples to samples, others map a
spectrum to a mask or to spectra and leave the transform to the caller. A contract says which, so one engine
(``runtimes/onnx_waveform.py``) runs all of them. It is a table of ``registry.toml``, or of the TOML that
``stemwright models add`` takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from stemwright.errors import ModelUnavailableError
from stemwright.models.tensor_layout import TensorLayout

Kind = Literal["waveform", "complex_spectrum", "complex_mask"]
Part = Literal["both", "real", "imaginary"]
ElementType = Literal["float32", "float16"]
Padding = Literal["reflect", "zero"]
Normalisation = Literal["none", "mean_std"]
Window = Literal["hann", "rectangular"]
Envelope = Literal["local", "infinite"]

WAVEFORM_AXES = frozenset({"channel", "sample"})
SPECTRUM_AXES = frozenset({"channel", "bin", "frame"})

_Table = TypeVar("_Table")


@dataclass(frozen=True)
class GraphTensor:
    """An input or output of the graph.

    Attributes:
        name: its name in the graph.
        kind: ``waveform``, ``complex_spectrum``, or, for outputs, ``complex_mask``, which the spectrum of the mix is
            multiplied by.
        layout: its axes (``tensor_layout``). A waveform has ``channel`` and ``sample``, a spectrum or mask ``channel``,
            ``bin``, ``frame`` and ``part`` (real and imaginary). An output has ``source`` too, over the labels of the
            model in their order, unless there is one label.
        part: ``both``; or ``real`` or ``imaginary``, where two tensors without a ``part`` axis hold one spectrum.
        type: ``float32`` or ``float16``.
    """

    name: str
    kind: Kind
    layout: str
    part: Part = "both"
    type: ElementType = "float32"

    def __post_init__(self) -> None:
        """Raises ValueError for a layout that does not fit the kind."""
        wanted = WAVEFORM_AXES if self.kind == "waveform" else SPECTRUM_AXES
        if self.kind != "waveform" and self.part == "both":
            wanted = wanted | {"part"}
        axes = frozenset(self.axes.axes)
        if axes - {"source"} != wanted:
            raise ValueError(
                f"the layout '{self.layout}' of '{self.name}' has other axes than {', '.join(sorted(wanted))}"
                " and perhaps source"
            )
        if self.kind == "waveform" and self.part != "both":
            raise ValueError(f"'{self.name}' is a waveform, which has no part '{self.part}'")

    @cached_property
    def axes(self) -> TensorLayout:
        """The parsed layout."""
        return TensorLayout.parse(self.layout)


@dataclass(frozen=True)
class GraphTransform:
    """The short-time Fourier transform around a graph.

    Attributes:
        n_fft: FFT size in samples.
        hop: hop size in samples.
        window: ``hann``, which is periodic, or ``rectangular``, for analysis and synthesis.
        window_length: length of the window in samples, in the middle of the frame; 0 for ``n_fft``.
        centred: frame k is centred on sample k * hop, and the ends are padded; otherwise it begins there.
        offset: samples by which centred frames are later than that.
        frames: number of frames; 0 for all that are centred on, or otherwise within, the chunk.
        padding: what the ends are padded with: ``reflect`` or ``zero``.
        envelope: the inverse is divided by the sum of the squared windows over each sample: of the frames that there
            are (``local``), or of frames without end (``infinite``), so that both ends of a chunk fade.
        normalised: the spectrum is divided by the square root of ``n_fft``.
        bins: bins that the graph has, from the lowest; the others of its outputs are zero. 0 for all.
        zeroed_input_bins: lowest bins that are set to zero in the input.
        zeroed_output_bins: lowest bins that are set to zero in the outputs.
    """

    n_fft: int
    hop: int
    window: Window = "hann"
    window_length: int = 0
    centred: bool = True
    offset: int = 0
    frames: int = 0
    padding: Padding = "reflect"
    envelope: Envelope = "local"
    normalised: bool = False
    bins: int = 0
    zeroed_input_bins: int = 0
    zeroed_output_bins: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for sizes that contradict each other."""
        if self.n_fft < 2 or self.n_fft % 2:
            raise ValueError(f"n_fft is {self.n_fft}, which is not an even number of samples")
        if not 0 <= self.window_length <= self.n_fft:
            raise ValueError(f"window_length is {self.window_length}, which does not fit n_fft = {self.n_fft}")
        if not 1 <= 2 * self.hop <= self.window_samples:
            raise ValueError(f"hop is {self.hop}, which is not between 1 and half of the window")
        if not 0 <= self.bins <= self.n_fft // 2 + 1:
            raise ValueError(f"bins is {self.bins}, but n_fft = {self.n_fft} has {self.n_fft // 2 + 1}")
        if not 0 <= self.offset < self.hop or (self.offset and not self.centred):
            raise ValueError(f"offset is {self.offset}, which is not between 0 and the hop of centred frames")
        if self.frames < 0:
            raise ValueError(f"frames is {self.frames}, which is negative")
        if self.envelope == "infinite" and self.n_fft % self.hop:
            raise ValueError(f"envelope 'infinite' needs an n_fft that is a multiple of the hop, not {self.n_fft}")
        for name in ("zeroed_input_bins", "zeroed_output_bins"):
            if not 0 <= getattr(self, name) <= self.n_bins:
                raise ValueError(f"{name} is {getattr(self, name)}, but there are {self.n_bins} bins")

    @property
    def window_samples(self) -> int:
        """Length of the window in samples."""
        return self.window_length or self.n_fft

    @property
    def lead_samples(self) -> int:
        """Samples of padding before the first sample of the chunk."""
        return self.n_fft // 2 - self.offset if self.centred else 0

    @property
    def n_bins(self) -> int:
        """Bins that the graph has."""
        return self.bins or self.n_fft // 2 + 1

    def n_frames(self, n_samples: int) -> int:
        """Frames of that many samples."""
        return self.frames or self._all_frames(n_samples)

    def check_frames(self, n_samples: int) -> None:
        """Raises ValueError for a number of frames that leaves samples out, or goes on after the chunk."""
        most = self._all_frames(n_samples)
        if self.frames and not most <= self.frames <= most + 1:
            raise ValueError(f"{self.frames} frames do not fit a chunk of {n_samples} samples, which has {most}")

    def _all_frames(self, n_samples: int) -> int:
        return (n_samples - (self.offset if self.centred else self.n_fft)) // self.hop + 1


@dataclass(frozen=True)
class OnnxContract:
    """The meaning of a graph's inputs and outputs.

    Attributes:
        inputs: its inputs.
        outputs: its outputs; if there are several of different kinds, the stems are the sum of what they give.
        transform: the transform of spectra; None if all tensors are waveforms.
        margin_samples: zeros before and after each chunk, whose outputs are dropped.
        tail_samples: more zeros after each chunk. The graph runs on ``chunk_samples + 2 * margin_samples +
            tail_samples``.
        normalisation: ``none``, or ``mean_std``: the graph gets each chunk less the mean and divided by the standard
            deviation of its mono mix, and the outputs are scaled back.
        compensate: factor of the sources where they are subtracted from the mix, for stems that are its rest.
    """

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    transform: GraphTransform | None = None
    margin_samples: int = 0
    tail_samples: int = 0
    normalisation: Normalisation = "none"
    compensate: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError for tensors that do not go together."""
        names = [tensor.name for tensor in (*self.inputs, *self.outputs)]
        if not self.inputs or not self.outputs:
            raise ValueError("a graph has at least one input and one output")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"'{twice}' is named twice")
        for tensor in self.inputs:
            if tensor.kind == "complex_mask" or "source" in tensor.axes.axes:
                raise ValueError(f"the input '{tensor.name}' is the mix, which is no mask and has no source axis")
        _check_parts(self.inputs)
        _check_parts(self.outputs)
        if self.has_spectra and self.transform is None:
            raise ValueError("spectra and masks need a table 'transform'")
        if not self.has_spectra and self.transform is not None:
            raise ValueError("a graph of waveforms has no 'transform'")
        for name in ("margin_samples", "tail_samples"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, which is negative")
        if not 0.5 <= self.compensate <= 2:
            raise ValueError(f"compensate is {self.compensate:g}, which is not between 0.5 and 2")
        transform = self.transform
        if transform and not transform.centred and self.margin_samples < transform.n_fft:
            raise ValueError(
                f"without 'centred' margin_samples must be n_fft = {transform.n_fft} or more: the first and the last "
                "samples would be in too few frames"
            )

    @property
    def has_spectra(self) -> bool:
        """Whether a tensor is a spectrum or a mask."""
        return any(tensor.kind != "waveform" for tensor in (*self.inputs, *self.outputs))

    def sizes(self, *, chunk_samples: int, n_sources: int) -> dict[str, int]:
        """Size of each axis of the layouts.

        Raises:
            ValueError: an output has no source axis and there are several sources, or the chunk is too short.
        """
        for tensor in self.outputs:
            if n_sources != 1 and "source" not in tensor.axes.axes:
                raise ValueError(f"the output '{tensor.name}' has no source axis for {n_sources} labels")
        n_samples = chunk_samples + 2 * self.margin_samples + self.tail_samples
        sizes = {"source": n_sources, "channel": 2, "part": 2, "sample": n_samples}
        if self.transform is not None:
            if n_samples < self.transform.n_fft:
                raise ValueError(f"a chunk of {n_samples} samples is shorter than n_fft = {self.transform.n_fft}")
            self.transform.check_frames(n_samples)
            sizes |= {"bin": self.transform.n_bins, "frame": self.transform.n_frames(n_samples)}
        return sizes

    @classmethod
    def from_table(cls, table: Mapping[str, Any], source: str) -> OnnxContract:
        """Parses a contract.

        Args:
            table: the table ``onnx``.
            source: where it was read, for error messages.

        Raises:
            ModelUnavailableError: a key is unknown or missing, or has a value that is not valid.
        """
        try:
            facts = dict(_read(cls, table, "onnx", skipped=("inputs", "outputs", "transform")))
            for name in ("inputs", "outputs"):
                if not isinstance(table.get(name), list | tuple):
                    raise ValueError(f"it has no list of tables 'onnx.{name}'")
                facts[name] = tuple(
                    GraphTensor(**_read(GraphTensor, tensor, f"onnx.{name}[{index}]"))
                    for index, tensor in enumerate(table[name])
                )
            if "transform" in table:
                facts["transform"] = GraphTransform(**_read(GraphTransform, table["transform"], "onnx.transform"))
            return cls(**facts)
        except ValueError as error:
            raise ModelUnavailableError(
                f"{source} has no valid contract of an ONNX file: {error}; correct it."
            ) from error

    def to_table(self) -> dict[str, Any]:
        """The table that ``from_table`` reads."""
        table = _differences(self, skipped=("inputs", "outputs", "transform"))
        if self.transform is not None:
            table["transform"] = _differences(self.transform)
        return table | {
            "inputs": [_differences(tensor) for tensor in self.inputs],
            "outputs": [_differences(tensor) for tensor in self.outputs],
        }


def _check_parts(tensors: tuple[GraphTensor, ...]) -> None:
    """Raises ValueError unless every real part has one imaginary part of the same kind."""
    for kind in ("complex_spectrum", "complex_mask"):
        parts = sorted(tensor.part for tensor in tensors if tensor.kind == kind)
        if parts not in ([], ["both"], ["imaginary", "real"]):
            names = ", ".join(f"'{tensor.name}'" for tensor in tensors if tensor.kind == kind)
            raise ValueError(f"{names} are not one {kind.replace('_', ' ')}, nor its real and its imaginary part")
    if sum(tensor.kind == "waveform" for tensor in tensors) > 1:
        raise ValueError("there are two waveforms where one is possible")


def _read(kind: type[Any], table: object, place: str, skipped: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of a table for a dataclass; raises ValueError for what does not fit."""
    if not isinstance(table, Mapping):
        raise ValueError(f"'{place}' is not a table")
    hints = get_type_hints(kind)
    for name, value in table.items():
        if name not in hints:
            raise ValueError(f"'{place}.{name}' is unknown; there are {', '.join(hints)}")
        if name not in skipped and not _fits(value, hints[name]):
            choices = get_args(hints[name])
            raise ValueError(
                f"'{place}.{name}' is {value!r}" + (f", which is none of {', '.join(choices)}" if choices else "")
            )
    for field in dataclasses.fields(kind):
        if field.name not in table and field.name not in skipped and field.default is dataclasses.MISSING:
            raise ValueError(f"'{place}.{field.name}' is missing")
    return {name: value for name, value in table.items() if name not in skipped}


def _fits(value: object, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and isinstance(value, bool) == (hint is bool)


def _differences(instance: Any, skipped: tuple[str, ...] = ()) -> dict[str, Any]:
    """The attributes that are not the defaults."""
    return {
        field.name: getattr(instance, field.name)
        for field in dataclasses.fields(instance)
        if field.name not in skipped and getattr(instance, field.name) != field.default
    }
