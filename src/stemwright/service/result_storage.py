"""Stores the files that a separation wrote, and makes the records of its stems."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from stemwright.separation.song_folder import MIX_PEAKS, PEAKS_SUFFIX
from stemwright.service.ids import new_id
from stemwright.service.peaks_files import PeaksFiles
from stemwright.service.task import Stem
from stemwright.storage.store import Store, StoredBlob

if TYPE_CHECKING:
    from stemwright.separation.result import Result, StemResult


class ResultStorage:
    """Stores results; each file stays where it is too, so that the next worker resumes after a kill."""

    def __init__(self, store: Store, peaks: PeaksFiles) -> None:
        self._store = store
        self._peaks = peaks

    def store_file(self, path: Path) -> StoredBlob:
        """Stores a file through a second hard link: a worker killed between two stems keeps the first."""
        second = path.with_name(f"{path.name}.stored")
        second.unlink(missing_ok=True)
        try:
            os.link(path, second)
        except OSError:  # the file system has no hard links
            shutil.copyfile(path, second)
        return self._store.put_file(second)

    def store_stem(self, stem: StemResult, position: int, fmt: str, seconds: float) -> Stem:
        """Stores a stem; gives its record."""
        blob = self.store_file(stem.path)
        return Stem(
            id=new_id(),
            name=stem.name,
            position=position,
            blob=blob.digest,
            format=fmt,
            size_bytes=blob.size_bytes,
            seconds=seconds,
            present=stem.present,
            presence=stem.presence,
            peak_dbfs=stem.peak_dbfs,
            rms_dbfs=stem.rms_dbfs,
        )

    def store_peaks(self, song: str, result: Result, stems: list[Stem]) -> None:
        """Stores the peaks that were written with the stems. Any that are missing are computed when they are asked for.

        Args:
            song: digest of the song.
            result: where the files are.
            stems: records of its stems, in the same order.
        """
        files = {
            song: result.output_dir / MIX_PEAKS,
            **{new.blob: stem.path.with_suffix(PEAKS_SUFFIX) for new, stem in zip(stems, result.stems, strict=True)},
        }
        for source, path in files.items():
            if path.exists():
                self._peaks.add(source, self.store_file(path))


def facts_of(result: Result) -> dict[str, object]:
    """Returns the result for the song as a whole."""
    return {
        "plan": result.plan,
        "models": list(result.models),
        "sample_rate": result.sample_rate,
        "channels": result.channels,
        "samples": result.samples,
        "residual_db": result.residual_db,
        "gain_db": result.gain_db,
        "elapsed_s": result.elapsed_s,
        "notes": list(result.notes),
    }
