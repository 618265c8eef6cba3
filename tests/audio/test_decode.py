from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.audio.decode import LONGEST_BLOCK, Decoder, probe
from stemwright.errors import UsageError
from tests.api.hostile_songs import zipped_matroska
from tests.audio.byte_files import join
from tests.audio.signals import noise, offset, read, snr_db, write_av

INTEGER_FILES = [
    # container, subtype, bits
    ("WAV", "PCM_U8", 8),
    ("WAV", "PCM_16", 16),
    ("WAV", "PCM_24", 24),
    ("WAVEX", "PCM_24", 24),
    ("RF64", "PCM_16", 16),
    ("W64", "PCM_24", 24),
    ("AIFF", "PCM_S8", 8),
    ("AIFF", "PCM_16", 16),
    ("AIFF", "PCM_24", 24),
    ("FLAC", "PCM_S8", 8),
    ("FLAC", "PCM_16", 16),
    ("FLAC", "PCM_24", 24),
    ("CAF", "PCM_16", 16),
]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("container", "subtype", "bits"), INTEGER_FILES)
def test_integers_come_back_exactly(tmp_path: Path, container: str, subtype: str, bits: int, channels: int) -> None:
    top = 2 ** (bits - 1)
    values = np.random.default_rng(bits).integers(-top, top, (channels, 70002))
    values[:, :3] = [-top, top - 1, 0]
    path = tmp_path / "in.file"
    soundfile.write(path, (values << (32 - bits)).astype(np.int32).T, 44100, format=container, subtype=subtype)
    given, source, notes = read(path)
    assert np.array_equal(given, (values / top).astype(np.float32))
    assert (source.bits, source.is_float, source.lossless) == (bits, False, True)
    assert (source.channels, source.file_channels, source.sample_rate) == (channels, channels, 44100)
    assert source.layout == ("mono" if channels == 1 else "stereo")
    assert source.duration_s == pytest.approx(70002 / 44100)
    assert notes == []


@pytest.mark.parametrize(("subtype", "is_float"), [("FLOAT", True), ("DOUBLE", True), ("PCM_32", False)])
@pytest.mark.parametrize("container", ["WAV", "AIFF"])
def test_wide_samples(tmp_path: Path, container: str, subtype: str, is_float: bool) -> None:
    signal = noise(2, 5000) * (8 if is_float else 1)  # float may pass full scale
    path = tmp_path / "in.file"
    soundfile.write(path, signal.T, 48000, format=container, subtype=subtype)
    given, source, _ = read(path)
    assert (source.bits, source.is_float, source.lossless) == (32, is_float, True)
    np.testing.assert_allclose(given, signal, atol=0 if is_float else 2**-31)


