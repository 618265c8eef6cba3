"""Opens audio files and reads their format.

PyAV's wheel includes FFmpeg's libraries, so FFmpeg need not be installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stemwright.audio.containers.mp4 import LEAST_BYTES_PER_S
from stemwright.audio.containers.part import Part
from stemwright.audio.containers.pieces import PieceFile
from stemwright.errors import UnreadableInputError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.codec.context import CodecContext
    from av.container import InputContainer
    from av.packet import Packet

# No playlists, or other formats that open further files or URLs, whatever the name of the file.
DEMUXERS = (
    "aac,ac3,aiff,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp2,mp3,mpeg,mpegts,"
    "ogg,tta,w64,wav,wv"
)
LOSSLESS_CODECS = {"flac", "alac", "wavpack", "ape", "tta", "truehd", "mlp"}
ENCRYPTED_TAGS = {"drms", "enca"}  # MP4s that were sold with copy protection
# The least bytes of a sample (of all channels) in codecs whose frames have a smallest size.
LEAST_BYTES = {"aac": 4 / 2048, "mp3": 40 / 1152, "mp2": 40 / 1152, "ac3": 64 / 1536}
MOST_ERRORS = 10  # of the demuxer in a row; then the file is taken to end
MOST_TAG_BYTES = 1 << 26
SILENT_MP3 = 4 * (b"\xff\xfb\x10\xc4".ljust(104, b"\0"))  # follows a tag, for the demuxer of MP3
READABLE = "use a WAV, AIFF, FLAC, MP3, M4A, AAC, OGG, Opus, WMA, WebM or MP4 file"


@dataclass(frozen=True)
class SourceFormat:
    """The format of a file's first audio track."""

    container: str
    codec: str
    sample_rate: int
    """Hz."""
    file_channels: int
    """As in the file."""
    layout: str
    """libavutil's name: ``mono``, ``stereo``, ``5.1(side)``; ``6 channels`` if the file does not say."""
    bits: int | None
    """Depth of integer samples (8, 16, 24, 32), 32 for float, None for lossy codecs."""
    is_float: bool
    lossless: bool
    duration_s: float | None
    """The longest that the bytes of the file can be, in seconds; None if the headers do not say."""
    title: str | None
    artist: str | None
    album: str | None

    @property
    def channels(self) -> int:
        """Channels after decoding: one for mono, two for all else."""
        return 1 if self.file_channels == 1 else 2


