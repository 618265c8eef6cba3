"""Frame headers of MPEG audio, and info frames.

An info frame is a first frame of an MP3 that has counts where others have sound: Xing or Info, with LAME's numbers of
padding samples at start and end, or Fraunhofer's VBRI.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

KBPS = {
    # (MPEG 1?, layer): by the header's index 1 to 14
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44100, 48000, 32000)  # of MPEG 1; halves and quarters in MPEG 2 and 2.5
INFO_NAMES = (b"Xing", b"Info")
INFO_BYTES = 256  # the counts of an info frame are in these first bytes
ENCODERS = (b"LAME", b"Lavf", b"Lavc")  # these write delay and padding into an info frame


@dataclass(frozen=True)
class Frame:
    """The fields of a frame's header."""

    size: int
    samples: int
    rate: int
    channels: int
    layer: int
    is_mpeg1: bool
    has_crc: bool
    kind: tuple[int, int, int]
    """Rate, layer and channels, which do not change within a stream."""

    @property
    def info_at(self) -> int:
        """The offset of an info frame's name: after the side information, which is zero."""
        if self.is_mpeg1:
            return 36 if self.channels == 2 else 21
        return 21 if self.channels == 2 else 13


@dataclass(frozen=True)
class Info:
    """The counts of an info frame; None for those that it does not have."""

    frames: int | None
    n_bytes: int | None
    delay: int | None
    padding: int | None
    checksum_holds: bool


@lru_cache(maxsize=1024)
def read_frame(head: bytes) -> Frame | None:
    """Read the header in the first four bytes; None if they are not one, or for a free bit rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    index, rate_index = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or not 0 < index < 15 or rate_index == 3 or head[3] & 3 == 2:
        return None
    is_mpeg1 = version == 3
    rate = RATES[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    bits = KBPS[is_mpeg1, layer][index - 1] * 1000
    padded = head[2] >> 1 & 1
    if layer == 1:
        samples, size = 384, (12 * bits // rate + padded) * 4
    else:
        samples = 1152 if layer == 2 or is_mpeg1 else 576
        size = samples // 8 * bits // rate + padded
    channels = 1 if head[3] >> 6 == 3 else 2
    has_crc = not head[1] & 1
    return Frame(size, samples, rate, channels, layer, is_mpeg1, has_crc, (rate, layer, channels))


def read_info(frame: Frame, data: bytes) -> Info | None:
    """Read the counts of an info frame; None if the frame has sound."""
    if frame.layer != 3:
        return None
    if data[36:40] == b"VBRI":
        return Info(int.from_bytes(data[50:54], "big"), int.from_bytes(data[46:50], "big"), None, None, False)
    at = frame.info_at + (2 if frame.has_crc and data[frame.info_at : frame.info_at + 4] not in INFO_NAMES else 0)
    if data[at : at + 4] not in INFO_NAMES:
        return None
    flags = int.from_bytes(data[at + 4 : at + 8], "big")
    at += 8
    frames = n_bytes = delay = padding = None
    if flags & 1:
        frames, at = int.from_bytes(data[at : at + 4], "big"), at + 4
    if flags & 2:
        n_bytes, at = int.from_bytes(data[at : at + 4], "big"), at + 4
    at += (100 if flags & 4 else 0) + (4 if flags & 8 else 0)
    if data[at : at + 4] in ENCODERS and len(data) >= at + 24:
        pads = int.from_bytes(data[at + 21 : at + 24], "big")
        delay, padding = pads >> 12, pads & 0xFFF
    stored = data[at + 34 : at + 36]
    checksum_holds = len(stored) == 2 and crc16(data[: at + 34]) == int.from_bytes(stored, "big")
    return Info(frames, n_bytes, delay, padding, checksum_holds)


def crc16(data: bytes) -> int:
    """CRC-16/ARC, the checksum of LAME's tag."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc
