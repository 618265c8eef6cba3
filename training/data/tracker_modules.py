"""Tracker modules from Debian packages as multitracks: songs whose instruments can be rendered separately.

    python -m training.data.tracker_modules --root / --out training/permissive
    scripts/recordings training/permissive --permissive     # downloads, cuts and deletes these packages too

A module holds notes and samples. ``tracker_modules.toml`` gives the instruments that are drums, bass or percussion,
and those that are certainly neither these nor vocals (``not-...``); all others are left out. libopenmpt renders the
instruments that are not muted; rendered separately, they add up to the song. A piece is
``<out>/<package>-<song>-<number>/<label>.flac``, as in ``training.data.recordings``.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemwright.stems import SINGING, STEMS
from training.data.features import SAMPLE_RATE_HZ
from training.data.recordings import MIN_PIECE_S, PERMISSIVE, PIECE_S, add_arguments, not_found_message
from training.data.songs import SILENCE_PEAK, label_excluding, write_song

TABLE = Path(__file__).with_name("tracker_modules.toml")
LABELLED_STEMS = ("drums", "bass", "percussion")
"""Stems that the table names in every module; ``rest`` is for instruments that are certainly none of these."""

REST = "rest"

Audio = NDArray[np.float32]

_MUTE_INSTRUMENT, _INTERACTIVE_CALLS = 12, 16
"""In libopenmpt's interface ``interactive``: the index of the function that mutes, and the number of functions."""


@dataclass(frozen=True)
class TrackerModule:
    """One module: its package, its file below the root, and the instruments of each part, a stem or ``rest``."""

    package: str
    licence: str
    path: Path
    parts: Mapping[str, tuple[int, ...]]

    def label(self, part: str) -> str:
        """The label of that part's file."""
        return label_excluding((*SINGING, *LABELLED_STEMS)) if part == REST else part


def modules(*, permissive: bool = False) -> tuple[TrackerModule, ...]:
    """The table of modules, or only those under permissive licences.

    Raises:
        ValueError: a part is not a stem, or an instrument is in two parts.
    """
    found = []
    for package in tomllib.loads(TABLE.read_text())["package"]:
        for name, parts in package["songs"].items():
            path = Path(package["path"]) / f"{name}.xm"
            song = TrackerModule(
                package["name"], package["licence"], path, {part: tuple(of) for part, of in parts.items()}
            )
            instruments = [instrument for of in song.parts.values() for instrument in of]
            if not set(song.parts) <= {*STEMS, REST} or len(set(instruments)) < len(instruments):
                raise ValueError(
                    f"{TABLE}: {name} of {song.package} has a part that is not a stem, or an instrument twice."
                )
            if not permissive or song.licence in PERMISSIVE:
                found.append(song)
    return tuple(found)


