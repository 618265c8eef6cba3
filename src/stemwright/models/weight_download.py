"""Downloads of weights: resumed, verified, one at a time for each file, and never a name without the right bytes."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from stemwright.errors import CancelledError, ModelUnavailableError, StorageError, UsageError, storage_error
from stemwright.formatting import megabytes
from stemwright.models.http_range import FileChangedError, PermanentError, TransientError, open_download, shown
from stemwright.models.weight_file import PartFile, WeightFile

Stage = Literal["waiting", "downloading", "verifying"]

_ADVANCE_BYTES = 1 << 20
"""A try that gets this much further than all before was not in vain, and does not count."""

_SLICE_S = 0.1


@dataclass(frozen=True)
class DownloadProgress:
    """How far a download is.

    Attributes:
        name: of the file.
        done_bytes: bytes that are there; in the stage ``verifying`` those that were read so far.
        total_bytes: bytes of the whole file.
        stage: ``waiting`` for another process, or for a server that did not answer well, ``downloading``, ``verifying``.
    """

    name: str
    done_bytes: int
    total_bytes: int
    stage: Stage


@dataclass(frozen=True)
class RetryPolicy:
    """How long a download goes on against bad luck.

    Attributes:
        tries: how many in a row may fail without getting on.
        connect_s: longest time for a connection to stand.
        read_s: longest time without a byte.
        first_pause_s: pause after the first failure; each further one is twice as long, less a random part of up to half.
        longest_pause_s: no pause is longer; a server that wants a longer one is not asked again.
        sleep: waits so many seconds.
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
    mirror: str | None = None,
    on_progress: Callable[[DownloadProgress], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
    retry_policy: RetryPolicy | None = None,
) -> Path:
    """Brings a file of weights into a folder, unless it is there already, and gives where it lies.

    It grows as ``NAME.part`` and gets its name when its size and SHA-256 are those of the registry. What a try leaves
    behind, however it ended, the next one goes on from. Of several processes and threads one works, the others wait.

    Args:
        file: which one.
        folder: where it shall lie; made if it is missing.
        mirror: URL of a folder (https, http or file) that has the file under its name; ``STEMWRIGHT_MODEL_MIRROR`` if None.
        on_progress: is told how far it is, many times a second.
        is_cancelled: asked often; once it says yes, the download ends.
        patience: limits of time and tries.

    Raises:
        ModelUnavailableError: the file cannot be had, what came is not it, or ``STEMWRIGHT_OFFLINE`` forbids to ask.
        StorageError: the folder cannot be written, or has no room.
        CancelledError: the caller cancelled. What came so far stays.
        UsageError: the mirror is no URL.
    """
    url = _source(file, mirror)
    one = _Download(file, folder, url, on_progress, is_cancelled, retry_policy or RetryPolicy())
    try:
        return one.run()
    except OSError as error:
        raise storage_error(error, file.path_in(folder)) from error


def is_offline() -> bool:
    """Whether ``STEMWRIGHT_OFFLINE`` is set, so that no connection may be opened."""
    return os.environ.get("STEMWRIGHT_OFFLINE", "").strip().lower() not in ("", "0", "false", "f", "no", "n", "off")


def _source(file: WeightFile, mirror: str | None) -> str:
    """Where to ask for the file: in the mirror, if there is one.

    Raises:
        UsageError: the mirror is no URL.
    """
    base = mirror or os.environ.get("STEMWRIGHT_MODEL_MIRROR", "").strip()
    if not base:
        return file.url
    if not (_is_of_web(base) or _is_local(base)):
        raise UsageError(
            f"The mirror '{shown(base)}' cannot be used: set STEMWRIGHT_MODEL_MIRROR to the URL of a folder, such as "
            "https://host/models or file:///media/models."
        )
    parts = urlsplit(base)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(file.name)}").geturl()


def _is_of_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_local(url: str) -> bool:
    return url.startswith("file:///")


