"""What the command line shows of a download."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from stemwright.cli.download_bar import DownloadLines, download_bar
from stemwright.models.weight_download import DownloadProgress, download
from tests.models.downloads.client import CONTENT, DIGEST, HALF, NAME, SCRIPT, Client, weights_at
from tests.models.downloads.weight_server import (
    WeightServer,
    stalls,
)


def test_a_pipe_gets_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = [100.0]
    lines = DownloadLines(lambda: now_s[0])
    for second in range(21):
        now_s[0] = 100.0 + second
        lines(DownloadProgress("net\n", 400_000_000 + second * 10_000_000, 1_400_000_000, "downloading"))
    lines(DownloadProgress("net\n", 600_000_000, 1_400_000_000, "waiting"))
    assert capsys.readouterr().err.splitlines() == [
        "net_: downloading, 400.0 MB of 1.4 GB (29%)",
        "net_: downloading, 450.0 MB of 1.4 GB (32%), 10.0 MB/s, 1:35 left",
        "net_: downloading, 500.0 MB of 1.4 GB (36%), 10.0 MB/s, 1:30 left",
        "net_: downloading, 550.0 MB of 1.4 GB (39%), 10.0 MB/s, 1:25 left",
        "net_: downloading, 600.0 MB of 1.4 GB (43%), 10.0 MB/s, 1:20 left",
        "net_: waiting, 600.0 MB of 1.4 GB (43%)",
    ]


def test_a_pipe_is_told_of_a_download(server: WeightServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with download_bar() as on_progress:
        download(weights_at(server.url), folder, on_progress=on_progress)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{NAME}: downloading, 0.0 MB of 0.3 MB (0%)\n")
    assert said.err.endswith(f"{NAME}: verifying, 0.3 MB of 0.3 MB (100%)\n")


def test_quiet_says_nothing(server: WeightServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with download_bar(quiet=True) as on_progress:
        download(weights_at(server.url), folder, on_progress=on_progress)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(server: WeightServer, client: Client) -> None:
    client.leave(CONTENT[:HALF])
    server.acts.append(stalls(1000))
    code = "from stemwright.cli.download_bar import download_bar\n" + SCRIPT.replace(
        "print(download(", "with download_bar() as report: print(download("
    )
    arguments = [NAME, client.file.url, str(len(CONTENT)), DIGEST, str(client.folder)]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
            if b"151.0/300.0 kB" in shown:
                server.release.set()
        os.close(ours)
        assert process.stdout is not None
        assert process.stdout.read().decode() == f"{client.folder / NAME}\n", shown.decode()
    assert process.returncode == 0
    assert NAME.encode() in shown
    assert b"downloading" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other side was closed
        return b""
