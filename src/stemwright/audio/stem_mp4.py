"""Native Instruments' Stems: an MP4 with five tracks, the mix and four groups, and a ``stem`` box that describes them.

Only the mix is enabled, so that ordinary players play it. The box is in ``moov/udta`` and holds JSON: version, names and
colours of the groups, and settings of a compressor and a limiter on their sum, which are off here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.decode import Decoder
from stemwright.audio.encode import nearest_rate
from stemwright.audio.in_step import in_step
from stemwright.audio.resample import Resampler
from stemwright.errors import storage_error

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

Codec = Literal["aac", "alac"]
N_GROUPS = 4
AAC_BITS_PER_S = 256_000
MASTERING = {
    "compressor": {
        "enabled": False,
        "ratio": 3,
        "output_gain": 0.5,
        "release": 0.300000011920929,
        "attack": 0.003000000026077032,
        "input_gain": 0.5,
        "threshold": 0,
        "hp_cutoff": 300,
        "dry_wet": 50,
    },
    "limiter": {"enabled": False, "release": 0.05000000074505806, "threshold": 0, "ceiling": -0.3499999940395355},
}
"""What the format requires; both are off, so the values are those of the specification's example."""


@dataclass(frozen=True)
class StemGroup:
    """One of the four parts.

    Attributes:
        name: shown by the player.
        colour: ``#RRGGBB``.
        files: sound files that are added up; none: silence.
    """

    name: str
    colour: str
    files: tuple[Path, ...]


def write_stem_mp4(groups: Sequence[StemGroup], out: Path, *, codec: Codec, title: str) -> None:
    """Writes a ``.stem.mp4``; the mix is the sum of the four groups. Memory does not grow with the length.

    Raises:
        UnreadableInputError: a file is no sound file.
        StorageError: the file cannot be written.
    """
    import av.error

    try:
        _write_tracks(groups, out, codec, title)
        with out.open("r+b") as file:
            add_stem_box(file, _metadata(groups))
    except (av.error.FFmpegError, OSError) as error:
        raise storage_error(OSError(error.errno, error.strerror), out) from error


def _metadata(groups: Sequence[StemGroup]) -> bytes:
    stems = [{"name": group.name, "color": group.colour} for group in groups]
    return json.dumps({"version": 1, "stems": stems, "mastering_dsp": MASTERING}).encode()


def _write_tracks(groups: Sequence[StemGroup], out: Path, codec: Codec, title: str) -> None:
    import av

    with ExitStack() as stack:
        decoders = [[stack.enter_context(Decoder(path)) for path in group.files] for group in groups]
        flat = [decoder for group in decoders for decoder in group]
        rate = flat[0].format.sample_rate
        file_rate = nearest_rate("m4a", rate) if codec == "aac" else rate
        container = stack.enter_context(
            av.open(str(out.absolute()), "w", format="ipod", container_options={"movie_timescale": str(file_rate)})
        )
        container.metadata["title"] = title
        tracks = [_Track(container, codec, file_rate) for _ in range(1 + len(groups))]
        container.start_encoding()
        resamplers = [Resampler(rate, file_rate, 2) for _ in tracks]
        for blocks in in_step([iter(decoder) for decoder in flat], 2):
            parts = _sums(blocks, [len(group) for group in decoders])
            for track, resampler, part in zip(tracks, resamplers, parts, strict=True):
                track.write(resampler.process(part))
        for track, resampler in zip(tracks, resamplers, strict=True):
            if rate != file_rate:
                track.write(resampler.process(np.zeros((2, 0), np.float32), last=True))
            track.close()


def _sums(blocks: Sequence[NDArray[np.float32]], counts: Sequence[int]) -> list[NDArray[np.float32]]:
    """The sum of all blocks, and then that of each group."""
    sums, at = [], 0
    for count in counts:
        group = np.zeros(blocks[0].shape, np.float64)
        for block in blocks[at : at + count]:
            group += block
        sums.append(group)
        at += count
    return [part.astype(np.float32) for part in (np.sum(sums, axis=0), *sums)]


class _Track:
    """One encoder."""

    def __init__(self, container: Any, codec: Codec, sample_rate: int) -> None:
        self._container = container
        self._format = "fltp" if codec == "aac" else "s32p"
        self._rate = sample_rate
        self._position = 0
        self._stream = cast("AudioStream", container.add_stream(codec, rate=sample_rate, layout="stereo"))
        self._stream.codec_context.format = self._format
        self._stream.codec_context.thread_count = 1
        if codec == "aac":
            self._stream.codec_context.bit_rate = AAC_BITS_PER_S

    def write(self, block: NDArray[np.float32]) -> None:
        """Adds ``(2, samples)``."""
        import av

        if not block.shape[1]:
            return
        values: NDArray[Any] = block
        if self._format == "s32p":  # 24 bits, in the upper bits of 32
            scaled = np.clip(np.rint(block.astype(np.float64) * (1 << 23)), -(1 << 23), (1 << 23) - 1)
            values = scaled.astype(np.int32) << 8
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(values), format=self._format, layout="stereo")
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._position
        self._position += frame.samples
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Writes what the encoder holds."""
        self._container.mux(self._stream.encode(None))


def add_stem_box(file: IO[bytes], content: bytes) -> None:
    """Adds a ``stem`` box to ``moov/udta`` of an MP4 whose last box is ``moov``, so that no offset changes."""
    box = _box(b"stem", content)
    *_, (name, start, size) = _boxes(file, 0, file.seek(0, 2))
    if name != b"moov":
        raise OSError(0, "the MP4 does not end with its moov box")
    file.seek(start)
    moov = file.read(size)
    user_data = next(((at, n) for child, at, n in _boxes_of(moov, 8) if child == b"udta"), None)
    if user_data is None:
        moov += _box(b"udta", box)
    else:
        at, n_bytes = user_data
        moov = moov[:at] + _box(b"udta", moov[at + 8 : at + n_bytes] + box) + moov[at + n_bytes :]
    file.seek(start)
    file.write(_box(b"moov", moov[8:]))


def read_stem_box(path: Path) -> dict[str, Any]:
    """What the ``stem`` box of an MP4 says.

    Raises:
        ValueError: it has none.
    """
    with path.open("rb") as file:
        for name, start, size in _boxes(file, 0, path.stat().st_size):
            if name == b"moov":
                file.seek(start)
                moov = file.read(size)
                for child, at, n_bytes in _boxes_of(moov, 8):
                    if child == b"udta":
                        for inner, begin, length in _boxes_of(moov[: at + n_bytes], at + 8):
                            if inner == b"stem":
                                return dict(json.loads(moov[begin + 8 : begin + length]))
    raise ValueError("the file has no stem box")


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of each box."""
    while start + 8 <= end:
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        if size < 8:
            return
        yield name, start, size
        start += size


def _boxes_of(content: bytes, start: int) -> Iterator[tuple[bytes, int, int]]:
    while start + 8 <= len(content):
        size, name = struct.unpack(">I4s", content[start : start + 8])
        if size < 8:
            return
        yield name, start, size
        start += size
