"""Downloads the recorded instruments of `library.toml` that are on GitHub, at fixed commits.

    python -m training.instruments.download training/samples
    python -m training.instruments.download training/samples --held-out    # also those that are only for evaluation

Each repository is downloaded as an archive of its commit; only the files that instruments use are kept. If their
digests differ from those in `library.toml`, nothing of the repository is kept. Files that exist are not downloaded
again. An interrupted download resumes where it stopped if the server supports that, else it restarts.
``STEMWRIGHT_SAMPLES_MIRROR`` names another server that has ``OWNER/NAME/tar.gz/COMMIT``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.github_archive import SourceError, blob_id, digest, fetch_archive, files_of, host
from training.instruments import library
from training.instruments.library import Instrument


@dataclass(frozen=True)
class Source:
    """A repository at a commit, and the instruments that use its files."""

    repository: str
    commit: str
    instruments: tuple[Instrument, ...]

    @property
    def folder(self) -> str:
        """Folder of the files, below the folder of samples."""
        return self.instruments[0].folder


def sources(*, held_out: bool) -> tuple[Source, ...]:
    """The repositories of the library; those only for evaluation are left out unless ``held_out`` is true."""
    found: dict[tuple[str, str], list[Instrument]] = {}
    for instrument in library.instruments(held_out=False) + library.instruments(held_out=True):
        if instrument.repository:
            found.setdefault((instrument.repository, instrument.commit), []).append(instrument)
    return tuple(
        Source(repository, commit, tuple(instruments))
        for (repository, commit), instruments in found.items()
        if held_out or not all(instrument.held_out for instrument in instruments)
    )


def fetch(source: Source, out: Path, host: str, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Downloads the files of a source into ``out``; False if they exist already.

    Raises:
        SourceError: the archive is not available, or its files differ from those of the library.
    """
    folder = out / source.folder
    if folder.exists():
        return False
    out.mkdir(parents=True, exist_ok=True)
    archive = out / f".{source.folder}.tar.gz.part"
    fetch_archive(source.repository, source.commit, archive, host, sleep)
    unfinished = out / f".{source.folder}"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _unpack(archive, source, unfinished)
    finally:
        archive.unlink()  # do not resume from a bad archive
        if sys.exc_info()[0] is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.rename(folder)
    return True


def _unpack(archive: Path, source: Source, folder: Path) -> None:
    """Extracts the files that instruments use into ``folder`` and checks their digests."""
    patterns = [re.compile(instrument.files) for instrument in source.instruments]
    blobs: list[dict[str, str]] = [{} for _ in patterns]
    for path, content in files_of(archive):
        names = [number for number, pattern in enumerate(patterns) if pattern.search(path)]
        for number in names:
            blobs[number][path] = blob_id(content)
        if names:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    for instrument, found in zip(source.instruments, blobs, strict=True):
        if digest(found) != instrument.digest:
            raise SourceError(
                f"the archive of {source.repository} at {source.commit} holds other files for "
                f"{instrument.name} than library.toml says ({len(found)} found)"
            )


def main() -> None:
    """Reads the command line and downloads. It never fails; it prints what it leaves out, and why."""
    parser = argparse.ArgumentParser(description="Fetches recorded instruments from GitHub.")
    parser.add_argument("out", type=Path, help="folder of the samples")
    parser.add_argument("--held-out", action="store_true", help="also repositories that only measure recognition")
    options = parser.parse_args()
    for source in sources(held_out=options.held_out):
        try:
            if fetch(source, options.out, host()):
                print(f"{source.repository}: {', '.join(instrument.name for instrument in source.instruments)}")
        except SourceError as error:
            print(f"left out: {source.repository}, since {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
