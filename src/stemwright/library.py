"""``stemwright.separate``: the one function that most programs need."""

from __future__ import annotations

from collections.abc import Iterable

from stemwright.arguments import AnyPath
from stemwright.separation.options import Device, FormatName, Options
from stemwright.separation.progress import IsCancelled, OnProgress
from stemwright.separation.result import Result
from stemwright.separation.separator import Separator


def separate(
    song: AnyPath,
    *,
    stems: str | Iterable[str] = "two",
    out: AnyPath | None = "stems",
    format: FormatName = "wav",
    bit_depth: int | None = None,
    bitrate_kbps: int | None = None,
    plan: str = "auto",
    device: Device = "auto",
    threads: int | None = None,
    licence: str | None = None,
    max_minutes: float | None = None,
    denoise: bool = False,
    start_s: float = 0.0,
    duration_s: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    playing: str | Iterable[str] | None = None,
    on_progress: OnProgress | None = None,
    is_cancelled: IsCancelled | None = None,
) -> Result:
    """Separates a song into files under ``out/<song name>/``.

    The arguments are those of ``Options`` and ``Separator``. For many songs create one ``Separator`` and reuse it.

    Raises:
        StemwrightError: one of its subclasses (``stemwright.errors``); the message says what to do.
    """
    options = Options(
        stems=stems,
        out=out,
        format=format,
        bit_depth=bit_depth,
        bitrate_kbps=bitrate_kbps,
        start_s=start_s,
        duration_s=duration_s,
        resume=resume,
        overwrite=overwrite,
        playing=playing,
    )
    separator = Separator(
        plan, device=device, threads=threads, licence=licence, max_minutes=max_minutes, denoise=denoise
    )
    return separator.separate_file(song, options, on_progress=on_progress, is_cancelled=is_cancelled)
