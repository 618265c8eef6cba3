"""Reads files of ``torch.save`` with NumPy alone, and without running code in them.

Such a file is a pickle, and tensors' bytes beside it: members of a zip archive, or what follows in the file in the format
before PyTorch 1.6. A pickle names functions that are to be called. Here a name stands for an object of this module that
rebuilds a tensor, makes a table, or does nothing; any other name ends the reading.
"""

from __future__ import annotations

import mmap
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import ModelUnavailableError

Array = NDArray[Any]

STORAGE_TYPES: Mapping[str, str] = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",  # NumPy has none: the upper halves of float32
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
"""NumPy's types of PyTorch's storages; little-endian, as all files that are published."""

FLOATING_POINT = ("DoubleStorage", "FloatStorage", "HalfStorage", "BFloat16Storage")

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001

MAX_PICKLE_BYTES = 64 << 20
"""Pickles without the tensors' bytes; that of a large network with its training history has less than one megabyte."""


class ForeignCodeError(Exception):
    """The pickle names something that is not needed to rebuild tensors; the message is that name."""


class _Table(dict[Any, Any]):
    """An ordered dictionary whose attributes, such as a state dict's ``_metadata``, are left out."""

    def __setstate__(self, state: object) -> None:
        """Ignores the state."""


class _Unchangeable:
    """An object whose attributes a pickle cannot set."""

    def __setstate__(self, state: object) -> None:
        """Refuses the state."""
        raise pickle.UnpicklingError("attributes are set")


@dataclass(frozen=True)
class _Function(_Unchangeable):
    """What a name of the pickle stands for."""

    call: Callable[..., object]

    def __call__(self, *arguments: object) -> object:
        """Calls it."""
        return self.call(*arguments)


@dataclass(frozen=True)
class Named:
    """A class that is named in the pickle and not needed, or an object of it.

    Attributes:
        name: its name.
        parts: arguments that the object was made with.
    """

    name: str
    parts: tuple[object, ...] = ()

    def __call__(self, *parts: object) -> Named:
        """An object of it."""
        return Named(self.name, parts)

    def __setstate__(self, state: object) -> None:
        """Ignores the state."""


@dataclass(frozen=True, eq=False)
class _Storage(_Unchangeable):
    """Numbers of one type, which are in the mapped file; no numbers where only the type is named."""

    type: str
    numbers: Array

    def __call__(self, *arguments: object) -> object:
        """A storage may be named, not called."""
        raise pickle.UnpicklingError("a storage is called")


@dataclass(frozen=True)
class StoredTensor(_Unchangeable):
    """A tensor of the file, whose numbers are read by ``array``."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def is_floating_point(self) -> bool:
        """Whether it has fractions."""
        return self.storage.type in FLOATING_POINT

    def array(self) -> Array:
        """Its numbers: float32 for all types with fractions, the stored type for others.

        What is float32 and contiguous is not copied, but remains in the mapped file.
        """
        numbers = self.storage.numbers
        steps = tuple(step * numbers.itemsize for step in self.strides)
        values: Array = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps, writeable=False)
        if self.storage.type == "BFloat16Storage":
            return (values.astype(np.uint32) << 16).view(np.float32)
        wanted = np.dtype(np.float32 if self.is_floating_point else numbers.dtype)
        return np.require(values, wanted, ["C", "A"]).reshape(self.shape)


def read_torch_file(path: Path, classes: frozenset[str] = frozenset()) -> object:
    """The content of a file: tables, lists, plain values, ``StoredTensor`` and ``Named``.

    Args:
        path: the file, which is mapped into memory while one of its tensors is in use.
        classes: names of classes that the file may mention besides tensors; their objects become ``Named``.

    Raises:
        ForeignCodeError: the pickle names something else, which was not run.
        ModelUnavailableError: the file cannot be read, is damaged, or no such file.
    """
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return _read_zip(file, content, classes) if zipfile.is_zipfile(file) else _read_legacy(content, classes)
    except ForeignCodeError:
        raise
    except FileNotFoundError as error:
        raise ModelUnavailableError(f"There is no {path}; give the checkpoint of a network.") from error
    except OSError as error:
        raise ModelUnavailableError(
            f"{path} cannot be read ({error.strerror or error}); give a checkpoint that you may read."
        ) from error
    except Exception as error:  # pickle's reader raises all kinds of errors for damaged files
        raise damaged(path) from error


def damaged(path: Path) -> ModelUnavailableError:
    """The error of a file that is no complete file of ``torch.save``."""
    return ModelUnavailableError(
        f"{path} is truncated or not a PyTorch checkpoint; download it again, or give another one."
    )


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows the names of this module and no others."""

    def __init__(self, file: IO[bytes], load: Callable[[Any], _Storage], classes: frozenset[str]) -> None:
        super().__init__(file, encoding="utf-8")
        self._load_storage = load
        self._classes = classes

    def find_class(self, module: str, name: str) -> object:
        """The object of this module that a name stands for."""
        full = f"{module}.{name}"
        if full in ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"):
            return _Function(_rebuilt)
        if full == "torch._utils._rebuild_parameter":
            return _Function(_parameter)
        if full == "collections.OrderedDict":
            return _Function(_Table)
        if module == "torch" and name in STORAGE_TYPES:
            return _Storage(name, np.empty(0, STORAGE_TYPES[name]))
        if full in self._classes:
            return Named(full)
        raise ForeignCodeError(full)

    def persistent_load(self, pid: Any) -> _Storage:
        """The storage that the pickle refers to."""
        return self._load_storage(pid)


