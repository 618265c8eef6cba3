"""The first code of a worker process: the pulse begins, then the rest is loaded."""

from __future__ import annotations

import os
import signal

from stemwright.jobs.heartbeat_pipe import HeartbeatPipe


def main() -> None:
    """Runs a worker on the order that comes on standard input; its pulse goes to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of the terminal's processes; the server decides
    pulse_file = os.dup(1)  # what handlers print must not be taken for a pulse
    os.set_blocking(pulse_file, False)
    os.dup2(2, 1)
    pulse = HeartbeatPipe(pulse_file)
    pulse.start()
    from stemwright.jobs.worker import work

    work(pulse)
