"""A checkpoint as files that fit into a repository: shards of at most 15 MB, and an index of them.

The index is written last, and the names of the shards are unique to the checkpoint: at any moment the folder holds a
complete checkpoint, the old one or the new one.

    python -m training.checkpoints.shards --run training/runs/next          # a run that goes on from the kept one
    python -m training.train --corpus training/corpus --run training/runs/next --resume --minutes 600
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.checkpoints.checkpoint import Checkpoint

MAX_SHARD_BYTES = 15_000_000
INDEX = "checkpoint.json"


class DamagedError(RuntimeError):
    """A shard of a checkpoint is missing or damaged."""


def save(checkpoint: Checkpoint, folder: Path, max_bytes: int = MAX_SHARD_BYTES) -> tuple[Path, ...]:
    """Writes the compact form of a checkpoint and removes the one that was there; returns all its files."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as there:
        checkpoint.compact().save(Path(there) / "checkpoint.pt")
        whole = (Path(there) / "checkpoint.pt").read_bytes()
    digest = hashlib.sha256(whole).hexdigest()
    shards: list[Path] = []
    for start in range(0, len(whole), max_bytes):
        shard = folder / f"{digest[:8]}-{len(shards)}.pt"
        shard.write_bytes(whole[start : start + max_bytes])
        shards.append(shard)
    index = {
        "pieces": [shard.name for shard in shards],  # the key of the first files
        "sha256": digest,
        "design": checkpoint.shape.design,
        "steps": checkpoint.step,
        "minutes": round(checkpoint.minutes, 1),
        "audio_hours": round(checkpoint.audio_s / 3600, 1),
    }
    unfinished = folder / f".{INDEX}"
    unfinished.write_text(json.dumps(index, indent=1) + "\n")
    unfinished.replace(folder / INDEX)
    for old in set(folder.glob("*.pt")) - set(shards):
        old.unlink()
    return (*shards, folder / INDEX)


def load(folder: Path) -> Checkpoint | None:
    """The checkpoint in a folder; None if the folder has no checkpoint.

    Raises:
        DamagedError: a shard is missing or damaged.
    """
    if not (folder / INDEX).exists():
        return None
    index = json.loads((folder / INDEX).read_text())
    missing = [name for name in index["pieces"] if not (folder / name).exists()]
    if missing:
        raise DamagedError(f"{folder / missing[0]} is missing: take it from the repository, or remove {folder}.")
    whole = b"".join((folder / name).read_bytes() for name in index["pieces"])
    if hashlib.sha256(whole).hexdigest() != index["sha256"]:
        raise DamagedError(f"The files in {folder} are damaged: take them from the repository, or remove {folder}.")
    with tempfile.TemporaryDirectory() as there:
        path = Path(there) / "checkpoint.pt"
        path.write_bytes(whole)
        return Checkpoint.load(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and starts a run from the kept checkpoint."""
    parser = argparse.ArgumentParser(description="Starts a run from the checkpoint in the repository.")
    parser.add_argument("--checkpoints", type=Path, default=Path(__file__).parent / "kept")
    parser.add_argument("--run", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument(
        "--from-zero",
        action="store_true",
        help="count minutes from 0, so that the learning rate warms up, stays and falls over the minutes of this run",
    )
    options = parser.parse_args(arguments)
    checkpoint = load(options.checkpoints)
    if checkpoint is None:
        parser.error(f"{options.checkpoints} holds no checkpoint.")
    if options.from_zero:
        checkpoint = replace(checkpoint, minutes=0.0, step=0, audio_s=0.0)
    try:
        print(checkpoint.start_run(options.run))
    except FileExistsError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
