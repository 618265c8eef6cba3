"""Entry point of a process of a batch.

The first line of standard input is its configuration. When standard input ends, because the command stops or has died,
the process stops at its next chunk. To standard output it writes one JSON object a line: that it is ready,
songs that failed, and the error that stopped it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stemwright.errors import StemwrightError

if TYPE_CHECKING:
    from stemwright.batch.worker import SeparateSong

SEPARATE = "stemwright.batch.separate_song:separate_song"
"""Makes what separates a song."""


@dataclass(frozen=True)
class WorkerConfig:
    """What a process must know.

    Attributes:
        name: its own, unique among all hosts.
        database_url: None for the one of STEMWRIGHT_DATABASE_URL, which may hold a password.
        batch_id, source, target: the batch and its places.
        stems, plan, format, device, threads: options of the separation.
        separate: ``package.module:function`` that gets this object and makes a ``SeparateSong``.
    """

    name: str
    database_url: str | None
    batch_id: str
    source: str
    target: str
    stems: str
    plan: str
    format: str
    device: str
    threads: int
    separate: str = SEPARATE

    def to_json(self) -> str:
        """On one line."""
        return json.dumps(asdict(self))


def main() -> None:
    """Runs one process of a batch."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the command that started it decides
    words = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no word of ours
    config = WorkerConfig(**json.loads(sys.stdin.readline()))
    stopping = threading.Event()
    threading.Thread(target=_stop_at_the_end_of_input, args=(stopping,), name="stop", daemon=True).start()

    def say(facts: dict[str, Any]) -> None:
        try:
            words.write(json.dumps(facts) + "\n")
        except OSError:  # nobody listens: the command has died
            stopping.set()

    code = 0
    try:
        _work(config, stopping, say)
    except StemwrightError as error:
        code = error.exit_code
        say({"stopped": str(error), "exit_code": code})
    os._exit(code)  # the thread that waits for input would hold the interpreter up


def _work(config: WorkerConfig, stopping: threading.Event, say: Callable[[dict[str, Any]], None]) -> None:
    from stemwright.cpu_memory_limits import limit_blas

    limit_blas(config.threads)  # before NumPy is imported
    from stemwright.batch.places import open_places
    from stemwright.batch.songs import BatchSongs
    from stemwright.batch.work_folder import WorkFolder
    from stemwright.batch.worker import BatchWorker
    from stemwright.database.engine import Database
    from stemwright.settings import read_settings

    database = Database.open(read_settings()) if config.database_url is None else Database(config.database_url)
    source, target = open_places(config.source, config.target)
    work = WorkFolder(target.work_root(config.batch_id))
    module, _, function = config.separate.partition(":")
    separate: SeparateSong = getattr(import_module(module), function)(config)

    def on_failure(path: str, error: StemwrightError) -> None:
        say({"failed": path, "error": str(error)})

    songs = BatchSongs(database, config.batch_id)
    say({"ready": True})
    try:
        BatchWorker(config.name, songs, source, target, work, separate, on_failure, stopping).run()
    finally:
        work.close()
        database.close()


def _stop_at_the_end_of_input(stopping: threading.Event) -> None:
    sys.stdin.read()
    stopping.set()


if __name__ == "__main__":
    main()
