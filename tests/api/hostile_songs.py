"""Files that mean harm: tiny ones that claim or hold hours, ones that would open other files, ones that are no songs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

RATE = 8000
BLOCK = 65_535  # samples, the most that a frame of FLAC holds


def wav(rate: int, samples: int, *, channels: int = 1, claimed_bytes: int | None = None) -> bytes:
    """A WAV of quiet noise in 16 bits; its header claims another size where that is given."""
    noise = np.random.default_rng(rate).integers(-3000, 3000, samples * channels, np.int16).tobytes()
    size = len(noise) if claimed_bytes is None else claimed_bytes
    block = 2 * channels
    return (
        struct.pack("<4sI4s", b"RIFF", min(size + 36, 0xFFFFFFFF), b"WAVE")
        + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, 16)
        + struct.pack("<4sI", b"data", size)
        + noise
    )


def silent_flac(seconds: float, *, claimed_samples: int | None = None) -> bytes:
    """Hours of silence in a few kilobytes: each frame says once that all of its 65,535 samples are zero."""
    frames = round(seconds * RATE / BLOCK)
    total = frames * BLOCK if claimed_samples is None else claimed_samples
    info = (
        struct.pack(">HH", BLOCK, BLOCK) + bytes(6) + ((RATE << 44) | (15 << 36) | total).to_bytes(8, "big") + bytes(16)
    )
    return b"fLaC\x80" + len(info).to_bytes(3, "big") + info + b"".join(_silent_frame(n) for n in range(frames))


def _silent_frame(number: int) -> bytes:
    # Block size in 16 bits behind the number, 8 kHz, mono, 16 bits.
    head = b"\xff\xf8\x74\x08" + _like_utf8(number) + struct.pack(">H", BLOCK - 1)
    head += bytes([_crc(head, 8, 0x07)])
    frame = head + b"\x00" + bytes(2)  # a constant subframe: zero
    return frame + struct.pack(">H", _crc(frame, 16, 0x8005))


def _like_utf8(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass")


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    value, top, mask = 0, 1 << (bits - 1), (1 << bits) - 1
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = ((value << 1) ^ polynomial if value & top else value << 1) & mask
    return value


def zipped_matroska(blocks: int) -> bytes:
    """A Matroska file whose blocks are compressed: each holds ten minutes of silence in nine kilobytes."""
    silence = zlib.compress(bytes(9_600_000), 9)
    audio = _element(0xE1, _element(0xB5, struct.pack(">d", RATE)) + _element(0x9F, b"\1") + _element(0x6264, b"\x10"))
    zipped = _element(0x6D80, _element(0x6240, _element(0x5033, b"\0") + _element(0x5034, _element(0x4254, b"\0"))))
    track = _element(0xD7, b"\1") + _element(0x73C5, b"\1") + _element(0x83, b"\2") + _element(0x86, b"A_PCM/INT/LIT")
    head = _element(0x1A45DFA3, _element(0x4282, b"matroska") + _element(0x4287, b"\4") + _element(0x4285, b"\2"))
    info = _element(0x1549A966, _element(0x2AD7B1, (1_000_000).to_bytes(4, "big")))
    clusters = b"".join(
        _element(
            0x1F43B675,
            _element(0xE7, (600_000 * number).to_bytes(4, "big")) + _element(0xA3, b"\x81\0\0\x80" + silence),
        )
        for number in range(blocks)
    )
    return head + _element(0x18538067, info + _element(0x1654AE6B, _element(0xAE, track + audio + zipped)) + clusters)


def _element(name: int, content: bytes) -> bytes:
    """An element of EBML; its size takes eight bytes."""
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (len(content) | 1 << 56).to_bytes(8, "big") + content


def playlists(file: Path, url: str) -> Iterator[tuple[str, bytes]]:
    """Texts that FFmpeg's playlist formats know, each of which names a song of this machine and one of another."""
    for target in (str(file), f"file:{file}", url, f"concat:{file}|{file}", f"subfile,,start,0,end,0,,:{file}"):
        yield "hls", f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n".encode()
        yield "concat", f"ffconcat version 1.0\nfile '{target}'\n".encode()
    yield (
        "dash",
        (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
            f'<AdaptationSet mimeType="audio/mp4"><Representation id="1"><BaseURL>{url}</BaseURL></Representation>'
            "</AdaptationSet></Period></MPD>"
        ).encode(),
    )
    yield "sdp", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 49170 RTP/AVP 0\n"
    yield "asx", f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>'.encode()
    yield "pls", f"[playlist]\nFile1={url}\nNumberOfEntries=1\nVersion=2\n".encode()
    yield "imf", f'<?xml version="1.0"?><CompositionPlaylist><Id>{url}</Id></CompositionPlaylist>'.encode()


def mp4_with_its_sound_elsewhere(folder: Path, elsewhere: Path) -> bytes:
    """An MP4 whose track says that its samples lie in another file, as old editors wrote them."""
    path = folder / "whole.mov"
    with av.open(str(path), "w", format="mov") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ones((1, RATE), np.int16), format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    name = str(elsewhere).encode()
    alias = bytes(10) + bytes([1]) + b"v".ljust(27, b"\0") + bytes(12) + bytes([1]) + b"f".ljust(63, b"\0") + bytes(16)
    alias += struct.pack(">hh", 1, 1) + bytes(16) + struct.pack(">hh", 2, len(name)) + name + bytes(len(name) % 2)
    alias += struct.pack(">hh", -1, 0)
    reference = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    return _with_box(content, b"dref", bytes(4) + struct.pack(">I", 1) + reference)


def _with_box(content: bytes, kind: bytes, body: bytes) -> bytes:
    """An MP4 with the one box of that kind exchanged, and all boxes around it as large as they are then."""
    at = content.index(kind) - 4
    grown = 8 + len(body) - int.from_bytes(content[at : at + 4], "big")
    changed = bytearray(content)
    changed[at : at + int.from_bytes(content[at : at + 4], "big")] = struct.pack(">I4s", 8 + len(body), kind) + body
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        place = changed.index(parent) - 4
        size = int.from_bytes(changed[place : place + 4], "big")
        changed[place : place + 4] = (size + grown).to_bytes(4, "big")
    return bytes(changed)