@pytest.mark.parametrize("bits", [16, 24])
def test_alac(tmp_path: Path, bits: int) -> None:
    values = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (2, 30001))
    path = tmp_path / "in.m4a"
    if bits == 16:
        write_av(path, values.astype(np.int16), "alac", sample_format="s16p")
    else:
        write_av(path, (values << 8).astype(np.int32), "alac", sample_format="s32p")
    given, source, _ = read(path)
    assert np.array_equal(given, (values / 2 ** (bits - 1)).astype(np.float32))
    assert (source.bits, source.lossless, source.codec) == (bits, True, "alac")


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 44100, 48000, 88200, 96000, 176400, 192000])
def test_any_rate(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "in.wav"
    soundfile.write(path, noise(1, 3001).T, rate, subtype="PCM_24")
    given, source, _ = read(path)
    assert (source.sample_rate, given.shape) == (rate, (1, 3001))


@pytest.mark.parametrize(
    ("rate", "samples"),
    [(44100, samples) for samples in (1, 47, 1152, 1153, 44100, 44146, 100003)] + [(22050, 577), (22050, 44099)],
)
def test_mp3_with_lame_tag_has_its_true_length(tmp_path: Path, samples: int, rate: int) -> None:
    # libsndfile's own LAME, so that this does not lean on our encoder
    signal = noise(2, samples)
    path = tmp_path / "in.mp3"
    soundfile.write(path, signal.T, rate, format="MP3")
    given, source, notes = read(path)
    assert given.shape == signal.shape
    assert (source.codec, source.bits, source.lossless, notes) == ("mp3", None, False, [])
    if samples > 10000:
        assert offset(given, signal) == 0


def test_mp3_without_tag_keeps_the_delay(tmp_path: Path) -> None:
    signal = noise(2, 44100)
    path = tmp_path / "in.mp3"
    write_av(path, signal, "libmp3lame", options={"write_xing": "0"})
    given, _, notes = read(path)
    assert offset(given, signal) == 576 + 529
    assert given.shape[1] % 1152 == 0
    assert notes == []


# codec, muxer, rate, how late the sound comes, and by how much the length may differ
LOSSY_FILES = [
    ("in.m4a", "aac", "ipod", 44100, 0, 0),
    ("in.mp4", "aac", "mp4", 48000, 0, 0),
    ("in.mka", "aac", "matroska", 44100, 0, 1024),
    ("in.aac", "aac", "adts", 44100, 1024, 3072),  # ADTS does not tell the encoder's delay
    ("in.opus", "libopus", "opus", 48000, 0, 0),
    ("in.webm", "libopus", "webm", 48000, 0, 0),
    ("in.wma", "wmav2", "asf", 44100, -2048, 4096),  # drops two frames as Windows does; FFmpeg's encoder delays by one
]


@pytest.mark.parametrize(("name", "codec", "muxer", "rate", "late", "slack"), LOSSY_FILES)
@pytest.mark.parametrize("samples", [96000, 100003])
def test_lossy_length_and_offset(
    tmp_path: Path, name: str, codec: str, muxer: str, rate: int, late: int, slack: int, samples: int
) -> None:
    signal = noise(2, samples)
    path = tmp_path / name
    sample_format = "flt" if codec == "libopus" else "fltp"
    write_av(path, signal, codec, rate=rate, muxer=muxer, sample_format=sample_format, bit_rate=192000)
    given, source, notes = read(path)
    assert abs(given.shape[1] - samples) <= slack
    assert offset(given, signal) == late
    assert (source.sample_rate, source.bits, source.lossless, notes) == (rate, None, False, [])


@pytest.mark.parametrize("samples", [1, 128, 1000, 1024, 44032, 44100])
def test_ogg_vorbis_has_its_true_length(tmp_path: Path, samples: int) -> None:
    signal = noise(2, samples)
    path = tmp_path / "in.ogg"
    soundfile.write(path, signal.T, 44100, format="OGG", subtype="VORBIS")
    given, source, _ = read(path)
    assert given.shape == signal.shape
    assert source.codec == "vorbis"
    if samples > 1000:
        assert offset(given, signal) == 0
        assert snr_db(given, signal) > 10


def test_sound_track_of_a_video(tmp_path: Path) -> None:
    signal = noise(2, 60000)
    path = tmp_path / "in.mp4"
    write_av(path, signal, "aac", with_picture=True)
    given, source, _ = read(path)
    assert (offset(given, signal), given.shape, source.codec) == (0, signal.shape, "aac")


def test_itunes_count_of_samples_is_honoured(tmp_path: Path) -> None:
    """iTunes writes its delay and length as text: here it claims fewer samples than the edit list."""
    path = tmp_path / "in.m4a"
    write_av(path, noise(2, 50000), "aac", muxer="ipod")
    add_itunes_atom(path, f" 00000000 00000400 000003B0 {49000:016X} 00000000 00000000")
    assert read(path)[0].shape == (2, 49000)


def add_itunes_atom(path: Path, text: str) -> None:
    """Append an iTunSMPB atom to the list of tags of an MP4 whose ``moov`` comes last."""

    def atom(name: bytes, body: bytes) -> bytes:
        return (8 + len(body)).to_bytes(4, "big") + name + body

    extra = atom(
        b"----",
        atom(b"mean", bytes(4) + b"com.apple.iTunes")
        + atom(b"name", bytes(4) + b"iTunSMPB")
        + atom(b"data", bytes([0, 0, 0, 1]) + bytes(4) + text.encode()),
    )
    data = bytearray(path.read_bytes())
    moov = data.rindex(b"moov")
    for name in (b"moov", b"udta", b"meta", b"ilst"):
        at = data.index(name, moov) - 4
        size = int.from_bytes(data[at : at + 4], "big")
        data[at : at + 4] = (size + len(extra)).to_bytes(4, "big")
        end = at + size
    data[end:end] = extra
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["in.wav", "in.mp3", "in.flac"])
@pytest.mark.parametrize(("start_s", "duration_s"), [(0.0, 0.5), (0.3333, None), (1.25, 0.7001), (2.2, 99.0)])
def test_a_part_equals_a_slice(tmp_path: Path, name: str, start_s: float, duration_s: float | None) -> None:
    path = tmp_path / name
    soundfile.write(path, noise(2, 100003).T, 44100)
    whole = read(path)[0]
    start = round(start_s * 44100)
    stop = None if duration_s is None else start + round(duration_s * 44100)
    assert np.array_equal(read(path, start_s, duration_s)[0], whole[:, start:stop])


