from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stemwright.errors import StorageError
from stemwright.separation.resources import check_disk_space, peak_rss_mb


def test_room_is_looked_for_on_the_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    check_disk_space(tmp_path / "a" / "b" / "c", 1000)
    with pytest.raises(StorageError, match="make room"):
        check_disk_space(tmp_path / "a" / "b" / "c", 10**18)
    assert not (tmp_path / "a").exists()


def test_this_process_takes_memory() -> None:
    before = peak_rss_mb()
    block = bytearray(200_000_000)
    assert peak_rss_mb() >= max(before, 200)
    del block
    assert peak_rss_mb() >= 200


def test_a_process_does_not_inherit_the_peak_of_the_one_that_started_it() -> None:
    block = bytearray(300_000_000)
    code = "from stemwright.separation.resources import peak_rss_mb; print(peak_rss_mb())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert float(child.stdout) < 200
    assert len(block) == 300_000_000