def open_sound(path: Path, part: Part) -> tuple[InputContainer, AudioStream, PieceFile | None]:
    """Open a part of a file and find its first audio track; raises UnreadableInputError.

    The last one is the file of the pieces, if the part is in pieces: close it after the container.
    """
    import av
    import av.error

    check_file(path)
    options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
    if part.keep is not None:
        options["ignore_editlist"] = "1"
    pieces: PieceFile | None = None
    try:
        if part.pieces is not None:
            pieces = PieceFile(path.open("rb"), part.pieces)
        # An absolute path, so that FFmpeg does not treat a name with a colon as a protocol.
        container = av.open(
            str(path.absolute()) if pieces is None else pieces,
            "r",
            format=part.demuxer,
            options=options,
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if pieces is not None:
            pieces.close()
        raise UnreadableInputError(
            f"{path} is not an audio file that can be read, or it is cut off or damaged: {READABLE}."
        ) from error
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        _close(container, pieces)
        raise UnreadableInputError(f"{path} has no audio track: {READABLE}.")
    codec: CodecContext | None = stream.codec_context  # PyAV's types do not say that it can be None
    if codec is None or codec.codec_tag in ENCRYPTED_TAGS:
        _close(container, pieces)
        raise UnreadableInputError(
            f"The audio in {path} is encrypted or in a codec that is not known: export it as WAV or FLAC and try again."
        )
    return container, stream, pieces


def packets_of(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """The packets of a stream, an empty one last.

    After damage a demuxer may raise an error and then continue. If it does not, the length shows what is missing.
    """
    import av.error

    n_errors = 0
    while n_errors < MOST_ERRORS:
        try:
            for packet in container.demux(stream):
                n_errors = 0
                yield packet
            return
        except (av.error.FFmpegError, OSError):
            n_errors += 1


def _close(container: InputContainer, pieces: PieceFile | None) -> None:
    container.close()
    if pieces is not None:
        pieces.close()


def check_file(path: Path) -> None:
    """Raises UnreadableInputError unless the file exists, is not empty and is readable."""
    try:
        if not path.exists():
            raise UnreadableInputError(f"{path} does not exist: check the name.")
        if path.is_dir():
            raise UnreadableInputError(f"{path} is a folder: name an audio file in it.")
        if not path.is_file():
            raise UnreadableInputError(f"{path} is not a regular file: copy the audio to a file first.")
        if path.stat().st_size == 0:
            raise UnreadableInputError(f"{path} is empty: copy or download it again.")
        with path.open("rb") as file:
            file.read(1)
    except PermissionError as error:
        raise UnreadableInputError(f"{path} cannot be read (permission denied): change its permissions.") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise UnreadableInputError(
            f"{path} cannot be read ({error}): copy it to another disk and try again."
        ) from error


def source_format(
    container: InputContainer,
    stream: AudioStream,
    first: AudioFrame,
    held_s: float | None,
    front_tags: Mapping[str, str],
) -> SourceFormat:
    """Describe an open file by its headers and its first decoded frame. (In HE-AAC the header has half the rate.)

    Tags of the file itself take precedence over ``front_tags``.
    """
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
    tags = _tags(front_tags) | _tags(container.metadata) | _tags(stream.metadata)
    return SourceFormat(
        container=container.format.name,
        codec=codec.removesuffix("float"),
        sample_rate=first.sample_rate,
        file_channels=first.layout.nb_channels,
        layout={1: "mono", 2: "stereo"}.get(first.layout.nb_channels, first.layout.name),
        bits=bits,
        is_float=is_float,
        lossless=lossless,
        duration_s=held_s,
        title=tags.get("title"),
        artist=tags.get("artist"),
        album=tags.get("album"),
    )


def front_tags(path: Path, part: Part) -> dict[str, str]:
    """The ID3 tag before a header, read by FFmpeg's demuxer of MP3; empty if there is none that it can read."""
    import av
    import av.error

    if part.front_tags is None or part.front_tags.stop > MOST_TAG_BYTES:
        return {}
    with path.open("rb") as file:
        pieces = PieceFile(file, (part.front_tags, SILENT_MP3))
        try:
            with av.open(pieces, "r", format="mp3", metadata_errors="replace") as container:
                return dict(container.metadata)
        except (av.error.FFmpegError, OSError, ValueError):
            return {}


def held_and_claimed_s(
    path: Path, container: InputContainer, stream: AudioStream, part: Part
) -> tuple[float | None, float | None]:
    """The longest that the bytes of the file can be, and the length by the header, both in seconds."""
    if part.length is not None:
        return part.length.held_s, part.length.claimed_s
    claimed: float | None = None
    if stream.duration is not None and stream.time_base is not None:
        claimed = float(stream.duration * stream.time_base)
    # The duration of the file is that of its longest track, which may be the video.
    elif container.duration is not None and not container.streams.video:
        claimed = container.duration / 1_000_000
    if claimed is None or claimed <= 0:
        return None, None
    most = path.stat().st_size / _least_bytes_per_s(stream)
    # A length that no file of this size can have is a placeholder, or wrong, but not a sign of damage.
    return (claimed, claimed) if claimed <= most else (most, None)


def _least_bytes_per_s(stream: AudioStream) -> float:
    """The fewest bytes that a second of sound takes in the stream's codec."""
    codec = stream.codec_context
    pcm = re.fullmatch(r"pcm_[suf](\d+).*", codec.name)
    of_a_sample = int(pcm[1]) / 8 * codec.channels if pcm else LEAST_BYTES.get(codec.name.removesuffix("float"), 0.0)
    return max(LEAST_BYTES_PER_S, of_a_sample * codec.sample_rate)


def _coded_bits(codec: str, extradata: bytes | None) -> int | None:
    """Bits of a sample by the codec's own header."""
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
