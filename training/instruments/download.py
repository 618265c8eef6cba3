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
import hashlib
import os
import re
import shutil
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from training.instruments import library
from training.instruments.library import Instrument

HOST = "https://codeload.github.com"
TRIES = 5
PAUSE_S = 2.0
TIMEOUT = httpx.Timeout(60.0, connect=15.0)


class SourceError(Exception):
    """A source is not available. The message says why."""


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
    _download(f"{host.rstrip('/')}/{source.repository}/tar.gz/{source.commit}", archive, sleep)
    unfinished = out / f".{source.folder}"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _unpack(archive, source, unfinished)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(f"the archive cannot be read ({error})") from error
    finally:
        archive.unlink()  # do not resume from a bad archive
        if sys.exc_info()[0] is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.rename(folder)
    return True


def _download(url: str, archive: Path, sleep: Callable[[float], None]) -> None:
    """Downloads the URL to a file; resumes an earlier attempt."""
    for attempt in range(TRIES):
        try:
            _try(url, archive)
            return
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            if status < 500 and status != 429:
                raise SourceError(f"{url} answers {status}") from error
            reason = f"{url} answers {status}"
        except httpx.HTTPError as error:
            reason = f"{url} cannot be read ({error or type(error).__name__})"
        if attempt + 1 < TRIES:
            sleep(PAUSE_S * 2**attempt)
    raise SourceError(f"{reason}, {TRIES} times")


def _try(url: str, archive: Path) -> None:
    have = archive.stat().st_size if archive.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT, follow_redirects=True) as response:
        if have and response.status_code == 416:  # already complete
            return
        response.raise_for_status()
        goes_on = response.status_code == 206 and response.headers.get("content-range", "").startswith(f"bytes {have}-")
        with archive.open("ab" if goes_on else "wb") as file:
            for piece in response.iter_raw():
                file.write(piece)


def _unpack(archive: Path, source: Source, folder: Path) -> None:
    """Extracts the files that instruments use into ``folder`` and checks their digests."""
    patterns = [re.compile(instrument.files) for instrument in source.instruments]
    blobs: list[dict[str, str]] = [{} for _ in patterns]
    with tarfile.open(archive, "r:gz") as packed:
        for entry in packed:
            path = entry.name.partition("/")[2]  # GitHub archives have one top-level folder
            names = [number for number, pattern in enumerate(patterns) if pattern.search(path)]
            if not names or not entry.isfile() or ".." in Path(path).parts:
                continue
            file = packed.extractfile(entry)
            assert file is not None
            content = file.read()
            for number in names:
                blobs[number][path] = blob_id(content)
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    for instrument, found in zip(source.instruments, blobs, strict=True):
        if digest(found) != instrument.digest:
            raise SourceError(
                f"the archive of {source.repository} at {source.commit} holds other files for "
                f"{instrument.name} than library.toml says ({len(found)} found)"
            )


def blob_id(content: bytes) -> str:
    """The git blob id of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def digest(blobs: dict[str, str]) -> str:
    """SHA-256 of an instrument's files, from their paths and blob ids."""
    lines = "".join(f"{blob} {path}\n" for path, blob in sorted(blobs.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def main() -> None:
    """Reads the command line and downloads. It never fails; it prints what it leaves out, and why."""
    parser = argparse.ArgumentParser(description="Fetches recorded instruments from GitHub.")
    parser.add_argument("out", type=Path, help="folder of the samples")
    parser.add_argument("--held-out", action="store_true", help="also repositories that only measure recognition")
    options = parser.parse_args()
    host = os.environ.get("STEMWRIGHT_SAMPLES_MIRROR", "").strip() or HOST
    for source in sources(held_out=options.held_out):
        try:
            if fetch(source, options.out, host):
                print(f"{source.repository}: {', '.join(instrument.name for instrument in source.instruments)}")
        except SourceError as error:
            print(f"left out: {source.repository}, since {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
