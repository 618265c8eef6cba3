"""What happens to the machines, second by second; a seed decides."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from tests.drills.machines.clock import WrongClock
from tests.drills.machines.cut_off import CutOff
from tests.drills.machines.event_log import EventLog
from tests.drills.machines.host import Host
from tests.drills.machines.installation import Installation

OUTAGE_S = 20.0
DATABASE_DOWN_S = 2.0
CLOCK_AHEAD_S = 60
LOOK_S = 0.05


class Accidents:
    """A timetable, and who is to blame.

    Args:
        chance: decides who is killed, and when the rest happens.
        seconds: how long it goes on.
        kill_every_s: between two kills.
        clock: makes clocks wrong.
        cut_off: begins at its time.

    Attributes:
        killed: how often what was killed on which machine.
    """

    def __init__(
        self,
        installation: Installation,
        chance: random.Random,
        seconds: float,
        kill_every_s: float,
        event_log: EventLog,
        clock: WrongClock,
        cut_off: CutOff,
    ) -> None:
        self.killed: Counter[tuple[str, str]] = Counter()
        self._installation = installation
        self._chance = chance
        self._seconds = seconds
        self._kill_every_s = kill_every_s
        self._event_log = event_log
        self._clock = clock
        self._cut_off = cut_off
        self._outage = ExitStack()
        self._timetable = self._plan()

    def run(self) -> None:
        """Lets everything happen; dead processes are started again meanwhile."""
        self._set_clock()
        while self._event_log.seconds < self._seconds or self._timetable:
            self.supervise()
            while self._timetable and self._timetable[0][0] <= self._event_log.seconds:
                _, happen = self._timetable.pop(0)
                happen()
            time.sleep(LOOK_S)

    def supervise(self) -> None:
        """Starts what has died."""
        for host in self._installation.hosts:
            host.supervise()

    def _plan(self) -> list[tuple[float, Callable[[], None]]]:
        within, seconds = self._chance.uniform, self._seconds
        outage_s = min(OUTAGE_S, seconds / 4)
        fast, outage, immediate = within(0.1, 0.3), within(0.35, 0.5), within(0.75, 0.85)
        planned: list[tuple[float, Callable[[], None]]] = [
            (seconds * within(0.02, 0.08), self._cut_off.start),
            (seconds * fast, lambda: self._stop_database(signal.SIGINT)),
            (seconds * fast + DATABASE_DOWN_S, self._start_database),
            (seconds * outage, self._lose_store),
            (seconds * outage + outage_s, self._find_store),
            (seconds * immediate, lambda: self._stop_database(signal.SIGQUIT)),
            (seconds * immediate + DATABASE_DOWN_S, self._start_database),
        ]
        planned += [
            (self._kill_every_s * number, self._kill) for number in range(1, round(seconds / self._kill_every_s))
        ]
        return sorted(planned, key=lambda each: each[0])

    def _kill(self) -> None:
        hosts = [host for host in self._installation.hosts if host.is_running and not host.is_spared]
        while hosts:
            host = self._chance.choice(hosts)
            victim = self._chance.choice(host.victims)
            if host.kill(victim):
                self.killed[host.name, victim] += 1
                self._event_log.write(f"kill -9: {host.name}, {victim}")
                return
            hosts.remove(host)
        self._event_log.write("nobody is left to kill")

    def _set_clock(self) -> None:
        if not self._clock.exists:
            self._event_log.write("no clock is wrong: there is no C compiler (cc) here")
            return
        host: Host = self._chance.choice(self._installation.hosts)
        ahead_s = self._chance.choice((CLOCK_AHEAD_S, -CLOCK_AHEAD_S))
        host.clock = self._clock.environment(ahead_s)
        host.kill(host.victims[-1])
        self.killed[host.name, host.victims[-1]] += 1
        where = "ahead" if ahead_s > 0 else "behind"
        self._event_log.write(f"kill -9: {host.name}, whose clock is {abs(ahead_s)} s {where} from now on")

    def _stop_database(self, number: signal.Signals) -> None:
        self._installation.database.stop(number)
        self._event_log.write(f"PostgreSQL is stopped ({'immediate' if number == signal.SIGQUIT else 'fast'})")

    def _start_database(self) -> None:
        self._installation.database.start()
        self._event_log.write("PostgreSQL is back")

    def _lose_store(self) -> None:
        self._outage.enter_context(self._installation.without_store())
        self._event_log.write("the store cannot be reached")

    def _find_store(self) -> None:
        self._outage.close()
        self._event_log.write("the store can be reached again")
