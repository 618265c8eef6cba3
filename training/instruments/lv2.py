"""A host of LV2 instrument plug-ins (https://lv2plug.in/ns/lv2core): renders notes faster than real time.

A plug-in may start threads, and corpora are rendered by forked processes. So each part is rendered in a process of its
own (this file, run as a program), where a crash does no harm.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_size_t, c_uint32, c_void_p
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # when run as a program, this file has no package
    from training.compose.note import Note

SAMPLE_RATE_HZ = 44100
BLOCK = 256
LONGEST_RUN_S = 120.0

_NS = "http://lv2plug.in/ns/"
_EVENT_BYTES = 16384

Event = tuple[float, tuple[int, int, int]]
"""Time in seconds, and a MIDI message."""


@dataclass(frozen=True)
class Instrument:
    """An installed plug-in with its settings.

    Attributes:
        binary: the shared library, in its bundle.
        page: the Turtle file with its ports.
        state: text settings by URI.
        is_timed: it seeds random numbers from the clock, so that it runs with a stopped clock to be reproducible.
    """

    binary: str
    page: str
    state: Mapping[str, str]
    is_timed: bool = False


def keys(notes: Sequence[Note]) -> list[Event]:
    """Note-on and note-off events; each note ends before the next onset on its key."""
    struck = [(note.start_s, (0x90, note.pitch, min(127, max(1, note.velocity)))) for note in notes]
    return struck + [(note.end_s - 1e-3, (0x80, note.pitch, 0)) for note in notes]


def stopped_clock() -> dict[str, str]:
    """Environment variables that stop the clock of a process (Debian's ``faketime``); empty if it is not installed."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        return {}
    return {"LD_PRELOAD": str(library), "FAKETIME": "2000-01-01 00:00:00", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def play(instrument: Instrument, events: Sequence[Event], duration_s: float) -> NDArray[np.float32]:
    """Renders MIDI messages, ``(2, samples)`` at 44.1 kHz.

    Raises:
        RuntimeError: the plug-in failed.
    """
    samples = round(duration_s * SAMPLE_RATE_HZ)
    asked = {"instrument": asdict(instrument), "events": sorted(events), "samples": samples}
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound.f32"
        command = [sys.executable, "-P", __file__, str(sound)]
        clock = stopped_clock() if instrument.is_timed else {}
        try:
            done = subprocess.run(
                command,
                input=json.dumps(asked).encode(),
                capture_output=True,
                timeout=LONGEST_RUN_S,
                env={**os.environ, **clock},
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{instrument.binary} played for more than {LONGEST_RUN_S:.0f} s.") from error
        if done.returncode or not sound.exists():
            raise RuntimeError(
                f"{instrument.binary} ended with {done.returncode}: {done.stderr[-500:].decode(errors='replace')}"
            )
        audio = np.fromfile(sound, np.float32).reshape(-1, 2, BLOCK)  # (blocks, channels, samples)
    audio = audio.transpose(1, 0, 2).reshape(2, -1)[:, :samples]
    return np.nan_to_num(audio, posinf=0, neginf=0)


class _Feature(Structure):
    _fields_ = (("uri", c_char_p), ("data", c_void_p))


class _Descriptor(Structure):
    pass


_Descriptor._fields_ = (
    ("uri", c_char_p),
    ("instantiate", CFUNCTYPE(c_void_p, POINTER(_Descriptor), c_double, c_char_p, c_void_p)),
    ("connect_port", CFUNCTYPE(None, c_void_p, c_uint32, c_void_p)),
    ("activate", CFUNCTYPE(None, c_void_p)),
    ("run", CFUNCTYPE(None, c_void_p, c_uint32)),
    ("deactivate", CFUNCTYPE(None, c_void_p)),
    ("cleanup", CFUNCTYPE(None, c_void_p)),
    ("extension_data", CFUNCTYPE(c_void_p, c_char_p)),
)

_MapUri = CFUNCTYPE(c_uint32, c_void_p, c_char_p)
_Schedule = CFUNCTYPE(c_uint32, c_void_p, c_uint32, c_void_p)
_Retrieve = CFUNCTYPE(c_void_p, c_void_p, c_uint32, POINTER(c_size_t), POINTER(c_uint32), POINTER(c_uint32))


class _Map(Structure):
    _fields_ = (("handle", c_void_p), ("map", _MapUri))


class _Worker(Structure):
    _fields_ = (("handle", c_void_p), ("schedule", _Schedule))


class _Option(Structure):
    _fields_ = (
        ("context", c_uint32), ("subject", c_uint32), ("key", c_uint32), ("size", c_uint32), ("type", c_uint32),
        ("value", c_void_p),
    )  # fmt: skip


class _State(Structure):
    _fields_ = (
        ("save", c_void_p),
        ("restore", CFUNCTYPE(c_uint32, c_void_p, _Retrieve, c_void_p, c_uint32, c_void_p)),
    )


class _Host:
    """One running plug-in. It keeps a reference to all memory that the plug-in has pointers to."""

    def __init__(self, instrument: Instrument) -> None:
        self._ids: dict[str, int] = {}
        self._given: list[Any] = []
        library = ctypes.CDLL(instrument.binary)
        library.lv2_descriptor.restype = POINTER(_Descriptor)
        descriptor = library.lv2_descriptor(0)
        self._plug_in: Any = descriptor.contents
        features = self._features()
        bundle = f"{Path(instrument.binary).parent}/"
        self._handle = self._plug_in.instantiate(descriptor, SAMPLE_RATE_HZ, bundle.encode(), features)
        if not self._handle:
            raise RuntimeError("the plug-in wants more of its host than this one has")
        _close_ports()
        self.audio = ((ctypes.c_float * BLOCK)(), (ctypes.c_float * BLOCK)())
        self._input_event, self._output_event = (ctypes.c_uint8 * _EVENT_BYTES)(), (ctypes.c_uint8 * _EVENT_BYTES)()
        self._connect(Path(instrument.page).read_text())
        if instrument.state:
            self._restore(instrument.state)
        self._plug_in.activate(self._handle)

    def run(self, messages: Sequence[tuple[int, Sequence[int]]]) -> None:
        """Renders one block; message times are samples within it."""
        midi, sequence = self._id(f"{_NS}ext/midi#MidiEvent"), self._id(f"{_NS}ext/atom#Sequence")
        events = b"".join(struct.pack("=qII8s", at, 3, midi, bytes(message)) for at, message in messages)
        content = struct.pack("=IIII", 8 + len(events), sequence, 0, 0) + events
        if len(content) > _EVENT_BYTES:
            raise RuntimeError(f"{len(messages)} messages within {BLOCK} samples are more than the plug-in can be told")
        ctypes.memmove(self._input_event, content, len(content))
        ctypes.memmove(self._output_event, struct.pack("=II", _EVENT_BYTES - 8, sequence), 8)
        self._plug_in.run(self._handle, BLOCK)

    def _id(self, uri: str) -> int:
        return self._ids.setdefault(uri, len(self._ids) + 1)

    def _features(self) -> Any:
        mapped = _Map(None, _MapUri(lambda _, uri: self._id(uri.decode())))
        worker = _Worker(None, _Schedule(lambda _, size, data: 0))
        block, rate = ctypes.c_int32(BLOCK), ctypes.c_float(SAMPLE_RATE_HZ)
        whole, real = self._id(f"{_NS}ext/atom#Int"), self._id(f"{_NS}ext/atom#Float")
        options = (_Option * 4)(
            _Option(0, 0, self._id(f"{_NS}ext/buf-size#nominalBlockLength"), 4, whole, ctypes.addressof(block)),
            _Option(0, 0, self._id(f"{_NS}ext/buf-size#maxBlockLength"), 4, whole, ctypes.addressof(block)),
            _Option(0, 0, self._id(f"{_NS}ext/parameters#sampleRate"), 4, real, ctypes.addressof(rate)),
        )
        features = [
            _Feature(f"{_NS}ext/urid#map".encode(), ctypes.addressof(mapped)),
            _Feature(f"{_NS}ext/worker#schedule".encode(), ctypes.addressof(worker)),
            _Feature(f"{_NS}ext/options#options".encode(), ctypes.addressof(options)),
            _Feature(f"{_NS}ext/buf-size#boundedBlockLength".encode(), None),
        ]
        listed = (c_void_p * (len(features) + 1))(*map(ctypes.addressof, features))
        self._given += [mapped, worker, block, rate, options, features, listed]
        return ctypes.cast(listed, c_void_p)

    def _connect(self, page: str) -> None:
        sounds, places = iter(self.audio), []
        for port in re.findall(r"\[([^\[\]]*lv2:index[^\[\]]*)\]", page):
            index, is_input = int(re.findall(r"lv2:index\s+(\d+)", port)[0]), "InputPort" in port
            place: Any
            if "AudioPort" in port:
                place = (ctypes.c_float * BLOCK)() if is_input else next(sounds)
            elif "AtomPort" in port:
                place = self._input_event if is_input else self._output_event
            else:
                default = re.search(r"lv2:default\s+([-\d.]+)", port)
                place = ctypes.c_float(float(default[1]) if default else 0.0)
            self._plug_in.connect_port(self._handle, index, ctypes.addressof(place))
            places.append(place)
        self._given.append(places)

    def _restore(self, state: Mapping[str, str]) -> None:
        text = self._id(f"{_NS}ext/atom#String")
        held = {self._id(uri): ctypes.create_string_buffer(value.encode()) for uri, value in state.items()}

        def retrieve(_: Any, key: int, size: Any, kind: Any, flags: Any) -> int | None:
            if key not in held:
                return None
            size[0], kind[0], flags[0] = len(held[key]), text, 3  # LV2_STATE_IS_POD and LV2_STATE_IS_PORTABLE
            return ctypes.addressof(held[key])

        address = self._plug_in.extension_data(f"{_NS}ext/state#interface".encode())
        interface: Any = ctypes.cast(address, POINTER(_State)).contents
        called = _Retrieve(retrieve)
        self._given += [held, called]
        if interface.restore(self._handle, called, None, 0, None):
            raise RuntimeError("the plug-in does not take its settings")


def _close_ports() -> None:
    """Replaces the sockets that a plug-in listens on by unbound ones, so that no other process can connect."""
    for name in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        with suppress(OSError), socket.socket(fileno=os.dup(name)) as found:
            if found.family in (socket.AF_INET, socket.AF_INET6):
                with socket.socket(found.family, found.type) as unused:
                    os.dup2(unused.fileno(), name)


def _main() -> None:
    asked = json.load(sys.stdin)
    host = _Host(Instrument(**asked["instrument"]))
    blocks: dict[int, list[tuple[int, Sequence[int]]]] = {}
    for time_s, message in asked["events"]:
        block, at = divmod(max(0, round(time_s * SAMPLE_RATE_HZ)), BLOCK)
        blocks.setdefault(block, []).append((at, message))
    with Path(sys.argv[1]).open("wb") as sound:
        for block in range(-(-asked["samples"] // BLOCK)):
            host.run(blocks.get(block, ()))
            for channel in host.audio:
                sound.write(channel)
    os._exit(0)  # do not wait for the plug-in's threads


if __name__ == "__main__":
    _main()
