"""Several processes of one run: their start, rendezvous and end. On CPUs one process per core trains fastest."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path

from torch import distributed


def launch(work: Callable[[argparse.Namespace, Path, int], None], options: argparse.Namespace) -> None:
    """Runs ``work`` in ``options.workers`` processes, this one as leader; the rendezvous file is in ``options.run``."""
    # One file for each start: a follower of a killed leader must not join the next one.
    rendezvous = options.run.resolve() / f".rendezvous-{os.getpid()}"
    followers = [
        multiprocessing.get_context("spawn").Process(target=work, args=(options, rendezvous, rank), daemon=True)
        for rank in range(1, options.workers)
    ]
    for follower in followers:
        follower.start()
    work(options, rendezvous, 0)
    rendezvous.unlink(missing_ok=True)
    for follower in followers:
        follower.join()


def exit_with_leader() -> None:
    """Ends this process when the leader ends, however that happens. Does nothing in the leader."""
    if (leader := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(leader.sentinel,), daemon=True).start()


def join_group(rendezvous: Path, rank: int, workers: int) -> None:
    """Joins the process group, if there are several workers."""
    if workers > 1:
        distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=workers)


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
