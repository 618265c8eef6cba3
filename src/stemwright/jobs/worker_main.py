"""Entry point of a worker process: starts the heartbeat, then loads the rest."""

from __future__ import annotations

import os
import signal

from stemwright.jobs.heartbeat_pipe import HeartbeatPipe


def main() -> None:
    """Runs a worker with the configuration from standard input; its heartbeat goes to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the server decides
    heartbeat_file = os.dup(1)  # handler output must not be taken for a heartbeat
    os.set_blocking(heartbeat_file, False)
    os.dup2(2, 1)
    heartbeat = HeartbeatPipe(heartbeat_file)
    heartbeat.start()
    from stemwright.jobs.worker import run_worker

    run_worker(heartbeat)
