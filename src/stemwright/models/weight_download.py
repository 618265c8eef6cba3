"""Downloads of weights: resumable, verified, locked per file, renamed only when complete."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stemwright.errors import CancelledError, ModelUnavailableError, StorageError, storage_error
from stemwright.formatting import megabytes
from stemwright.models.download_errors import FileChangedError, PermanentError, TransientError, digest_differs, remedy
from stemwright.models.http_client import without_credentials
from stemwright.models.http_range import open_download
from stemwright.models.part_file import PartFile
from stemwright.models.refused_versions import RefusedVersions
from stemwright.models.weight_file import WeightFile
from stemwright.models.weight_sources import is_file_url, is_http_url, urls

Stage = Literal["waiting", "downloading", "verifying"]

_PROGRESS_BYTES = 1 << 20
"""An attempt that makes this much progress resets the count of failures."""

_SLEEP_STEP_S = 0.1


@dataclass(frozen=True)
class DownloadProgress:
    """Progress of a download.

    Attributes:
        name: name of the file.
        done_bytes: bytes downloaded so far; in the stage ``verifying``, bytes read so far.
        total_bytes: size of the whole file.
        stage: ``waiting`` for another process, or for a server that failed, ``downloading``, ``verifying``.
    """

    name: str
    done_bytes: int
    total_bytes: int
    stage: Stage


@dataclass(frozen=True)
class RetryPolicy:
    """Retries and timeouts of a download.

    Attributes:
        tries: limit of consecutive failed attempts without progress.
        connect_s: timeout for connecting.
        read_s: timeout for each read.
        first_pause_s: pause after the first failure; it doubles each time, less a random part of up to half.
        longest_pause_s: limit of the pause; if a server asks for a longer one, the download fails.
        sleep: waits for a number of seconds.
    """

    tries: int = 5
    connect_s: float = 10.0
    read_s: float = 30.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 120.0
    sleep: Callable[[float], None] = time.sleep


def download(
    file: WeightFile,
    folder: Path,
    *,
    model_name: str = "",
    mirror: str | None = None,
    on_progress: Callable[[DownloadProgress], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
    retry_policy: RetryPolicy | None = None,
) -> Path:
    """Downloads a weight file into a folder, unless it exists already, and returns its path.

    Its URLs are tried in order, each until it fails for good; a partial file is continued from the next one. It is
    written as ``NAME.part`` and renamed when its size and SHA-256 are those of the registry. A partial file is resumed
    by the next attempt. If several processes and threads need the file, one downloads it and the others wait.

    Args:
        file: the file.
        folder: destination; created if missing.
        model_name: model that it belongs to, for commands in error messages.
        mirror: URL of a folder (https, http or file) that has the file under its name; ``STEMWRIGHT_MODEL_MIRROR`` if None.
        on_progress: called many times a second.
        is_cancelled: polled; True cancels the download.
        retry_policy: timeouts and number of attempts.

    Raises:
        ModelUnavailableError: the file cannot be downloaded, has the wrong content, or ``STEMWRIGHT_OFFLINE`` is set.
        StorageError: the folder cannot be written, or the disk is full.
        CancelledError: ``is_cancelled`` returned true. The partial file is kept.
        UsageError: the mirror is not a URL.
    """
    sources = urls(file, mirror)
    one = _Download(file, folder, sources, model_name, on_progress, is_cancelled, retry_policy or RetryPolicy())
    try:
        return one.run()
    except OSError as error:
        raise storage_error(error, file.path_in(folder)) from error


def is_offline() -> bool:
    """Whether ``STEMWRIGHT_OFFLINE`` is set, which forbids all connections."""
    return os.environ.get("STEMWRIGHT_OFFLINE", "").strip().lower() not in ("", "0", "false", "f", "no", "n", "off")


def check_online(file: WeightFile, folder: Path, sources: Sequence[str]) -> None:
    """Checks that a missing file has a URL, and that connections are allowed.

    Raises:
        ModelUnavailableError: it has none, or they are not.
    """
    if not sources:
        raise ModelUnavailableError(
            f"{file.name} is not in {folder}, and its URL is not known: {_by_hand(file, folder, file.url)}, or set "
            "STEMWRIGHT_MODEL_MIRROR to a server that has it."
        )
    if is_offline() and not all(map(is_file_url, sources)):
        raise ModelUnavailableError(
            f"{file.name} is not in {folder}, and STEMWRIGHT_OFFLINE prevents its download: unset it, or "
            f"{_by_hand(file, folder, file.url)}."
        )


class _Download:
    """The download of one file."""

    def __init__(
        self,
        file: WeightFile,
        folder: Path,
        sources: Sequence[str],
        model_name: str,
        on_progress: Callable[[DownloadProgress], None] | None,
        is_cancelled: Callable[[], bool] | None,
        retry_policy: RetryPolicy,
    ) -> None:
        self._file = file
        self._folder = folder
        self._sources = sources
        self._model_name = model_name
        self._on_progress = on_progress
        self._is_cancelled = is_cancelled
        self._retry_policy = retry_policy
        self._refused = RefusedVersions(file, folder)

    def run(self) -> Path:
        path = self._file.path_in(self._folder)
        if self._is_there():
            return path
        check_online(self._file, self._folder, self._sources)
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._file.locked(self._folder, self._wait):
            if not self._is_there():  # another process may have downloaded it meanwhile
                with PartFile(self._file, self._folder) as part:
                    self._fetch(part)
        return path

    def _is_there(self) -> bool:
        return self._file.is_whole_in(self._folder, lambda done_bytes: self._report("verifying", done_bytes))

    def _fetch(self, part: PartFile) -> None:
        """Downloads the whole file from the first source that has it, verifies and renames it."""
        part.resume(lambda done_bytes: self._report("verifying", done_bytes))
        self._check_room(part)
        failures = list[tuple[str, PermanentError]]()
        for url in self._sources:
            try:
                self._fetch_from(url, part)
            except PermanentError as refusal:
                failures.append((url, refusal))
            else:
                part.finish()
                self._refused.forget()
                return
        if part.size_bytes == 0 and any(refusal.kind == "digest differs" for _, refusal in failures):
            part.remove()
        raise self._failure(failures)

    def _fetch_from(self, url: str, part: PartFile) -> None:
        """Brings the partial file to its full size and checks its digest; each source sends a whole file once at most.

        Raises:
            PermanentError: it cannot be had from this URL.
        """
        self._download_rest(url, part)
        if not part.matches_digest and part.may_be_mixed:
            part.begin(None)  # halves of different versions, or holes after a crash of the machine
            self._download_rest(url, part)
        self._report("verifying", part.size_bytes)
        if not part.matches_digest:
            found, version = part.sha256, part.version
            part.begin(None)
            if version is not None:
                self._refused.add(version, found)
            raise digest_differs(self._file, found, self._model_name)

    def _download_rest(self, url: str, part: PartFile) -> None:
        """Retries until the partial file has its full size."""
        failures, furthest_bytes = 0, part.size_bytes
        while part.size_bytes < self._file.size_bytes:
            try:
                self._attempt(url, part)
            except TransientError as fault:
                if isinstance(fault, FileChangedError):
                    part.begin(None)
                if part.size_bytes >= furthest_bytes + _PROGRESS_BYTES:
                    failures, furthest_bytes = 0, part.size_bytes
                failures += 1
                if failures >= self._retry_policy.tries:
                    raise PermanentError(f"{fault} after {failures} tries", fault.kind, fault.remedy) from fault
                self._pause(fault, failures, part)

    def _attempt(self, url: str, part: PartFile) -> None:
        """One request: appends the received bytes, never more than the size of the file."""
        file, retry_policy = self._file, self._retry_policy
        self._report("downloading", part.size_bytes)
        with open_download(
            url,
            size_bytes=file.size_bytes,
            start_byte=part.size_bytes,
            version=part.version,
            connect_s=retry_policy.connect_s,
            read_s=retry_policy.read_s,
        ) as response:
            if response.stated_sha256 not in ("", file.sha256):
                raise digest_differs(file, response.stated_sha256, self._model_name)
            if found := self._refused.digest_of(response.version):
                raise digest_differs(self._file, found, self._model_name)
            part.append(response.start_byte, response.version)
            for piece in response.pieces:
                if part.size_bytes + len(piece) > file.size_bytes:
                    part.begin(None)
                    raise PermanentError(
                        f"the server sent more than {file.size_bytes} bytes, so it is another file", "other file"
                    )
                part.write(piece)
                self._report("downloading", part.size_bytes)
        if part.size_bytes < file.size_bytes:
            raise TransientError(f"only {part.size_bytes} of {file.size_bytes} bytes were received")

    def _pause(self, fault: TransientError, failures: int, part: PartFile) -> None:
        """Waits before a retry: as long as the server asks, or longer each time."""
        longest_s = self._retry_policy.longest_pause_s
        if fault.wait_s is not None:
            left_s = fault.wait_s
            if left_s > longest_s:
                raise PermanentError(
                    f"{fault} and asks to retry after {left_s:.0f} s", fault.kind, fault.remedy
                ) from fault
        else:
            left_s = min(longest_s, self._retry_policy.first_pause_s * 2 ** (failures - 1)) * random.uniform(0.5, 1.0)
        while left_s > 0:
            self._report("waiting", part.size_bytes)
            self._retry_policy.sleep(min(left_s, _SLEEP_STEP_S))
            left_s -= _SLEEP_STEP_S

    def _wait(self) -> None:
        """Reports that another process or thread downloads the file."""
        done_bytes = 0
        with suppress(OSError):  # it was just renamed to the complete file
            done_bytes = self._file.part_in(self._folder).stat().st_size
        self._report("waiting", done_bytes)

    def _report(self, stage: Stage, done_bytes: int) -> None:
        if self._is_cancelled is not None and self._is_cancelled():
            raise CancelledError(
                f"The download of {self._file.name} was cancelled; the next one continues with the "
                f"partial file in {self._folder}."
            )
        if self._on_progress is not None:
            self._on_progress(DownloadProgress(self._file.name, done_bytes, self._file.size_bytes, stage))

    def _check_room(self, part: PartFile) -> None:
        needed_bytes = self._file.size_bytes - part.size_bytes
        free_bytes = shutil.disk_usage(self._folder).free
        if free_bytes < needed_bytes:
            raise StorageError(
                f"{self._folder} has {megabytes(free_bytes)} free and {self._file.name} takes {megabytes(needed_bytes)}; "
                "make room, or set STEMWRIGHT_MODELS_DIR to another folder."
            )

    def _failure(self, failures: Sequence[tuple[str, PermanentError]]) -> ModelUnavailableError:
        file, folder = self._file, self._folder
        told = [f"from {without_credentials(url)}, since {refusal}" for url, refusal in failures]
        where = told[0] if len(told) == 1 else f"from any of its {len(told)} addresses: {'; '.join(told)}"
        helps = remedy([refusal for _, refusal in failures])
        useless = {url for url, refusal in failures if refusal.kind in ("gone", "digest differs")}
        lasting = next((url for url in (file.url, *file.mirrors) if url not in useless), "")
        return ModelUnavailableError(
            f"{file.name} could not be downloaded {where}: {helps}; or else set STEMWRIGHT_MODEL_MIRROR to another "
            f"server that has it, or {_by_hand(file, folder, lasting)}."
        )


def _by_hand(file: WeightFile, folder: Path, url: str) -> str:
    """How to do without a download. An empty URL is not named."""
    origin = f" from {without_credentials(url)}" if is_http_url(url) else ""
    return f"put the file by hand{origin} into {folder} under the name {file.name}"