@pytest.mark.parametrize(("start_s", "duration_s"), [(-1.0, None), (float("nan"), None), (0.0, 0.0), (5.0, None)])
def test_impossible_parts(song: Path, start_s: float, duration_s: float | None) -> None:
    with pytest.raises(UsageError), Decoder(song, start_s=start_s, duration_s=duration_s) as decoder:
        list(decoder)


def test_tags(tmp_path: Path) -> None:
    path = tmp_path / "in.flac"
    with soundfile.SoundFile(path, "w", 44100, 1) as file:
        file.title, file.artist, file.album = "Ein Lied", "Wer", "Was"
        file.write(np.zeros(10))
    source = probe(path)
    assert (source.title, source.artist, source.album) == ("Ein Lied", "Wer", "Was")


@pytest.mark.parametrize("container", ["WAV", "AIFF", "FLAC", "OGG", "CAF"])
def test_a_tag_before_the_header_is_read(tmp_path: Path, container: str) -> None:
    song = tmp_path / "in.file"
    soundfile.write(song, noise(2, 5000).T, 44100, format=container)
    frames = b""
    for name, text in ((b"TIT2", "Größe"), (b"TPE1", "Wer")):
        data = b"\1" + text.encode("utf-16")
        frames += name + len(data).to_bytes(4, "big") + bytes(2) + data
    tag = b"ID3\3\0\0" + bytes([0, 0, 0, len(frames)]) + frames
    source = probe(join(tmp_path / "tagged.file", tag, song))
    assert (source.title, source.artist) == ("Größe", "Wer")
    broken = join(tmp_path / "broken.file", tag.replace(b"TIT2", b"\0\0\xff\xff"), song)
    assert read(broken)[0].shape == (2, 5000)


def test_the_tags_of_a_file_itself_come_first(tmp_path: Path) -> None:
    song = tmp_path / "in.wav"
    with soundfile.SoundFile(song, "w", 44100, 1) as file:
        file.title = "own"
        file.write(np.zeros(1000))
    frame = b"TIT2" + (4).to_bytes(4, "big") + bytes(3) + b"old"
    source = probe(join(tmp_path / "tagged.wav", b"ID3\3\0\0\0\0\0" + bytes([len(frame)]) + frame, song))
    assert source.title == "own"


def test_a_real_recording() -> None:
    folder = os.environ.get("STEMWRIGHT_EVAL_DIR")
    if not folder:
        pytest.skip("STEMWRIGHT_EVAL_DIR is not set")
    path = next(iter(sorted(Path(folder).rglob("*.flac"))))
    with soundfile.SoundFile(path) as file:
        expected = file.read(dtype="float32", always_2d=True).T
    given, source, notes = read(path)
    assert np.array_equal(given, expected)
    assert source.lossless and notes == []


def test_a_packet_of_minutes_comes_in_short_blocks(tmp_path: Path) -> None:
    path = tmp_path / "song.mkv"
    path.write_bytes(zipped_matroska(2))
    with Decoder(path) as decoder:
        lengths = [block.shape[1] for block in decoder]
    assert sum(lengths) == decoder.samples == 2 * 4_800_000
    assert max(lengths) <= LONGEST_BLOCK
