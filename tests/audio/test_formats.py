from __future__ import annotations

import pytest

from stemwright.audio.formats import FORMATS, output_format
from stemwright.audio.input_file import SourceFormat
from stemwright.errors import UsageError


def source(bits: int | None, is_float: bool = False) -> SourceFormat:
    return SourceFormat("wav", "pcm", 44100, 2, "stereo", bits, is_float, bits is not None, None, None, None, None)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("wav", source(8), 16),
        ("wav", source(16), 16),
        ("wav", source(24), 24),
        ("wav", source(32), 32),
        ("wav", source(32, is_float=True), 32),
        ("wav", source(None), 24),
        ("flac", source(8), 16),
        ("flac", source(24), 24),
        ("flac", source(32, is_float=True), 24),
        ("aiff", source(32), 32),
        ("mp3", source(24), None),
    ],
)
def test_the_depth_is_that_of_the_input(name: str, given: SourceFormat, expected: int | None) -> None:
    fmt = output_format(name, bit_depth=None, bitrate_kbps=None, source=given)
    assert (fmt.name, fmt.extension, fmt.bit_depth, fmt.lossless) == (name, name, expected, name != "mp3")


@pytest.mark.parametrize(("name", "kbps"), [("mp3", None), ("m4a", 256), ("ogg", None), ("opus", 192), ("wav", None)])
def test_default_bitrate(name: str, kbps: int | None) -> None:
    assert output_format(name, bit_depth=None, bitrate_kbps=None, source=source(16)).bitrate_kbps == kbps


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_asked_for_is_taken(name: str) -> None:
    lossy = name in ("mp3", "m4a", "ogg", "opus")
    fmt = output_format(name, bit_depth=None if lossy else 24, bitrate_kbps=192 if lossy else None, source=source(16))
    assert (fmt.bit_depth, fmt.bitrate_kbps) == ((None, 192) if lossy else (24, None))


@pytest.mark.parametrize(
    ("name", "bit_depth", "bitrate_kbps", "message"),
    [
        ("flac", 32, None, "FLAC holds 16 or 24 bits; use --format wav for 32-bit float."),
        ("wav", 20, None, "wav does not have 20 bits: choose one of 16, 24, 32."),
        ("mp3", 16, None, "mp3 is lossy and has no bit depth: leave --bit-depth out, or use --format wav."),
        ("wav", None, 320, "wav is lossless and has no bit rate: leave --bitrate out, or use --format mp3."),
        ("mp3", None, 8, "mp3 has 32 to 320 kbps: --bitrate 8 is outside."),
        ("opus", None, 9999, "opus has 16 to 510 kbps: --bitrate 9999 is outside."),
        ("wma", None, None, "There is no format 'wma': choose one of wav, flac, mp3, m4a, ogg, opus, aiff."),
    ],
)
def test_what_a_format_has_not_got(name: str, bit_depth: int | None, bitrate_kbps: int | None, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        output_format(name, bit_depth=bit_depth, bitrate_kbps=bitrate_kbps, source=source(16))
    assert str(caught.value) == message
    assert caught.value.exit_code == 2
