"""Looks into an ONNX file without loading it, to say in one sentence why ONNX Runtime cannot run it.

An ONNX file is a message of protocol buffers (`ModelProto` of onnx.proto). Only the few fields that are needed are read:
versions of the operators, the operators, and name, type and place of each weight. The values of weights are skipped, so
this takes milliseconds for files of gigabytes.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stemwright.errors import ModelUnavailableError

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Domains of operators that ONNX Runtime brings; others are custom operators."""

COARSE_TYPES = {
    2: "uint8",
    3: "int8",
    17: "float8e4m3fn",
    18: "float8e4m3fnuz",
    19: "float8e5m2",
    20: "float8e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4e2m1",
}
"""Types of 8 bits and fewer, by their number in `TensorProto.DataType`."""

QUANTISED = (
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
)
"""Operators of graphs with weights or activations of 8 bits."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_EXTERNAL = 1
"""`TensorProto.DataLocation` of weights in another file."""


@dataclass
class OnnxFacts:
    """What was read of a file.

    Attributes:
        opsets: version of the operators of each domain.
        operators: each operator once, as domain and name, with the name of its first output.
        functions: operators that the file defines itself.
        coarse: name of each weight of 8 bits or fewer, and its type.
        external: name of each weight in another file, and the name of that file.
    """

    opsets: dict[str, int] = field(default_factory=dict)
    operators: dict[tuple[str, str], str] = field(default_factory=dict)
    functions: set[tuple[str, str]] = field(default_factory=set)
    coarse: dict[str, str] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)


def check(path: Path) -> OnnxFacts:
    """Refuses what cannot be run or would sound worse than it should.

    Raises:
        ModelUnavailableError: the file cannot be read, is not a whole ONNX file, has weights in other files or of 8
            bits, or custom operators; the error names the first tensor.
    """
    facts = read(path)
    for tensor, name in facts.external.items():
        state = "which is not there" if not (path.parent / name).is_file() else "and one file is needed"
        raise ModelUnavailableError(
            f"{path} keeps the tensor '{tensor}' in another file, {name}, {state}: save all in one with "
            "`onnx.save(onnx.load(path), path)` of the onnx package, or give another file."
        )
    for tensor, type_ in facts.coarse.items():
        raise ModelUnavailableError(
            f"{path} has weights of 8 bits or fewer (the tensor '{tensor}' is {type_}), which are audible; give the file "
            "in float32 or float16."
        )
    for (domain, operator), tensor in facts.operators.items():
        if (domain, operator) in facts.functions:
            continue
        if domain not in DOMAINS:
            raise ModelUnavailableError(
                f"{path} has the custom operator {domain}.{operator} (for the tensor '{tensor}'), which ONNX Runtime does "
                "not have; export the network again without it."
            )
        if operator in QUANTISED:
            raise ModelUnavailableError(
                f"{path} computes with 8 bits ({operator}, for the tensor '{tensor}'), which is audible; give the file in "
                "float32 or float16."
            )
    return facts


def read(path: Path) -> OnnxFacts:
    """Reads a file.

    Raises:
        ModelUnavailableError: it cannot be read, or is not a whole ONNX file.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            facts = _model(_Bytes(mapped, 0, len(mapped)))
    except OSError as error:
        raise ModelUnavailableError(
            f"{path} cannot be read ({error.strerror or error}); give a file that you may read."
        ) from error
    except ValueError as error:
        raise ModelUnavailableError(f"{path} is cut off or not an ONNX file; download it again.") from error
    if not facts.operators:
        raise ModelUnavailableError(f"{path} is not an ONNX file, or has no operators; give another file.")
    return facts


def _model(message: _Bytes) -> OnnxFacts:
    facts = OnnxFacts()
    for number, value in _fields(message):
        if number == 7:
            _graph(_message(value), facts)
        elif number == 8:
            opset = dict(_fields(_message(value)))
            facts.opsets[_text(opset.get(1))] = _number(opset.get(2, 0))
        elif number == 25:
            function = dict(_fields(_message(value)))
            facts.functions.add((_text(function.get(10)), _text(function.get(1))))
            for inner, node in _fields(_message(value)):
                if inner == 7:
                    _node(_message(node), facts)
    return facts


def _graph(message: _Bytes, facts: OnnxFacts) -> None:
    for number, value in _fields(message):
        if number == 1:
            _node(_message(value), facts)
        elif number == 5:
            _tensor(_message(value), facts)


def _node(message: _Bytes, facts: OnnxFacts) -> None:
    operator = domain = output = ""
    for number, value in _fields(message):
        if number == 2 and not output:
            output = _text(value)
        elif number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:  # an attribute: of constants a tensor, of loops and branches a graph
            for inner, part in _fields(_message(value)):
                if inner == 5:
                    _tensor(_message(part), facts, output)
                elif inner == 6:
                    _graph(_message(part), facts)
    facts.operators.setdefault((domain, operator), output)


def _tensor(message: _Bytes, facts: OnnxFacts, name: str = "") -> None:
    type_, location, file, size = 0, 0, "", 1
    for number, value in _fields(message):
        if number == 1 and isinstance(value, int):
            size *= value
        elif number == 1:
            for one in _packed(_message(value)):
                size *= one
        elif number == 2:
            type_ = _number(value)
        elif number == 8:
            name = _text(value) or name
        elif number == 13:
            entry = dict(_fields(_message(value)))
            if _text(entry.get(1)) == "location":
                file = _text(entry.get(2))
        elif number == 14:
            location = _number(value)
    if location == _EXTERNAL:
        facts.external.setdefault(name, file)
    if type_ in COARSE_TYPES and size > 1:  # a single number is a parameter of an operator
        facts.coarse.setdefault(name, COARSE_TYPES[type_])


@dataclass(frozen=True)
class _Bytes:
    """Bytes of the file from ``start`` to ``end``, which are only read where they are needed."""

    content: mmap.mmap
    start: int
    end: int


def _fields(message: _Bytes) -> Iterator[tuple[int, int | _Bytes]]:
    """Number and value of each field of a message; raises ValueError where it is cut off or not a message."""
    place = message.start
    while place < message.end:
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError("no such kind of field")
        if not number or place + size > message.end:
            raise ValueError("a field is cut off")
        yield number, _Bytes(message.content, place, place + size)
        place += size


def _packed(message: _Bytes) -> Iterator[int]:
    place = message.start
    while place < message.end:
        value, place = _varint(message, place)
        yield value


def _varint(message: _Bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if place >= message.end:
            raise ValueError("a number is cut off")
        byte = message.content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    raise ValueError("a number is too long")


def _message(value: int | _Bytes) -> _Bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message is expected")
    return value


def _number(value: int | _Bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes where a number is expected")
    return value


def _text(value: int | _Bytes | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        raise ValueError("a number where a text is expected")
    return value.content[value.start : value.end].decode("utf-8", errors="replace")
