"""The HTTP protocol class for uvicorn: strict framing, and timeouts for slow or idle clients.

It is based on uvicorn's h11 protocol, not httptools. Neither refuses all requests in ``tests/api/test_request_framing.py``,
but h11 is written in Python, so its input can be checked first (``request_framing``).
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
"""Seconds for the head of a request, counted from the connection or the previous response. Data that was received while the
server was busy is read first, so a slow server does not close connections."""

WRITE_TIMEOUT_S = 600.0
"""Seconds for which a client may read nothing of a response. Browsers stop reading for minutes while a song is paused."""

LINGER_TIMEOUT_S = 5.0
"""Seconds for which the connection stays open after a refused request. Closing at once could lose the response."""


class StrictHttpProtocol(H11Protocol):
    """HTTP/1.1 with strict framing and a timeout for request heads. Bodies have their own limits where they are read."""

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
        # twice, so that the limit of the buffer is reached before that of h11
        self.conn = h11.Connection(h11.SERVER, 2 * MAX_HEAD_BYTES)
        self._buffer = StrictBuffer(self.conn)
        self.conn._receive_buffer = self._buffer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the timeout for the first request."""
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops all timers."""
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handles received data; ignores it after a refused request."""
        if not self._is_refused:
            super().data_received(data)

    def handle_events(self) -> None:
        """Handles the events of received data. A new cycle means that the head of a request is complete."""
        if self._is_refused:
            return
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop_head_timer()
            if any(name == b"upgrade" for name, _ in self.headers):
                # Upgrade is ignored, so what follows may be in another protocol: close after the response.
                self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def on_response_complete(self) -> None:
        """Starts the timeout for the next request, which may have arrived already."""
        self._start_head_timer()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuses a request and everything after it on this connection."""
        self._is_refused = True
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        if self.cycle is not None and not self.cycle.response_complete:  # its handler waits for the rest of the body
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()  # a response has begun already
            return
        text = f"{self._buffer.error_message or 'The request is not valid HTTP/1.1.'}\n".encode()
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
        """Starts the timeout for a client that does not read."""
        super().pause_writing()
        self._stop_write_timer()
        self._write_timer = self.loop.call_later(WRITE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Stops the timeout: the client reads again."""
        self._stop_write_timer()
        super().resume_writing()

    def shutdown(self) -> None:
        """Closes the connection after the current response."""
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
