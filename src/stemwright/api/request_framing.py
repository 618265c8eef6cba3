"""Strict framing of requests: refuses what a proxy and this server could read in two ways (request smuggling).

h11 accepts lines that end with a bare LF, folded headers, Content-Length together with Transfer-Encoding, the same length
twice, and chunk extensions (RFC 9112 allows that). If a proxy reads them differently, an attacker can put a second request
into another client's connection. Ordinary clients do not send them.
"""

from __future__ import annotations

import re

import h11
from h11._receivebuffer import ReceiveBuffer

MAX_HEAD_BYTES = 65_536
"""Of a request line with its headers, and of trailers."""

MAX_LENGTH_DIGITS = 18
MAX_CHUNK_DIGITS = 15

_BARE_CR_OR_LF = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
_REQUEST_LINE = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/1\.([01])")
_FIELD = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_HOST = re.compile(rb"[-0-9A-Za-z._~!$&'()*+,;=%:\[\]]*")
_CHUNK_HEAD = re.compile(rb"[0-9A-Fa-f]{1,%d}\r\n" % MAX_CHUNK_DIGITS)


class FramingError(h11.LocalProtocolError):
    """The request is refused; the message is sent to the client. h11 reports it as an error of the remote side."""


class StrictBuffer(ReceiveBuffer):
    """Received bytes that are not parsed yet.

    It replaces h11's own buffer (0.16), from which h11's readers take heads, trailers and chunk headers.

    Attributes:
        error_message: why a request was refused; None if none was.
    """

    def __init__(self, connection: h11.Connection) -> None:
        super().__init__()
        self.error_message: str | None = None
        self._connection = connection
        self._n_searched = 0

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """The head of a request, or trailers, up to the empty line, without line ends; None if it is not complete yet.

        Raises:
            FramingError: it is refused.
        """
        try:
            return self._extract_lines()
        except FramingError as error:
            self.error_message = str(error)
            raise

    def maybe_extract_next_line(self) -> bytearray | None:
        """The header line of a chunk with its line end; None if it is not complete yet.

        Raises:
            FramingError: it is not only a hexadecimal number.
        """
        end = self._data.find(b"\r\n")
        if end < 0 and len(self._data) <= MAX_CHUNK_DIGITS + 1 and not _BARE_CR_OR_LF.search(self._data):
            return None
        if not _CHUNK_HEAD.fullmatch(self._data[: end + 2]):
            self.error_message = (
                f"Each chunk must begin with only its size, in at most {MAX_CHUNK_DIGITS} hexadecimal digits, and CRLF."
            )
            raise FramingError(self.error_message)
        return self._extract(end + 2)

    def _extract_lines(self) -> list[bytearray] | None:
        if self._data[:2] == b"\r\n":
            self._extract(2)
            return []
        end = self._data.find(b"\r\n\r\n", max(0, self._n_searched - 3))
        size = len(self._data) if end < 0 else end + 4
        if size > MAX_HEAD_BYTES:
            raise FramingError(f"The headers have more than {MAX_HEAD_BYTES} bytes; send less.")
        if _BARE_CR_OR_LF.search(self._data, max(0, self._n_searched - 1), size):
            raise FramingError("Header lines must end with CRLF; CR or LF alone is not accepted.")
        if end < 0:
            self._n_searched = len(self._data)
            return None
        self._n_searched = 0
        lines = self._extract(size)[:-4].split(b"\r\n")
        if self._connection.their_state is h11.IDLE:
            check_head(lines)
        else:
            _parse_fields(lines)
        return lines


def check_head(lines: list[bytearray]) -> None:
    """Checks the head of a request.

    Raises:
        FramingError: it is not plain HTTP/1.1 or 1.0 to an origin server.
    """
    request_line = _REQUEST_LINE.fullmatch(lines[0])
    if request_line is None:
        raise FramingError("The request line must be METHOD /path HTTP/1.1, with single spaces.")
    method, target, version = request_line.groups()
    if not target.startswith(b"/") and (method, target) != (b"OPTIONS", b"*"):
        raise FramingError("The request path must begin with a slash; this server is not a proxy.")
    fields = _parse_fields(lines[1:])
    lengths, codings, hosts = (
        [value for name, value in fields if name == wanted]
        for wanted in (b"content-length", b"transfer-encoding", b"host")
    )
    if len(hosts) > 1 or (not hosts and version == b"1") or not all(map(_HOST.fullmatch, hosts)):
        raise FramingError("A request must have one Host header with a name or an address.")
    if lengths and codings:
        raise FramingError("A request must not have both Content-Length and Transfer-Encoding.")
    if len(lengths) > 1 or not all(value.isdigit() and len(value) <= MAX_LENGTH_DIGITS for value in lengths):
        raise FramingError(f"Content-Length must be sent once, as a number of at most {MAX_LENGTH_DIGITS} digits.")
    if codings and ([value.lower() for value in codings] != [b"chunked"] or version == b"0"):
        raise FramingError("Transfer-Encoding must be sent once, in HTTP/1.1, and be chunked.")


def _parse_fields(lines: list[bytearray]) -> list[tuple[bytes, bytes]]:
    """Names in lower case, and values.

    Raises:
        FramingError: a line is not ``Name: value``, or is folded.
    """
    fields = []
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise FramingError(
                "A header must be one line, Name: value, without a space before the colon or a control character."
            )
        fields.append((found[1].lower(), found[2].rstrip(b" \t")))
    return fields
