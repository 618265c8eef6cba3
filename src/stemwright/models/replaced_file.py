"""Downloads a weight file that its author has replaced, once the user has accepted the new digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from stemwright.errors import ModelUnavailableError
from stemwright.models import accepted_digests, url_probe
from stemwright.models.download_errors import DownloadFault
from stemwright.models.http_client import without_credentials
from stemwright.models.weight_download import DownloadProgress, check_online, download
from stemwright.models.weight_file import WeightFile
from stemwright.models.weight_sources import urls


def fetch(
    file: WeightFile,
    folder: Path,
    sha256: str,
    *,
    model_name: str,
    on_progress: Callable[[DownloadProgress], None] | None = None,
) -> WeightFile:
    """Downloads the file that has the accepted digest, whatever its size, and records the acceptance.

    A file of that digest that was put into the folder by hand is taken. Otherwise the size is that of the first URL
    that states one.

    Args:
        file: as in the registry.
        folder: destination.
        sha256: the digest that the user accepts, 64 hexadecimal digits in lower case.
        model_name: model that it belongs to.
        on_progress: called many times a second.

    Returns:
        The file with its new digest and size.

    Raises:
        ModelUnavailableError: no URL has a file of that digest.
        StorageError: the folder cannot be written, or the disk is full.
    """
    size_bytes = _size_by_hand(file.path_in(folder), sha256)
    if size_bytes is None:
        size_bytes = _stated_size(file, folder)
    accepted = replace(file, sha256=sha256, size_bytes=size_bytes, registry_sha256=file.sha256)
    download(accepted, folder, model_name=model_name, on_progress=on_progress)
    return accepted_digests.accept(file, sha256, size_bytes)


def _size_by_hand(path: Path, sha256: str) -> int | None:
    with suppress(OSError), path.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() == sha256:
            return path.stat().st_size
    return None


def _stated_size(file: WeightFile, folder: Path) -> int:
    sources = urls(file)
    check_online(file, folder, sources)
    reasons = []
    for url in sources:
        try:
            size_bytes = url_probe.probe(url).size_bytes
        except DownloadFault as fault:
            reasons.append(f"{without_credentials(url)}, since {fault}")
            continue
        if size_bytes:
            return size_bytes
        reasons.append(f"{without_credentials(url)}, since its host does not state the size of the file")
    raise ModelUnavailableError(
        f"{file.name} could not be downloaded from {'; from '.join(reasons)}: try again later, or put the file by hand "
        f"into {folder} under the name {file.name} and run the same command again."
    )
