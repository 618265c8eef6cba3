"""Archives of GitHub repositories at fixed commits: resumed where they broke off, with the digests of their files.

``STEMWRIGHT_SAMPLES_MIRROR`` names another server that has ``OWNER/NAME/tar.gz/COMMIT``.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx

HOST = "https://codeload.github.com"
TRIES = 5
PAUSE_S = 2.0
TIMEOUT = httpx.Timeout(60.0, connect=15.0)


class SourceError(Exception):
    """A source is not available. The message says why."""


def host() -> str:
    """The server of the archives."""
    return os.environ.get("STEMWRIGHT_SAMPLES_MIRROR", "").strip() or HOST


def fetch_archive(
    repository: str, commit: str, archive: Path, server: str, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Downloads a repository at a commit to a file; resumes an earlier attempt.

    Raises:
        SourceError: the archive is not available.
    """
    _download(f"{server.rstrip('/')}/{repository}/tar.gz/{commit}", archive, sleep)


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


def files_of(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file of an archive. Paths that leave the repository are left out.

    Raises:
        SourceError: the archive cannot be read.
    """
    try:
        with tarfile.open(archive, "r:gz") as packed:
            for entry in packed:
                path = entry.name.partition("/")[2]  # GitHub archives have one top-level folder
                if not entry.isfile() or ".." in Path(path).parts:
                    continue
                file = packed.extractfile(entry)
                assert file is not None
                yield path, file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(f"the archive cannot be read ({error})") from error


def blob_id(content: bytes) -> str:
    """The git blob id of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def digest(blobs: Mapping[str, str]) -> str:
    """SHA-256 of files, from their paths and blob ids."""
    lines = "".join(f"{blob} {path}\n" for path, blob in sorted(blobs.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
