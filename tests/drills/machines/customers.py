"""Customers who order songs and try again, with whichever API server answers, until an order is taken."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from tests.drills.machines.host import Host
from tests.drills.machines.songs import SongFile
from tests.drills.orders import Song, accepted, send, send_song, uploaded

N_AT_ONCE = 4
RETRY_S = 0.5
LIMIT_S = 1800.0
"""How long a customer tries; longer than any accident, also on a machine that others load."""

LATER = ("be stored for now", "store anything for now")
"""What the three APIs say while the database or the store is away."""

TIMEOUT = httpx.Timeout(60.0, connect=2.0)


@dataclass(frozen=True)
class Wish:
    """A song that an account wants to have separated.

    Attributes:
        account: its name; key: its API key.
        number: tells it apart from all others.
    """

    account: str
    key: str
    song: SongFile
    number: int


class Customers:
    """All of them. Thread-safe.

    Args:
        apis: API servers.
        hook: where tasks are called back.

    Attributes:
        placed: the tasks whose ids were in an answer, and what was wished.
        answers: how often there was none, or one of a status that asks to try again.
        refusals: answers that a customer cannot explain, in words.
    """

    def __init__(self, apis: list[Host], hook: str) -> None:
        self.placed: dict[str, Wish] = {}
        self.answers: Counter[str] = Counter()
        self.refusals: list[str] = []
        self._apis = itertools.cycle(apis)
        self._hook = hook
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @property
    def long_tasks(self) -> set[str]:
        """The tasks of long songs."""
        with self._lock:
            return {task_id for task_id, wish in self.placed.items() if wish.song.is_long}

    def begin(self, wishes: list[Wish], within_s: float) -> threading.Thread:
        """Orders everything from a thread, which ends when all is taken."""
        thread = threading.Thread(target=self.order_all, args=(wishes, within_s), name="customers", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Lets all go home, whatever they have not got yet."""
        self._stopped.set()

    def order_all(self, wishes: list[Wish], within_s: float) -> None:
        """Orders everything, evenly over so many seconds; returns when all is taken."""
        began_at = time.monotonic()
        with ThreadPoolExecutor(N_AT_ONCE, thread_name_prefix="customer") as pool:
            try:
                for _ in pool.map(
                    lambda each: self._order(each, began_at + each.number * within_s / len(wishes)), wishes
                ):
                    pass
            finally:
                self.stop()  # who interrupts this waits for nobody

    def _order(self, wish: Wish, at: float) -> None:
        self._stopped.wait(max(0.0, at - time.monotonic()))
        song = None
        ends_at = time.monotonic() + LIMIT_S
        while time.monotonic() < ends_at and not self._stopped.is_set():
            with self._lock:
                api = next(self._apis)
            headers = {"Authorization": f"Bearer {wish.key}"}
            with httpx.Client(base_url=api.url, headers=headers, timeout=TIMEOUT, trust_env=False) as client:
                # The same song in each try, or the order's key would be used for two orders.
                song = song or self._upload(client, wish)
                if song is not None and self._send(client, wish, song):
                    return
            self._stopped.wait(RETRY_S)
        self.refusals.append(f"an order of {wish.account} was not taken within {LIMIT_S:g} s")

    def _upload(self, client: httpx.Client, wish: Wish) -> Song | None:
        answer = self._ask(lambda: send_song(client, wish.song.path))
        return None if answer is None else uploaded(answer)

    def _send(self, client: httpx.Client, wish: Wish, song: Song) -> bool:
        answer = self._ask(lambda: send(client, wish.song.order, song, self._hook, key=f"wish {wish.number}"))
        if answer is None:
            return False
        task_id = accepted(answer)
        with self._lock:
            self.placed[task_id] = wish
        return True

    def _ask(self, request: Callable[[], httpx.Response]) -> httpx.Response | None:
        """The answer of a server that took what it was sent; None: try again."""
        try:
            answer = request()
        except httpx.TransportError:
            self._count("no answer")
            return None
        if any(words in answer.text for words in LATER):
            self._count("try again later")
            return None
        code = answer.json().get("code", answer.status_code) if answer.text.startswith("{") else answer.status_code
        if code in (200, 201):
            return answer
        self.refusals.append(f"{code} {answer.request.url.path}: {answer.text[:300]}")
        return None

    def _count(self, answer: str) -> None:
        with self._lock:
            self.answers[answer] += 1