class ModulePlayer:
    """libopenmpt (its C interface ``ext``), which Debian packages as ``libopenmpt0``.

    Raises:
        OSError: it is not installed.
    """

    def __init__(self) -> None:
        name = ctypes.util.find_library("openmpt")
        if name is None:
            raise OSError("Modules are played by libopenmpt. Install it: apt-get install libopenmpt0")
        self._library = ctypes.CDLL(name)
        pointer = ctypes.c_void_p
        for function, result, arguments in (
            ("openmpt_module_ext_create_from_memory", pointer, (ctypes.c_char_p, ctypes.c_size_t, *[pointer] * 7)),
            ("openmpt_module_ext_destroy", None, (pointer,)),
            ("openmpt_module_ext_get_module", pointer, (pointer,)),
            ("openmpt_module_ext_get_interface", ctypes.c_int, (pointer, ctypes.c_char_p, pointer, ctypes.c_size_t)),
            ("openmpt_module_get_num_instruments", ctypes.c_int, (pointer,)),
            (
                "openmpt_module_read_interleaved_float_stereo",
                ctypes.c_size_t,
                (pointer, ctypes.c_int, ctypes.c_size_t, pointer),
            ),
        ):
            getattr(self._library, function).restype = result
            getattr(self._library, function).argtypes = arguments

    def play(self, content: bytes, instruments: Collection[int] | None = None) -> Audio:
        """``(2, samples)`` of these instruments of a module, or of all, from its start to its end.

        Raises:
            ValueError: it is not a module, or has no such instrument, or this libopenmpt cannot mute.
        """
        library = self._library
        module = library.openmpt_module_ext_create_from_memory(content, len(content), *[None] * 7)
        if not module:
            raise ValueError("This is not a tracker module that libopenmpt knows.")
        try:
            played = library.openmpt_module_ext_get_module(module)
            if instruments is not None:
                self._mute_others(module, instruments, library.openmpt_module_get_num_instruments(played))
            blocks = list(self._blocks(played))
        finally:
            library.openmpt_module_ext_destroy(module)
        return np.concatenate([*blocks, np.zeros((0, 2), np.float32)]).T  # (samples, 2) -> (2, samples)

    def _mute_others(self, module: int, instruments: Collection[int], count: int) -> None:
        if wrong := sorted(set(instruments) - set(range(count))):
            raise ValueError(f"The module has {count} instruments, from 0, and no {wrong[0]}.")
        calls = (ctypes.c_void_p * _INTERACTIVE_CALLS)()
        known = self._library.openmpt_module_ext_get_interface(module, b"interactive", calls, ctypes.sizeof(calls))
        address = calls[_MUTE_INSTRUMENT]
        if not known or not address:
            raise ValueError("This libopenmpt cannot mute instruments: install a later one.")
        mute = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)(address)
        for instrument in range(count):
            if not mute(module, instrument, instrument not in instruments):
                raise ValueError(f"libopenmpt could not mute instrument {instrument}.")

    def _blocks(self, module: int) -> Iterator[Audio]:
        """Blocks ``(samples, 2)``."""
        buffer = np.empty((SAMPLE_RATE_HZ, 2), np.float32)
        while count := self._library.openmpt_module_read_interleaved_float_stereo(
            module, SAMPLE_RATE_HZ, len(buffer), buffer.ctypes.data
        ):
            yield buffer[:count].copy()


def cut(song: TrackerModule, root: Path, player: ModulePlayer, out: Path) -> int:
    """Writes a module as pieces, each whole or not at all; returns their number.

    Raises:
        ValueError: the file differs from the module in the table.
    """
    content = (root / song.path).read_bytes()
    parts = {song.label(part): player.play(content, of) for part, of in song.parts.items()}
    length = PIECE_S * SAMPLE_RATE_HZ
    samples = max(audio.shape[1] for audio in parts.values())
    starts = range(0, samples - MIN_PIECE_S * SAMPLE_RATE_HZ, length)
    for number, start in enumerate(starts):
        folder = out / f"{song.package}-{song.path.stem}-{number:02d}"
        pieces = {label: audio[:, start : start + length] for label, audio in parts.items()}
        audible = {label: piece for label, piece in pieces.items() if np.abs(piece).max(initial=0) > SILENCE_PEAK}
        if audible and not folder.exists():
            write_song(folder, audible)
    return len(starts)


def main() -> None:
    """Reads the command line and cuts what is there."""
    parser = argparse.ArgumentParser(description="Cuts tracker modules that Debian packages into a training corpus.")
    add_arguments(parser)
    options = parser.parse_args()
    table = modules(permissive=options.permissive)
    packages = sorted({song.package for song in table})
    if options.packages:
        print(*packages, sep="\n")
        return
    there = [song for song in table if (options.root / song.path).exists()]
    if not there:
        parser.exit(1, not_found_message(options.root, packages))
    try:
        player = ModulePlayer()
    except OSError as error:
        parser.exit(1, f"{error}\n")
    for song in there:
        print(f"{song.package} {song.path.stem}: {cut(song, options.root, player, options.out)} pieces", flush=True)


if __name__ == "__main__":
    main()
