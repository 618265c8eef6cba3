"""Requests as they are, which no library has tidied up."""

from __future__ import annotations

import select
import socket
from contextlib import suppress

import httpx


def answer(url: str, head: bytes, *pieces: bytes) -> bytes:
    """Sends a request as it is, for as long as nothing comes back, and gives what came."""
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 80), timeout=240) as connection:
        with suppress(ConnectionError):
            connection.sendall(head + b"Host: x\r\nConnection: close\r\n\r\n")
            for piece in pieces:
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(piece)
        return everything(connection)


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side ends the connection."""
    reply = bytearray()
    with suppress(ConnectionError):
        while more := connection.recv(65_536):
            reply += more
    return bytes(reply)
