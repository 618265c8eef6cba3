"""The connections of clients: requests are judged strictly, and clients that never come to the point are cut off.

The choice of uvicorn's h11 over its httptools is made here. Of the requests in ``tests/api/test_framing.py`` neither refuses
all; h11 is Python, so that its input can be judged first (``framing``).
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from stemwright.api.request_framing import MAX_HEAD_BYTES, StrictBuffer

HEAD_TIMEOUT_S = 20.0
"""Seconds within which the head of a request must be there: from the connection, or the answer before, on. What was received
while the server was busy is read first, so a slow server cuts nobody off."""

WRITE_TIMEOUT_S = 600.0
"""Seconds for which a client may take nothing of an answer. Browsers stop for minutes while a song is paused."""

LINGER_TIMEOUT_S = 5.0
"""Seconds for which a client whose request was refused may go on sending: an end at once could destroy the answer."""


class StrictHttpProtocol(H11Protocol):
    """HTTP/1.1 for clients that send whole heads of requests before long. Bodies have limits where they are read."""

    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _is_refused = False

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # h11 counts what is not whole yet, so its limit is never met before the buffer's own
        self.conn = h11.Connection(h11.SERVER, 2 * MAX_HEAD_BYTES)
        self._buffer = StrictBuffer(self.conn)
        self.conn._receive_buffer = self._buffer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no longer."""
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what was received; nothing more of a client whose request was refused."""
        if not self._is_refused:
            super().data_received(data)

    def handle_events(self) -> None:
        """Goes through what was received; a new cycle is a request whose head is whole."""
        if self._is_refused:
            return
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop_head_timer()
            if any(name == b"upgrade" for name, _ in self.headers):
                # It is answered as if it had not asked, and what follows it is in nobody's protocol.
                self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def on_response_complete(self) -> None:
        """Waits for the next request, which may have been received already."""
        self._start_head_timer()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuses a request, and whatever comes after it on this connection."""
        self._is_refused = True
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        if self.cycle is not None and not self.cycle.response_complete:  # it waits for a body that is spoilt
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()  # an answer has begun, and cannot be taken back
            return
        text = f"{self._buffer.error_message or 'The request is not HTTP/1.1 as this server takes it.'}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(text)),
            CLOSE_HEADER,
        ]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=text),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER_TIMEOUT_S, self.transport.close)

    def pause_writing(self) -> None:
        """The client does not keep up: it has some time."""
        super().pause_writing()
        self._stop_write_timer()
        self._write_timer = self.loop.call_later(WRITE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken what was there."""
        self._stop_write_timer()
        super().resume_writing()

    def shutdown(self) -> None:
        """Ends the connection, once the request in hand is answered."""
        if self._is_refused:
            self.transport.close()
        else:
            super().shutdown()

    def _should_upgrade(self) -> bool:
        return False

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _start_head_timer(self) -> None:
        self._stop_head_timer()
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
