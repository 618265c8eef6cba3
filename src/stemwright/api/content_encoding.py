"""Decodes request bodies with ``Content-Encoding`` gzip or deflate while they arrive.

Size limits count decoded bytes. Not more than one decoded chunk is in memory at a time.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

from starlette.requests import Request

from stemwright.service.errors import ServiceError

MAX_CHUNK_BYTES = 65_536
"""The largest decoded chunk."""

MAX_OVERHEAD_BYTES = 1_000_000
"""A body may have this many encoded bytes more than twice its decoded bytes. Beyond that it is nearly all headers (empty
gzip members, for example) and might never end."""

GZIP = frozenset(["gzip", "x-gzip"])

_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class EncodingError(ServiceError):
    """The body is not what its Content-Encoding says."""

    code = 400


class UnknownEncoding(ServiceError):
    """The server does not support the Content-Encoding of the body."""

    code = 415


def body_encoding(request: Request) -> str | None:
    """The encoding of the body, ``gzip`` or ``deflate``; None if it has none.

    Raises:
        UnknownEncoding: another encoding, or several.
    """
    names = [name.strip().lower() for value in request.headers.getlist("content-encoding") for name in value.split(",")]
    named = [name for name in names if name not in ("", "identity")]
    if not named:
        return None
    if len(named) == 1 and named[0] in GZIP:
        return "gzip"
    if named == ["deflate"]:
        return "deflate"
    raise UnknownEncoding("The Content-Encoding of the body is not supported: use gzip or deflate, or none.")


class DecodedBody:
    """The decoded body of a request, in chunks.

    Attributes:
        received_bytes: encoded bytes received so far.
    """

    def __init__(self, request: Request) -> None:
        """Raises UnknownEncoding before anything is read."""
        self._request = request
        self._encoding = body_encoding(request)
        self._chunks = self._read()
        self.received_bytes = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterates over the chunks."""
        return self

    async def __anext__(self) -> bytes:
        """The next chunk, which may be empty.

        Raises:
            EncodingError: the body is not encoded as its header says, ends early, or has data after its end.
        """
        return await anext(self._chunks)

    async def _read(self) -> AsyncIterator[bytes]:
        decoder = _Decoder(self._encoding) if self._encoding is not None else None
        async for chunk in self._request.stream():
            self.received_bytes += len(chunk)
            if decoder is None:
                yield chunk
                continue
            for decoded in decoder.feed(chunk):
                yield decoded
        if decoder is not None:
            decoder.finish()


class _Decoder:
    """Decodes one body."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._inflater = zlib.decompressobj(_GZIP_WINDOW) if name == "gzip" else None
        self._first_bytes = b""  # of a deflate body, until we know whether it has a zlib header
        self._n_received = 0
        self._n_decoded = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The decoded chunks of the next encoded chunk."""
        self._n_received += len(chunk)
        if self._inflater is None:
            self._first_bytes += chunk
            if len(self._first_bytes) < 2:
                return
            chunk, self._first_bytes = self._first_bytes, b""
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS if _has_zlib_header(chunk) else -zlib.MAX_WBITS)
        rest = chunk
        while rest:
            if self._inflater.eof:
                if self._name != "gzip":
                    raise EncodingError(
                        "The body has data after the end of its deflate stream; send one body per request."
                    )
                self._inflater = zlib.decompressobj(_GZIP_WINDOW)  # a gzip file may have several members
            try:
                decoded = self._inflater.decompress(rest, MAX_CHUNK_BYTES)
            except zlib.error as error:
                raise EncodingError(f"The body is not {self._name}, although its Content-Encoding says so.") from error
            rest = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            self._n_decoded += len(decoded)
            if decoded:
                yield decoded
        if self._n_received > 2 * self._n_decoded + MAX_OVERHEAD_BYTES:
            raise EncodingError(f"The {self._name} body has almost no content; send it without Content-Encoding.")

    def finish(self) -> None:
        """Checks that the body was complete."""
        if self._n_received and (self._inflater is None or not self._inflater.eof):
            raise EncodingError(f"The {self._name} body ends early: it was cut off.")


def _has_zlib_header(first_bytes: bytes) -> bool:
    """Some clients send deflate without the zlib header that RFC 9110 (8.4.1.2) requires."""
    return first_bytes[0] & 0x0F == 8 and int.from_bytes(first_bytes[:2]) % 31 == 0
