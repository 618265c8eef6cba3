"""kill -9 of a process that stores files, at random moments: what has a name is whole, and what has none is swept."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stemwright.settings import read_settings
from stemwright.storage.store import INCOMING_FOLDER, Store

WRITES_FOREVER = """
import itertools, random, sys
from pathlib import Path
from stemwright.settings import read_settings
from stemwright.storage.store import Store

store = Store.open(read_settings(data=Path(sys.argv[1])))
chance = random.Random(int(sys.argv[2]))
stem = Path(sys.argv[1]) / f"stem-{sys.argv[2]}"
for number in itertools.count():
    if number == 1:
        print("stored", flush=True)
    content = chance.randbytes(chance.choice([10, 1_000, 300_000, 3_000_000]))
    if chance.random() < 0.3:
        stem.write_bytes(content)
        store.put_file(stem)
    else:
        with store.writer() as writer:
            for start in range(0, len(content), 65_536):
                writer.write(content[start:start + 65_536])
            writer.commit()
"""


def kill_while_it_writes(folder: Path, seed: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_FOREVER, str(folder), str(seed)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "stored\n"
        time.sleep(random.Random(seed).uniform(0.05, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait(240)


def check_kills(folder: Path, seeds: range) -> None:
    store = Store.open(read_settings(data=folder))
    for seed in seeds:
        kill_while_it_writes(folder, seed)
    digests = list(store.digests())
    assert digests, "nothing was stored: the kills came too early"
    for digest in digests:
        content = hashlib.sha256()
        for piece in store.read(digest):
            content.update(piece)
        assert content.hexdigest() == digest
    left = len(list((folder / "files" / INCOMING_FOLDER).iterdir()))
    assert left <= len(seeds)
    assert store.sweep(older_than_s=0) == left
    assert sorted(store.digests()) == sorted(digests)


def test_kill_at_a_few_moments(tmp_path: Path) -> None:
    check_kills(tmp_path, range(4))


@pytest.mark.long
def test_kill_at_twenty_moments(tmp_path: Path) -> None:
    check_kills(tmp_path, range(100, 120))
