"""A client of downloads, and the file that it downloads."""

from __future__ import annotations

import hashlib
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from stemwright.models.weight_download import DownloadProgress, RetryPolicy, download
from stemwright.models.weight_file import WeightFile
from tests.models.downloads.weight_server import (
    WeightServer,
)

CONTENT = random.Random(5).randbytes(300_000)
HALF = 150_000
NAME = "net v1.ckpt"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
BY_HAND = r"put the file by hand .*into .*models under the name net v1\.ckpt"

SCRIPT = """
import sys
from pathlib import Path
from stemwright.models.weight_download import download
from stemwright.models.weight_file import WeightFile

name, url, size, digest, folder = sys.argv[1:]
report = lambda progress: print(progress.stage, progress.done_bytes, flush=True)
print(download(WeightFile(name, url, int(size), digest), Path(folder), on_progress=report), flush=True)
"""


def weights_at(url: str, *mirrors: str) -> WeightFile:
    return WeightFile(NAME, url, len(CONTENT), DIGEST, mirrors)


class Client:
    """Downloads from a server; its pauses take no time, and their sum is in ``slept_s``."""

    def __init__(self, server: WeightServer, folder: Path) -> None:
        self.file = weights_at(f"{server.url}/release/net%20v1.ckpt")
        self.folder = folder
        self.slept_s = 0.0
        self.progress: list[DownloadProgress] = []

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def bring(
        self,
        *,
        tries: int = 5,
        read_s: float = 240.0,
        model_name: str = "",
        mirror: str | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Path:
        retry_policy = RetryPolicy(tries=tries, connect_s=240.0, read_s=read_s, sleep=self._sleep)
        return download(
            self.file,
            self.folder,
            model_name=model_name,
            mirror=mirror,
            on_progress=self.progress.append,
            is_cancelled=is_cancelled,
            retry_policy=retry_policy,
        )

    def leave(self, part: bytes) -> None:
        """Leaves a part, as a run does that was killed before it could note of which version it is."""
        self.folder.mkdir()
        self.file.part_in(self.folder).write_bytes(part)

    @property
    def stages(self) -> list[str]:
        return [
            here.stage
            for here, before in zip(self.progress, [None, *self.progress], strict=False)
            if before is None or here.stage != before.stage
        ]

    @property
    def left(self) -> set[str]:
        """Names of what lies in the folder for all to see."""
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}


def is_whole(path: Path) -> bool:
    return path.read_bytes() == CONTENT


def start(file: WeightFile, folder: Path, largest_file_bytes: int = resource.RLIM_INFINITY) -> subprocess.Popen[str]:
    """A process that downloads and prints how far it is."""
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest_file_bytes},) * 2)"
    arguments = [file.name, file.url, str(file.size_bytes), file.sha256, str(folder)]
    command = [sys.executable, "-c", limited + SCRIPT, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for shown in process.stdout:
        if shown.strip() == line:
            return
    raise AssertionError(f"the process ended before it said '{line}'")
