"""Sends requests at a constant rate over keep-alive connections and measures latency, with little CPU time itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

CONNECTIONS = 16


@dataclass(frozen=True)
class TimedResponse:
    """One response: seconds since its scheduled send time, its status and its body."""

    seconds: float
    status: int
    body: bytes


class Connection:
    """A keep-alive connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Sends a whole request; returns status and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        return int(lines[0].split()[1]), await reader.readexactly(length)


def http(method: str, path: str, key: str, body: bytes = b"") -> bytes:
    """A request as bytes."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def at_rate(
    host: str, port: int, per_second: float, count: int, request: Callable[[int], bytes]
) -> list[TimedResponse]:
    """Sends ``count`` requests at a constant rate without waiting for earlier responses."""

    async def all_of_them() -> list[TimedResponse]:
        free: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            free.put_nowait(Connection(host, port))
        begun = time.perf_counter()

        async def one(index: int) -> TimedResponse:
            due = begun + index / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            connection = await free.get()
            status, body = await connection.ask(request(index))
            free.put_nowait(connection)
            return TimedResponse(time.perf_counter() - due, status, body)

        return await asyncio.gather(*(one(index) for index in range(count)))

    return asyncio.run(all_of_them())


def percentile_ms(answers: list[TimedResponse], percent: float) -> float:
    """That percentile of the times, in milliseconds."""
    times = sorted(answer.seconds for answer in answers)
    return 1000 * times[min(len(times) - 1, int(len(times) * percent / 100))]
