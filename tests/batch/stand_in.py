"""Separates nothing, quickly: what a batch does with songs is the point, not how they sound."""

from __future__ import annotations

import os
import time
from pathlib import Path

from stemwright.batch.worker import SeparateSong
from stemwright.batch.worker_main import WorkerConfig
from stemwright.errors import CancelledError, StorageError, UnreadableInputError
from stemwright.separation.progress import IsCancelled
from stemwright.separation.result import Result, StemResult


def separate_song(config: WorkerConfig) -> SeparateSong:
    """Stems are copies of the song. Its text can ask for something else."""

    def separate(song: Path, out: Path, name: str, is_cancelled: IsCancelled) -> Result:
        text = song.read_text()
        match text:
            case "bad":
                raise UnreadableInputError("It is bad: make it better.")
            case "full":
                raise StorageError("No room is left: free some space.")
            case "deadly":
                os._exit(9)
            case "odd":
                raise ZeroDivisionError("odd")
            case "slow":
                (Path(config.target) / "slow").touch()
                while not is_cancelled():
                    time.sleep(0.01)
                raise CancelledError("Cancelled.")
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / "vocals.wav"
        stem.write_text(f"{text} by {config.name}")
        stems = (StemResult("vocals", stem, True, 1.0, -1.0, -10.0),)
        return Result(
            str(song), folder, config.plan, ("stand-in",), 44_100, 2, 1, 1.0, None, 0.0, stems, 0.1, 10.0, 1.0
        )

    return separate
