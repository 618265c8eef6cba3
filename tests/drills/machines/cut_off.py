"""A worker is cut off while it has a song in hand, and comes back while another worker has that song."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from typing import TypeVar

from tests.drills.machines.event_log import EventLog
from tests.drills.machines.host import Host
from tests.drills.machines.installation import InHand, Installation

Found = TypeVar("Found")

TAKEN = "is another worker's"
ENDED = "has ended elsewhere"
LOOK_S = 0.1
TRIES = 5
LIMIT_S = 300.0
"""How long it may take until somebody else has the song, and until the worker is back."""


class CutOff(threading.Thread):
    """Watches for a worker with a long song, cuts it off, and lets it come back.

    Args:
        long_tasks: tells the ids of the long songs' tasks.

    Attributes:
        has_worked: whether the worker came back while another had its task.
    """

    def __init__(
        self, installation: Installation, event_log: EventLog, long_tasks: Callable[[], Collection[str]]
    ) -> None:
        super().__init__(name="cut off", daemon=True)
        self.has_worked = False
        self._installation = installation
        self._event_log = event_log
        self._long_tasks = long_tasks

    def run(self) -> None:
        """Tries until it has come about, for an other worker may be too quick to be seen with the song."""
        for _ in range(TRIES):
            found = _wait_for(self._somebody)
            if found is None:
                return
            host, before = found
            try:
                self.has_worked = self._cut_off(host, before)
            finally:
                host.is_spared = False
            if self.has_worked:
                return

    def _somebody(self) -> tuple[Host, InHand] | None:
        long_tasks = self._long_tasks()
        for task in self._installation.in_hand():
            for host in self._installation.workers:
                if task.task_id in long_tasks and host.has(task.pid):
                    host.is_spared = True
                    if host.has(task.pid):  # it was not killed just before
                        return host, task
                    host.is_spared = False
        return None

    def _cut_off(self, host: Host, before: InHand) -> bool:
        with host.cut_off():
            began_at = time.monotonic()
            self._event_log.write(f"{host.name} is cut off, with task {before.task_id[:8]} in hand")
            fate = _wait_for(lambda: self._fate(before))
            passed_s = time.monotonic() - began_at
        self._event_log.write(f"{host.name} is back after {passed_s:.1f} s: its task {fate or 'is nowhere'}")
        _wait_for(lambda: self._installation.is_heard(before.pid) or None)
        self._event_log.write(f"{host.name} is heard again")
        return fate == TAKEN

    def _fate(self, before: InHand) -> str | None:
        """What has become of a task whose worker is cut off; None: nothing yet, or the database does not answer."""
        if any(now.task_id == before.task_id and now.token != before.token for now in self._installation.in_hand()):
            return TAKEN
        return ENDED if self._installation.has_ended(before.task_id) else None


def _wait_for(find: Callable[[], Found | None]) -> Found | None:
    """What there is to find once it is there; None where it does not come."""
    ends_at = time.monotonic() + LIMIT_S
    while (found := find()) is None and time.monotonic() < ends_at:
        time.sleep(LOOK_S)
    return found
