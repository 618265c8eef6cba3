"""The drill from its beginning to its end."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from stemwright.errors import StorageError
from tests.drills.machines import proofs
from tests.drills.machines.accidents import Accidents
from tests.drills.machines.clock import WrongClock
from tests.drills.machines.customers import Customers, Wish
from tests.drills.machines.cut_off import CutOff
from tests.drills.machines.event_log import EventLog
from tests.drills.machines.installation import Installation, running
from tests.drills.machines.network import Network
from tests.drills.machines.songs import SongFile, cut_songs
from tests.drills.proofs import Digests
from tests.drills.receiver import Receiver

N_SONGS = 20
ORDERS_END = 0.8
"""Customers order during this share of the accidents' time."""

LOOK_S = 0.2
END_LIMIT_S = 3600.0
"""How long the machines may take for what is left once they are in peace; on a machine that others load, too."""


@dataclass(frozen=True)
class DrillOptions:
    """What to do.

    Attributes:
        seed: decides who is killed, and when.
        seconds: how long accidents happen.
        kill_every_s: between two kills.
        tasks: how many orders customers place.
        logs: folder for the logs of all processes; None: they are not kept.
    """

    seed: int
    seconds: float
    kill_every_s: float
    tasks: int
    logs: Path | None = None


def drill(options: DrillOptions, network: Network) -> bool:
    """Runs it and prints what happened; returns whether nothing was lost."""
    event_log = EventLog()
    pace = f"{options.tasks} tasks, {options.seconds:g} s, a kill every {options.kill_every_s:g} s"
    event_log.say(f"seed {options.seed}: {pace}; {network.description}")
    with (
        tempfile.TemporaryDirectory(prefix="songs") as name,
        Receiver(network.own_address) as receiver,
        running(network) as installation,
    ):
        try:
            songs = cut_songs(Path(name), min(N_SONGS, options.tasks))
            event_log.say(f"started: {', '.join(f'{host.name} at {host.address}' for host in installation.hosts)}")
            installation.wait_until_ready()
            calm = _calm_run(installation, songs, receiver, event_log)
            return _drill(options, installation, songs, receiver, calm, event_log)
        finally:
            if options.logs is not None:
                options.logs.mkdir(parents=True, exist_ok=True)
                for host in installation.hosts:
                    shutil.copy(host.log, options.logs)


def _calm_run(
    installation: Installation, songs: list[SongFile], receiver: Receiver, event_log: EventLog
) -> dict[str, Digests]:
    """Has each song separated once, undisturbed."""
    began_at = time.monotonic()
    customers = Customers(installation.apis, receiver.url)
    key = installation.create_account("calm")
    customers.order_all([Wish("calm", key, song, number) for number, song in enumerate(songs)], 0.0)
    _wait_for_the_end(installation)
    tasks = proofs.all_tasks(installation)
    event_log.say(f"calm run: {len(tasks)} songs in {time.monotonic() - began_at:.0f} s")
    return proofs.stems_of(installation, tasks.values())


def _drill(
    options: DrillOptions,
    installation: Installation,
    songs: list[SongFile],
    receiver: Receiver,
    calm: dict[str, Digests],
    event_log: EventLog,
) -> bool:
    chance = random.Random(options.seed)
    customers = Customers(installation.apis, receiver.url)
    wishes = _wishes(installation, songs, options.tasks)
    cut_off = CutOff(installation, event_log, lambda: customers.long_tasks)
    clock = WrongClock(installation.folder)
    event_log.begin()
    accidents = Accidents(installation, chance, options.seconds, options.kill_every_s, event_log, clock, cut_off)
    ordering = customers.begin(wishes, options.seconds * ORDERS_END)
    try:
        accidents.run()
        event_log.write("the machines are left in peace")
        while ordering.is_alive() or cut_off.is_alive():
            accidents.supervise()
            time.sleep(LOOK_S)
    finally:
        customers.stop()
    _wait_for_the_end(installation, accidents)
    event_log.write("all tasks have ended")
    lost = [*customers.refusals, *proofs.losses(installation, customers.placed, receiver, calm)]
    if not cut_off.has_worked:
        lost.append("the drill itself: no worker came back while another had its task")
    _report(installation, customers, accidents, len(songs), event_log)
    event_log.say("lost: " + ("; ".join(lost) if lost else "nothing"))
    return not lost


def _wishes(installation: Installation, songs: list[SongFile], count: int) -> list[Wish]:
    """Each account orders each song once; so none finds stems that are there already."""
    wishes: list[Wish] = []
    while len(wishes) < count:
        name = f"account-{len(wishes) // len(songs) + 1}"
        key = installation.create_account(name)
        wishes += [Wish(name, key, song, len(wishes) + place) for place, song in enumerate(songs)]
    return wishes[:count]


def _wait_for_the_end(installation: Installation, accidents: Accidents | None = None) -> None:
    ends_at = time.monotonic() + END_LIMIT_S
    while time.monotonic() < ends_at:
        if accidents is not None:
            accidents.supervise()
        try:
            if not proofs.unfinished(installation):
                return
        except StorageError:
            pass
        time.sleep(LOOK_S)


def _report(
    installation: Installation, customers: Customers, accidents: Accidents, n_calm: int, event_log: EventLog
) -> None:
    tasks = proofs.all_tasks(installation)
    event_log.say(f"killed {accidents.killed.total()} times:")
    for (host, victim), count in sorted(accidents.killed.items()):
        event_log.say(f"  {host}, {victim}: {count}")
    event_log.say(f"answers that asked customers to try again: {dict(customers.answers)}")
    unseen = len(tasks) - len(customers.placed) - n_calm
    event_log.say(f"accepted: {len(customers.placed)} tasks, and {unseen} whose answer died with its server")
    begun, resumed, handed_back = proofs.told(installation, "task begun", "working files fetched", "task handed back")
    event_log.say(
        f"begun {begun} times, {resumed} of them from another machine's working files; handed back {handed_back} times"
    )
    for error, count in proofs.unexpected(host.log for host in installation.hosts).most_common():
        event_log.say(f"logged {count} times: {error}")
