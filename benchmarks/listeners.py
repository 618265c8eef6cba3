"""Opens many event streams in a separate process, so that reading them does not slow down the measurement.

    python -m benchmarks.listeners PORT KEY SEPARATION COUNT

It prints ``open`` when every stream has sent its first event, and ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.load import http


async def listen(port: int, request: bytes, count: int) -> None:
    """Opens the streams, and reads them until standard input is closed."""
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