def _rebuilt(storage: object, offset: object, shape: object, strides: object, *_: object) -> StoredTensor:
    """A tensor, after PyTorch's function of that name; gradients and hooks are left out."""
    if not isinstance(storage, _Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise pickle.UnpicklingError("a tensor without a storage")
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or not all(type(number) is int and number >= 0 for number in numbers):
        raise pickle.UnpicklingError("a tensor of no shape")
    assert isinstance(offset, int)
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True)) if all(shape) else -1
    if last >= len(storage.numbers):
        raise pickle.UnpicklingError("a tensor that is larger than its storage")
    return StoredTensor(storage, offset, shape, strides)


def _parameter(data: object, *_: object) -> object:
    return data


def _storage(type_: object, content: mmap.mmap, start: int, count: int) -> _Storage:
    """Numbers of the file; raises ValueError if it ends before they do."""
    assert isinstance(type_, _Storage)
    return _Storage(type_.type, np.frombuffer(content, type_.numbers.dtype, count, start))


def _read_zip(file: IO[bytes], content: mmap.mmap, classes: frozenset[str]) -> object:
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        (name,) = (name for name in members if name.endswith("data.pkl") and name.count("/") <= 1)
        folder = name.removesuffix("data.pkl")
        if members[name].file_size > MAX_PICKLE_BYTES:
            raise ValueError("a pickle that is too long")
        if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("another order of bytes")

        def storage(pid: Any) -> _Storage:
            kind, type_, key, _, count = pid
            member = members[f"{folder}data/{key}"]
            if kind != "storage" or member.compress_type != zipfile.ZIP_STORED:
                raise ValueError("a storage of another kind")
            if member.file_size != count * type_.numbers.itemsize:
                raise ValueError("a storage of another size")
            head = member.header_offset
            name_length, extra_length = struct.unpack("<HH", content[head + 26 : head + 30])
            return _storage(type_, content, head + 30 + name_length + extra_length, count)

        return _unpickled(archive.read(name), storage, classes)


def _read_legacy(content: mmap.mmap, classes: frozenset[str]) -> object:
    """A magic number, a version, facts of the machine, the content, the keys of the storages, and their numbers."""

    def none(pid: object) -> _Storage:
        raise ValueError("a storage in the head")

    magic, version, facts = (_unpickled(_next_pickle(content), none, frozenset()) for _ in range(3))
    if magic != LEGACY_MAGIC or version != LEGACY_VERSION:
        raise ValueError("another format")
    if not isinstance(facts, Mapping) or facts.get("little_endian") is not True:
        raise ValueError("another order of bytes")
    found: dict[str, _Storage] = {}

    def named(pid: Any) -> _Storage:
        kind, type_, key, _, count, view = pid
        if kind != "storage" or view is not None or type(count) is not int or count < 0:
            raise ValueError("a storage of another kind")
        return found.setdefault(key, _Storage(type_.type, np.broadcast_to(type_.numbers.dtype.type(0), count)))

    def stored(pid: Any) -> _Storage:
        return found[pid[2]]

    pickled = _next_pickle(content)
    _unpickled(pickled, named, classes)
    for key in _unpickled(_next_pickle(content), none, frozenset()):  # type: ignore[attr-defined]  # an error is told
        count = int.from_bytes(content.read(8), "little")
        if count != len(found[key].numbers):
            raise ValueError("a storage of another size")
        found[key] = _storage(found[key], content, content.tell(), count)
        content.seek(found[key].numbers.nbytes, 1)
    return _unpickled(pickled, stored, classes)


def _next_pickle(content: mmap.mmap) -> bytes:
    """The next pickle of a file, which is then at its end."""
    start = content.tell()
    for _, _, place in pickletools.genops(content):  # type: ignore[arg-type]  # a map has read and readline
        if place is not None and place - start > MAX_PICKLE_BYTES:
            raise ValueError("a pickle that is too long")
    return content[start : content.tell()]


def _unpickled(pickled: bytes, storage: Callable[[Any], _Storage], classes: frozenset[str]) -> object:
    # a pickle may name a place in its memo that is far beyond all others, for which memory would be taken
    for operation, argument, _ in pickletools.genops(pickled):
        if "PUT" in operation.name and isinstance(argument, int) and argument > len(pickled):
            raise ValueError("a place beyond the memo")
    return _Unpickler(BytesIO(pickled), storage, classes).load()
