"""Customers who order songs and try again, with whichever API server answers, until an order is taken."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from tests.drills.machines.host import Host
from tests.drills.machines.songs import SongFile
from tests.drills.orders import accepted, send, send_song, uploaded

N_AT_ONCE = 4
RETRY_S = 0.5
LATER = "Please try again later."
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

    def order_all(self, wishes: list[Wish], within_s: float) -> None:
        """Orders everything, evenly over so many seconds; returns when all is taken."""
        began_at = time.monotonic()
        with ThreadPoolExecutor(N_AT_ONCE, thread_name_prefix="customer") as pool:
            for _ in pool.map(lambda wish: self._order(wish, began_at + wish.number * within_s / len(wishes)), wishes):
                pass

    def _order(self, wish: Wish, at: float) -> None:
        time.sleep(max(0.0, at - time.monotonic()))
        while not self._try(wish):
            time.sleep(RETRY_S)

    def _try(self, wish: Wish) -> bool:
        with self._lock:
            api = next(self._apis)
        headers = {"Authorization": f"Bearer {wish.key}"}
        try:
            with httpx.Client(base_url=api.url, headers=headers, timeout=TIMEOUT, trust_env=False) as client:
                answer = send_song(client, wish.song.path)
                if answer.status_code == 201:
                    answer = send(client, wish.song.order, uploaded(answer), self._hook, key=f"wish {wish.number}")
        except httpx.TransportError:
            return self._not_taken("no answer")
        if LATER in answer.text:
            return self._not_taken("try again later")
        try:
            task_id = accepted(answer)
        except AssertionError:
            self.refusals.append(f"{answer.status_code} {answer.request.url.path}: {answer.text[:300]}")
            return self._not_taken("refused")
        with self._lock:
            self.placed[task_id] = wish
        return True

    def _not_taken(self, answer: str) -> bool:
        with self._lock:
            self.answers[answer] += 1
        return False
