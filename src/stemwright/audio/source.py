"""What a file says of its sound, and the door through which every file is opened.

PyAV brings FFmpeg's libraries in its wheel, so no FFmpeg has to be installed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stemwright.errors import UnreadableInputError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.codec.context import CodecContext
    from av.container import InputContainer

# Playlists and other formats that open further files or addresses are not among them, whatever a file's name says.
DEMUXERS = (
    "aac,ac3,aiff,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp2,mp3,mpeg,mpegts,"
    "ogg,tta,w64,wav,wv"
)
LOSSLESS_CODECS = {"flac", "alac", "wavpack", "ape", "tta", "truehd", "mlp"}
ENCRYPTED_TAGS = {"drms", "enca"}  # MP4s that were sold with copy protection
READABLE = "use a WAV, AIFF, FLAC, MP3, M4A, AAC, OGG, Opus, WMA, WebM or MP4 file"


@dataclass(frozen=True)
class SourceFormat:
    """The format of a file's first sound track."""

    container: str
    codec: str
    sample_rate: int
    """Hz."""
    file_channels: int
    """As in the file."""
    layout: str
    """libavutil's name: ``mono``, ``stereo``, ``5.1(side)``; ``6 channels`` where the file does not tell."""
    bits: int | None
    """Depth of integer samples (8, 16, 24, 32), 32 for float, None for lossy codecs."""
    is_float: bool
    lossless: bool
    duration_s: float | None
    """As the container claims: it may be absent or wrong."""
    title: str | None
    artist: str | None
    album: str | None

    @property
    def channels(self) -> int:
        """Channels that decoding gives: one for mono, two for all else."""
        return 1 if self.file_channels == 1 else 2


def open_sound(path: Path) -> tuple[InputContainer, AudioStream]:
    """Open a file and find its first sound track; raises UnreadableInputError."""
    import av
    import av.error

    check_file(path)
    try:
        # An absolute path keeps FFmpeg from taking a name with a colon for a protocol.
        container = av.open(
            str(path.absolute()),
            options={"format_whitelist": DEMUXERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableInputError(
            f"{path} is not a sound file that can be read, or it is cut off or damaged: {READABLE}."
        ) from error
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        container.close()
        raise UnreadableInputError(f"{path} has no sound track: {READABLE}.")
    codec: CodecContext | None = stream.codec_context  # PyAV's own types leave out that it can be missing
    if codec is None or codec.codec_tag in ENCRYPTED_TAGS:
        container.close()
        raise UnreadableInputError(
            f"The sound in {path} is encrypted or in a codec that is not known: export it as WAV or FLAC and try again."
        )
    return container, stream


def check_file(path: Path) -> None:
    """Raise UnreadableInputError unless there is a file with something in it that may be read."""
    try:
        if not path.exists():
            raise UnreadableInputError(f"{path} does not exist: check the name.")
        if path.is_dir():
            raise UnreadableInputError(f"{path} is a folder: name a sound file in it.")
        if not path.is_file():
            raise UnreadableInputError(f"{path} is not a regular file: copy the sound to a file first.")
        if path.stat().st_size == 0:
            raise UnreadableInputError(f"{path} is empty: copy or download it again.")
        with path.open("rb") as file:
            file.read(1)
    except PermissionError as error:
        raise UnreadableInputError(f"{path} may not be read: give yourself permission to read it.") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UnreadableInputError(
            f"{path} cannot be read ({error}): copy it to another disk and try again."
        ) from error


def source_format(path: Path, container: InputContainer, stream: AudioStream, first: AudioFrame) -> SourceFormat:
    """Describe an open file by its headers and its first decoded frame: headers are wrong on the rate of HE-AAC."""
    codec = stream.codec_context.name
    pcm = re.fullmatch(r"pcm_([suf])(\d+).*", codec)
    sample_format = first.format.name.rstrip("p")
    lossless = pcm is not None or codec in LOSSLESS_CODECS
    is_float = (pcm is not None and pcm[1] == "f") or (lossless and pcm is None and sample_format in ("flt", "dbl"))
    bits: int | None = None
    if is_float:
        bits = 32
    elif pcm is not None:
        bits = _usual_depth(int(pcm[2]))
    elif lossless:
        bits = _usual_depth(
            _coded_bits(codec, stream.codec_context.extradata) or {"u8": 8, "s16": 16}.get(sample_format, 24)
        )
    tags = _tags(container.metadata) | _tags(stream.metadata)
    return SourceFormat(
        container=container.format.name,
        codec=codec.removesuffix("float"),
        sample_rate=first.sample_rate,
        file_channels=first.layout.nb_channels,
        layout={1: "mono", 2: "stereo"}.get(first.layout.nb_channels, first.layout.name),
        bits=bits,
        is_float=is_float,
        lossless=lossless,
        duration_s=claimed_duration_s(path, container, stream),
        title=tags.get("title"),
        artist=tags.get("artist"),
        album=tags.get("album"),
    )


def claimed_duration_s(path: Path, container: InputContainer, stream: AudioStream) -> float | None:
    """How long the container says the sound is, in seconds."""
    if container.format.name == "wav":
        claimed = _wave_duration_s(path)
        if claimed is not None:
            return claimed
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # The duration of the whole file is that of its longest track, and that may be the picture.
    if container.duration is not None and not container.streams.video:
        return container.duration / 1_000_000
    return None


def _wave_duration_s(path: Path) -> float | None:
    """What a WAVE header claims, for FFmpeg reports no more than is there; None where the header leaves it open."""
    with path.open("rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return None
        bytes_per_second = 0
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            if name == b"data":
                return size / bytes_per_second if bytes_per_second and 0 < size < 0xFFFF0000 else None
            if name == b"fmt " and size >= 16:
                (bytes_per_second,) = struct.unpack("<8xI", file.read(12))
                size -= 12
            file.seek(size + size % 2, 1)
    return None


def _coded_bits(codec: str, extradata: bytes | None) -> int | None:
    """Bits in a sample as the codec's own header states them."""
    if codec == "flac" and extradata is not None:
        info = extradata[8:] if extradata[:4] == b"fLaC" else extradata  # STREAMINFO, RFC 9639 section 8.2
        if len(info) >= 18:
            return ((info[12] & 1) << 4 | info[13] >> 4) + 1
    if codec == "alac" and extradata is not None and len(extradata) >= 36:
        return extradata[17]  # "bitDepth" of ALACSpecificConfig, behind a 12-byte atom header
    return None


def _usual_depth(bits: int) -> int:
    return next(depth for depth in (8, 16, 24, 32) if bits <= depth or depth == 32)


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value.strip() for key, value in metadata.items() if value.strip()}
