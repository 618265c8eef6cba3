"""Many open streams of events, in a process of its own: what reads them must not slow down what is measured.

    python -m benchmarks.listeners PORT KEY SEPARATION COUNT

It says ``open`` once each stream has sent its first event, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.load import http


async def listen(port: int, request: bytes, count: int) -> None:
    """Opens the streams, and reads them until somebody ends this process's input."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for _, writer in connections:
        writer.write(request)
    for reader, _ in connections:
        await reader.readuntil(b"data: ")
    print("open", flush=True)
    readers = [asyncio.create_task(_drop(reader)) for reader, _ in connections]
    await asyncio.to_thread(sys.stdin.read)
    for task in readers:
        task.cancel()
    for _, writer in connections:
        writer.close()


async def _drop(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass
    raise SystemExit("A stream has ended early.")


def main() -> None:
    """Listens."""
    port, key, separation, count = sys.argv[1:]
    asyncio.run(listen(int(port), http("GET", f"/v1/separations/{separation}/events", key), int(count)))


if __name__ == "__main__":
    main()
