"""The disk, several downloads at once, and cancelling."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from stemwright.errors import CancelledError, StorageError
from stemwright.models.weight_download import download
from stemwright.models.weight_file import WeightFile
from tests.models.downloads.client import CONTENT, DIGEST, HALF, NAME, Client, is_whole, read_until, start
from tests.models.downloads.weight_server import (
    WeightServer,
    answers,
    stalls,
)


def test_room_is_looked_for_first(server: WeightServer, folder: Path) -> None:
    file = WeightFile(NAME, server.url, 10**18, DIGEST)
    with pytest.raises(
        StorageError, match=r"free and net v1\.ckpt takes .* GB; make room, or set STEMWRIGHT_MODELS_DIR"
    ):
        download(file, folder)
    assert server.requests == []


def test_a_disk_that_fills_up_is_told_and_gone_on_with(server: WeightServer, client: Client) -> None:
    with start(client.file, client.folder, largest_file_bytes=HALF) as process:
        assert process.stderr is not None
        assert "StorageError: No room is left to write" in process.stderr.read()
    assert client.file.part_in(client.folder).stat().st_size == HALF
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_folder_that_cannot_be_made_is_told(client: Client) -> None:
    client.folder.write_bytes(b"a file")
    with pytest.raises(StorageError, match="could not be written"):
        client.bring()


def test_of_two_processes_one_downloads_and_both_have_the_file(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(HALF))
    with start(client.file, client.folder) as first:
        read_until(first, f"downloading {HALF}")
        with start(client.file, client.folder) as second:
            assert second.stdout is not None
            assert second.stdout.readline().startswith("waiting ")
            server.release.set()
            for process in (first, second):
                out, err = process.communicate(timeout=240)
                assert (process.returncode, err) == (0, "")
                assert out.splitlines()[-1] == str(client.folder / NAME)
    assert is_whole(client.folder / NAME)
    assert len(server.requests) == 1


def test_whoever_waits_takes_over_from_one_that_is_killed(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(HALF))
    with start(client.file, client.folder) as first:
        read_until(first, f"downloading {HALF}")
        with start(client.file, client.folder) as second:
            assert second.stdout is not None
            assert second.stdout.readline().startswith("waiting ")
            first.kill()
            assert second.wait(240) == 0
            second.stdout.read()
    assert is_whole(client.folder / NAME)
    assert server.ranges[0] is None
    assert server.ranges[1] is not None


def test_threads_share_one_download(server: WeightServer, folder: Path) -> None:
    clients = [Client(server, folder) for _ in range(4)]
    server.acts.append(stalls(HALF))
    threads = [threading.Thread(target=client.bring) for client in clients]
    for thread in threads:
        thread.start()
    while sum("waiting" in client.stages for client in clients) < 3:
        time.sleep(0.01)
    server.release.set()
    for thread in threads:
        thread.join(240)
    assert is_whole(folder / NAME)
    assert len(server.requests) == 1


def test_files_of_other_names_do_not_wait_for_each_other(server: WeightServer, client: Client) -> None:
    with client.file.locked(_made(client.folder), lambda: None):
        other = WeightFile("other.ckpt", client.file.url, len(CONTENT), DIGEST)
        assert is_whole(download(other, client.folder))


def test_a_cancelled_download_keeps_what_came(server: WeightServer, client: Client) -> None:
    with pytest.raises(CancelledError, match="the next one continues with the partial file"):
        client.bring(is_cancelled=lambda: bool(client.progress) and client.progress[-1].done_bytes > 0)
    part = client.file.part_in(client.folder).stat().st_size
    assert part > 0
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={part}-"]


@pytest.mark.parametrize("waits_for", ["server", "lock"])
def test_whoever_waits_can_be_cancelled(server: WeightServer, client: Client, waits_for: str) -> None:
    def is_cancelled() -> bool:
        return "waiting" in client.stages

    if waits_for == "server":
        server.acts.append(answers(503, {"Retry-After": "100"}))
        with pytest.raises(CancelledError):
            client.bring(is_cancelled=is_cancelled)
        assert client.slept_s < 1.0
    else:
        with client.file.locked(_made(client.folder), lambda: None), pytest.raises(CancelledError):
            client.bring(is_cancelled=is_cancelled)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
