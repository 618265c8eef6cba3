"""Where a request begins and ends, judged strictly: what two servers could read in two ways is refused.

h11 takes lines that end with a bare LF, folded headers, Content-Length beside Transfer-Encoding, equal lengths sent twice
and chunk extensions (RFC 9112 lets it). A proxy in front that reads them differently lets a stranger put a second request
into somebody else's connection. Nothing but attacks sends them.
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
    """The request is refused; the text is for its sender. h11 passes it on as an error of the other side."""


class StrictBuffer(ReceiveBuffer):
    """What was received and not read yet.

    It takes the place of h11's own (0.16), whose readers ask it for heads, trailers and heads of chunks.

    Attributes:
        complaint: why the last request was refused.
    """

    def __init__(self, connection: h11.Connection) -> None:
        super().__init__()
        self.error_message: str | None = None
        self._connection = connection
        self._n_searched = 0

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """The head of a request, or trailers, up to the empty line, without line ends; None where it is not whole yet.

        Raises:
            FramingError: it cannot be taken.
        """
        try:
            return self._extract_lines()
        except FramingError as error:
            self.error_message = str(error)
            raise

    def maybe_extract_next_line(self) -> bytearray | None:
        """The head of a chunk with its line end; None where it is not whole yet.

        Raises:
            FramingError: it is not a plain number.
        """
        end = self._data.find(b"\r\n")
        if end < 0 and len(self._data) <= MAX_CHUNK_DIGITS + 1 and not _BARE_CR_OR_LF.search(self._data):
            return None
        if not _CHUNK_HEAD.fullmatch(self._data[: end + 2]):
            self.error_message = (
                f"Each chunk begins with its size alone, in at most {MAX_CHUNK_DIGITS} hexadecimal digits, and CRLF."
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
            raise FramingError("Lines of the headers end with CRLF; a CR or LF alone is not taken.")
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
    """Judges the head of a request.

    Raises:
        FramingError: it is not plain HTTP/1.1 or 1.0 to an origin server.
    """
    request_line = _REQUEST_LINE.fullmatch(lines[0])
    if request_line is None:
        raise FramingError("The request line is METHOD /path HTTP/1.1, with single spaces and no others.")
    method, target, version = request_line.groups()
    if not target.startswith(b"/") and (method, target) != (b"OPTIONS", b"*"):
        raise FramingError("The path of a request begins with a slash; this server is no proxy.")
    fields = _parse_fields(lines[1:])
    lengths, codings, hosts = (
        [value for name, value in fields if name == wanted]
        for wanted in (b"content-length", b"transfer-encoding", b"host")
    )
    if len(hosts) > 1 or (not hosts and version == b"1") or not all(map(_HOST.fullmatch, hosts)):
        raise FramingError("A request has one Host header, with a name or an address.")
    if lengths and codings:
        raise FramingError("A request has Content-Length or Transfer-Encoding, not both.")
    if len(lengths) > 1 or not all(value.isdigit() and len(value) <= MAX_LENGTH_DIGITS for value in lengths):
        raise FramingError(f"Content-Length is sent once, as a number of at most {MAX_LENGTH_DIGITS} digits.")
    if codings and ([value.lower() for value in codings] != [b"chunked"] or version == b"0"):
        raise FramingError("Transfer-Encoding is sent once, in HTTP/1.1, and says chunked.")


def _parse_fields(lines: list[bytearray]) -> list[tuple[bytes, bytes]]:
    """Names in small letters, and values.

    Raises:
        FramingError: a line is not ``Name: value``, or is folded.
    """
    fields = []
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise FramingError(
                "A header is one line, Name: value, with no space before the colon and no control character."
            )
        fields.append((found[1].lower(), found[2].rstrip(b" \t")))
    return fields
