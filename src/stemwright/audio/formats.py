"""Output formats of stems."""

from __future__ import annotations

from dataclasses import dataclass

from stemwright.audio.input_file import SourceFormat
from stemwright.errors import UsageError


@dataclass(frozen=True)
class OutputFormat:
    """An output format with its settings."""

    name: str
    extension: str
    """Without a dot."""
    bit_depth: int | None
    """16 or 24: integers; 32: float; None: lossy."""
    bitrate_kbps: int | None
    """None for variable bit rate and for lossless formats."""
    lossless: bool


@dataclass(frozen=True)
class _Lossless:
    depths: tuple[int, ...]


@dataclass(frozen=True)
class _Lossy:
    lowest_kbps: int
    highest_kbps: int
    default_kbps: int | None


FORMATS: dict[str, _Lossless | _Lossy] = {
    "wav": _Lossless((16, 24, 32)),
    "flac": _Lossless((16, 24)),
    "mp3": _Lossy(32, 320, None),
    "m4a": _Lossy(32, 512, 256),
    "ogg": _Lossy(64, 500, None),
    "opus": _Lossy(16, 510, 192),
    "aiff": _Lossless((16, 24, 32)),
}


def output_format(name: str, *, bit_depth: int | None, bitrate_kbps: int | None, source: SourceFormat) -> OutputFormat:
    """The format of that name for stems of ``source``; raises UsageError for unsupported settings.

    The default ``bit_depth`` is the input's: 16 for 8 bits, 32-bit float for 32-bit integers and float, 24 for lossy
    input; at most 24 if the format has no more.
    """
    form = FORMATS.get(name)
    if form is None:
        raise UsageError(f"There is no format {name!r}: choose one of {', '.join(FORMATS)}.")
    if isinstance(form, _Lossy):
        if bit_depth is not None:
            raise UsageError(f"{name} is lossy and has no bit depth: leave --bit-depth out, or use --format wav.")
        kbps = form.default_kbps if bitrate_kbps is None else bitrate_kbps
        if kbps is not None and not form.lowest_kbps <= kbps <= form.highest_kbps:
            raise UsageError(f"{name} has {form.lowest_kbps} to {form.highest_kbps} kbps: --bitrate {kbps} is outside.")
        return OutputFormat(name, name, None, kbps, lossless=False)
    if bitrate_kbps is not None:
        raise UsageError(f"{name} is lossless and has no bit rate: leave --bitrate out, or use --format mp3.")
    if bit_depth is not None and bit_depth not in form.depths:
        if bit_depth == 32:
            raise UsageError(f"{name.upper()} holds 16 or 24 bits; use --format wav for 32-bit float.")
        raise UsageError(f"{name} does not have {bit_depth} bits: choose one of {', '.join(map(str, form.depths))}.")
    depth = min(natural_depth(source), form.depths[-1]) if bit_depth is None else bit_depth
    return OutputFormat(name, name, depth, None, lossless=True)


def natural_depth(source: SourceFormat) -> int:
    """The bit depth that keeps the precision of ``source``."""
    if source.bits is None:
        return 24
    return max(16, source.bits)