class _Download:
    """One file on its way."""

    def __init__(
        self,
        file: WeightFile,
        folder: Path,
        url: str,
        on_progress: Callable[[DownloadProgress], None] | None,
        is_cancelled: Callable[[], bool] | None,
        retry_policy: RetryPolicy,
    ) -> None:
        self._file = file
        self._folder = folder
        self._url = url
        self._on_progress = on_progress
        self._is_cancelled = is_cancelled
        self._retry_policy = retry_policy

    def run(self) -> Path:
        path = self._file.path_in(self._folder)
        if self._is_there():
            return path
        if self._url == self._file.url and not _is_of_web(self._url):  # a mirror was judged before
            raise ModelUnavailableError(
                f"{self._file.name} is not in {self._folder}, and no address is known to download it from: "
                f"{self._by_hand()}, or set STEMWRIGHT_MODEL_MIRROR to a server that has it."
            )
        if is_offline() and not _is_local(self._url):
            raise ModelUnavailableError(
                f"{self._file.name} is not in {self._folder}, and STEMWRIGHT_OFFLINE forbids to fetch it: unset that, or "
                f"{self._by_hand()}."
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._file.locked(self._folder, self._wait):
            if not self._is_there():  # for another may have brought it meanwhile
                with PartFile(self._file, self._folder) as part:
                    self._fetch(part)
        return path

    def _is_there(self) -> bool:
        return self._file.is_whole_in(self._folder, lambda done_bytes: self._tell("verifying", done_bytes))

    def _fetch(self, part: PartFile) -> None:
        """Brings the whole file into the part, and gives it its name."""
        part.resume(lambda done_bytes: self._tell("verifying", done_bytes))
        self._check_room(part)
        self._fill(part)
        if not part.matches_digest and part.was_resumed:
            part.begin(None)  # two halves of different files, or one that a crash of the machine left with holes
            self._fill(part)
        self._tell("verifying", part.size_bytes)
        if not part.matches_digest:
            part.remove()
            raise self._failure(
                "what came has the right size but another SHA-256 than the registry says, and was deleted"
            )
        part.finish()

    def _fill(self, part: PartFile) -> None:
        """Tries until the part has the size of the file."""
        failures, furthest_bytes = 0, part.size_bytes
        while part.size_bytes < self._file.size_bytes:
            try:
                self._try(part)
            except PermanentError as refusal:
                raise self._failure(str(refusal)) from refusal
            except TransientError as fault:
                if isinstance(fault, FileChangedError):
                    part.begin(None)
                if part.size_bytes >= furthest_bytes + _ADVANCE_BYTES:
                    failures, furthest_bytes = 0, part.size_bytes
                failures += 1
                if failures >= self._retry_policy.tries:
                    raise self._failure(f"{fault} after {failures} tries") from fault
                self._pause(fault, failures, part)

    def _try(self, part: PartFile) -> None:
        """One request: adds to the part what comes, and never more than the file has."""
        file, retry_policy = self._file, self._retry_policy
        self._tell("downloading", part.size_bytes)
        with open_download(
            self._url,
            size_bytes=file.size_bytes,
            start_byte=part.size_bytes,
            version=part.version,
            connect_s=retry_policy.connect_s,
            read_s=retry_policy.read_s,
        ) as answer:
            part.append(answer.start_byte, answer.version)
            for piece in answer.pieces:
                if part.size_bytes + len(piece) > file.size_bytes:
                    part.begin(None)
                    raise PermanentError(
                        f"more came than the {file.size_bytes} bytes of the file, so it is another one"
                    )
                part.write(piece)
                self._tell("downloading", part.size_bytes)
        if part.size_bytes < file.size_bytes:
            raise TransientError(f"only {part.size_bytes} of {file.size_bytes} bytes came")

    def _pause(self, fault: TransientError, failures: int, part: PartFile) -> None:
        """Leaves the server alone for a while: as long as it says, or longer each time."""
        longest_s = self._retry_policy.longest_pause_s
        if fault.wait_s is not None:
            left_s = fault.wait_s
            if left_s > longest_s:
                raise self._failure(f"{fault} and wants to be asked again in {left_s:.0f} s") from fault
        else:
            left_s = min(longest_s, self._retry_policy.first_pause_s * 2 ** (failures - 1)) * random.uniform(0.5, 1.0)
        while left_s > 0:
            self._tell("waiting", part.size_bytes)
            self._retry_policy.sleep(min(left_s, _SLICE_S))
            left_s -= _SLICE_S

    def _wait(self) -> None:
        """Another process or thread downloads the file."""
        done_bytes = 0
        with suppress(OSError):  # it just became the whole file
            done_bytes = self._file.part_in(self._folder).stat().st_size
        self._tell("waiting", done_bytes)

    def _tell(self, stage: Stage, done_bytes: int) -> None:
        if self._is_cancelled is not None and self._is_cancelled():
            raise CancelledError(
                f"The download of {self._file.name} was cancelled; what came stays in {self._folder}, and the next one "
                "goes on from there."
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

    def _failure(self, reason: str) -> ModelUnavailableError:
        return ModelUnavailableError(
            f"{self._file.name} could not be downloaded from {shown(self._url)}, since {reason}: try again later, "
            f"set STEMWRIGHT_MODEL_MIRROR to a server that has it, or {self._by_hand()}."
        )

    def _by_hand(self) -> str:
        source = f" from {shown(self._file.url)}" if _is_of_web(self._file.url) else ""
        return f"put the file by hand{source} into {self._folder} under the name {self._file.name}"
