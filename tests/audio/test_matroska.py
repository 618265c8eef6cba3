from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from tests.audio.signals import Samples, noise, offset, read, write_av

SAMPLES = 30001
MS = 10**6  # CodecDelay and DiscardPadding count nanoseconds
DELAY = 6_500_000  # the 312 samples of libopus


def element(name: int, content: bytes) -> bytes:
    """An element of EBML; its size takes eight bytes."""
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (len(content) | 1 << 56).to_bytes(8, "big") + content


def matroska(path: Path, codec: str, *, delay: int, pads: dict[int, int], pre_skip: int = 312) -> Samples:
    """Write a file with CodecDelay and with DiscardPadding on some of its packets; what its sound was made from."""
    signal = noise(2, SAMPLES)
    plain = path.with_suffix(".tmp")
    rate = 48000 if codec == "A_OPUS" else 44100
    if codec == "A_OPUS":
        write_av(plain, signal, "libopus", rate=rate, sample_format="flt", muxer="opus")
    elif codec == "A_MPEG/L3":
        write_av(plain, signal, "libmp3lame", muxer="mp3", options={"write_xing": "0"})
    else:
        write_av(plain, (signal * 32767).astype(np.int16), "pcm_s16le", sample_format="s16", muxer="wav")
    with av.open(str(plain)) as container:
        stream = container.streams.audio[0]
        private = bytearray(stream.codec_context.extradata or b"")
        assert stream.time_base is not None
        tick_ms = float(stream.time_base * 1000)
        packets = [(packet.pts or 0, bytes(packet)) for packet in container.demux(stream) if packet.size]
    if private:
        private[10:12] = struct.pack("<H", pre_skip)
    sound = element(0xB5, struct.pack(">d", rate)) + element(0x9F, b"\2")
    sound += element(0x6264, b"\x10") if codec.startswith("A_PCM") else b""
    track = element(0xD7, b"\1") + element(0x73C5, b"\1") + element(0x83, b"\2") + element(0x86, codec.encode())
    track += element(0x56AA, delay.to_bytes(8, "big")) + element(0x63A2, bytes(private)) + element(0xE1, sound)
    blocks = b""
    for number, (start, data) in enumerate(packets):
        block = element(0xA1, b"\x81" + struct.pack(">hB", max(0, round(start * tick_ms)), 0) + data)
        pad = pads.get(number, pads.get(number - len(packets), 0))
        blocks += element(0xA0, block + (element(0x75A2, struct.pack(">q", pad)) if pad else b""))
    head = element(0x1A45DFA3, element(0x4282, b"matroska") + element(0x4287, b"\4") + element(0x4285, b"\2"))
    info = element(0x1549A966, element(0x2AD7B1, MS.to_bytes(4, "big")))
    cluster = element(0x1F43B675, element(0xE7, b"\0") + blocks)
    path.write_bytes(head + element(0x18538067, info + element(0x1654AE6B, element(0xAE, track)) + cluster))
    return signal


@pytest.mark.parametrize(("codec", "delay", "pad"), [("A_OPUS", DELAY, 5 * MS), ("A_MPEG/L3", 25_056_689, 5 * MS)])
def test_padding_that_encoders_add_is_left_out(tmp_path: Path, codec: str, delay: int, pad: int) -> None:
    signal = matroska(tmp_path / "all.mka", codec, delay=delay, pads={})
    matroska(tmp_path / "in.mka", codec, delay=delay, pads={-1: pad})
    whole = read(tmp_path / "all.mka")[0]
    given, source, notes = read(tmp_path / "in.mka")
    assert whole.shape[1] - given.shape[1] == pytest.approx(pad * source.sample_rate / 1e9, abs=1)
    assert np.array_equal(given, whole[:, : given.shape[1]])
    assert offset(given, signal) == 0 and notes == []


@pytest.mark.parametrize("delay", [1 * MS, 100 * MS, 1000 * MS, 60_000 * MS])
def test_a_delay_that_contradicts_the_header_of_opus_drops_no_sound(tmp_path: Path, delay: int) -> None:
    signal = matroska(tmp_path / "in.mka", "A_OPUS", delay=delay, pads={})
    given, _, notes = read(tmp_path / "in.mka")
    assert given.shape[1] >= SAMPLES and offset(given, signal) == 0
    assert len(notes) == 1 and "CodecDelay" in notes[0]


