"""Separates the songs of a batch with one separator, whose model stays loaded."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from stemwright.batch.worker import SeparateSong
from stemwright.batch.worker_main import WorkerConfig
from stemwright.separation.options import FormatName, Options, read_device
from stemwright.separation.progress import IsCancelled
from stemwright.separation.result import Result
from stemwright.separation.separator import Separator


def separate_song(config: WorkerConfig) -> SeparateSong:
    """Makes the function that separates a song.

    Raises:
        StemwrightError: the plan or the device is not available.
    """
    separator = Separator(config.plan, device=read_device(config.device), threads=config.threads)

    def separate(song: Path, out: Path, name: str, is_cancelled: IsCancelled) -> Result:
        options = Options(config.stems, out=out, format=cast(FormatName, config.format), resume=True)
        return separator.separate_file(song, options, name=name, is_cancelled=is_cancelled)

    return separate
