"""The files that tell what became of a batch: one JSON object a line, sorted by path."""

from __future__ import annotations

from stemwright.batch.places import Target
from stemwright.batch.songs import BatchSongs
from stemwright.formatting import json_text

MANIFEST = "manifest.jsonl"
FAILURES = "failures.jsonl"


def write_manifest(songs: BatchSongs, target: Target) -> None:
    """Writes both files as the database has it now. Every host does so at its end: the last one tells all.

    Raises:
        StorageError: they cannot be written.
    """
    target.write_lines(MANIFEST, map(json_text, songs.done()))
    target.write_lines(FAILURES, (json_text({"path": path, "error": error}) for path, error in songs.failures()))