@pytest.mark.parametrize("pre_skip", [0, 65535])
def test_a_pre_skip_that_contradicts_the_delay_drops_no_sound(tmp_path: Path, pre_skip: int) -> None:
    signal = matroska(tmp_path / "in.mka", "A_OPUS", delay=DELAY, pads={}, pre_skip=pre_skip)
    given, _, notes = read(tmp_path / "in.mka")
    assert given.shape[1] >= SAMPLES and offset(given, signal) == 0
    assert len(notes) == 1 and "CodecDelay" in notes[0]


@pytest.mark.parametrize("delay", [0, 500 * MS])
def test_a_long_pre_skip_is_followed_and_told(tmp_path: Path, delay: int) -> None:
    matroska(tmp_path / "in.mka", "A_OPUS", delay=delay, pads={}, pre_skip=24000)
    given, _, notes = read(tmp_path / "in.mka")
    assert SAMPLES - 24000 <= given.shape[1] < SAMPLES - 24000 + 1920
    assert notes[0] == "The header of the Opus stream leaves out its first 0.5 s: it was followed."


@pytest.mark.parametrize(("codec", "delay"), [("A_MPEG/L3", 200 * MS), ("A_MPEG/L3", 5000 * MS), ("A_PCM/INT/LIT", MS)])
def test_a_delay_that_no_encoder_has_drops_no_sound(tmp_path: Path, codec: str, delay: int) -> None:
    signal = matroska(tmp_path / "in.mka", codec, delay=delay, pads={})
    given, _, notes = read(tmp_path / "in.mka")
    late = offset(given, signal)
    assert late == (0 if codec.startswith("A_PCM") else 1105) and given.shape[1] >= late + SAMPLES
    assert notes == ["The file marks more padding at its start than an encoder adds: it was ignored, all was kept."]


@pytest.mark.parametrize("pads", [{3: 19 * MS}, dict.fromkeys(range(1, 20), 19 * MS), {2: -10 * MS}], ids=len)
@pytest.mark.parametrize("codec", ["A_OPUS", "A_MPEG/L3"])
def test_padding_in_the_midst_of_the_sound_is_ignored(tmp_path: Path, codec: str, pads: dict[int, int]) -> None:
    delay = DELAY if codec == "A_OPUS" else 25_056_689
    matroska(tmp_path / "all.mka", codec, delay=delay, pads={})
    signal = matroska(tmp_path / "in.mka", codec, delay=delay, pads=pads)
    whole = read(tmp_path / "all.mka")[0]
    given, _, notes = read(tmp_path / "in.mka")
    assert np.array_equal(given, whole) and offset(given, signal) == 0
    assert len(notes) == 1 and "ignored" in notes[0]


def test_lossless_sound_has_no_padding(tmp_path: Path) -> None:
    signal = matroska(tmp_path / "in.mka", "A_PCM/INT/LIT", delay=0, pads={-1: 10 * MS})
    given, _, notes = read(tmp_path / "in.mka")
    assert given.shape == signal.shape
    assert notes == ["The file marks padding in a lossless stream: it was ignored, all was kept."]


@pytest.mark.parametrize(("codec", "most_s"), [("pcm_s16le", 1.2), ("aac", 150.0), ("libmp3lame", 20.0)])
@pytest.mark.parametrize("muxer", ["matroska", "flv"])
def test_a_duration_that_no_file_of_this_size_can_have(tmp_path: Path, muxer: str, codec: str, most_s: float) -> None:
    """It asked for room for an hour."""
    path = tmp_path / "in"
    signal = noise(2, 44100)
    is_pcm = codec == "pcm_s16le"
    values = (signal * 32767).astype(np.int16) if is_pcm else signal
    write_av(path, values, codec, sample_format="s16" if is_pcm else "fltp", muxer=muxer, bit_rate=64000)
    content = bytearray(path.read_bytes())
    at = content.index(b"\x44\x89\x88") + 3 if muxer == "matroska" else content.index(b"duration") + 9
    content[at : at + 8] = struct.pack(">d", 36_000_000.0 if muxer == "matroska" else 36_000.0)
    path.write_bytes(content)
    given, source, notes = read(path)
    assert given.shape[1] >= 44100 and notes == []
    assert source.duration_s is not None and source.duration_s < most_s
