"""JSON with a file in base64, parsed while it arrives: memory does not grow with the file."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from stemwright.api.body import BodyError, parse_json_object
from stemwright.api.content_encoding import DecodedBody
from stemwright.api.multipart import IDLE_TIMEOUT_S
from stemwright.service.errors import InvalidRequest, TooLarge
from stemwright.storage.blob_writer import ByteWriter

MAX_OTHER_BYTES = 20_000
"""Of everything except the file."""

MAX_ESCAPE_BYTES = len("\\u002b")

MAX_ENCODED_BYTES_PER_BYTE = 4 / 3 * MAX_ESCAPE_BYTES
"""The most bytes that one byte of the file takes in the body: base64 with each character escaped."""

DATA_SCHEME = b"data:"
MAX_PREFIX_BYTES = 500
"""Of ``data:audio/wav;base64,``."""

_BACKSLASH, _QUOTE, _COLON, _COMMA = b"\\"[0], b'"'[0], b":"[0], b","[0]
_OPENING, _CLOSING = b"{[", b"}]"
_SPACES = b" \t\r\n"
_ESCAPE = re.compile(rb"\\(u002[bf]|u003d|[/nrt])", re.IGNORECASE)
_ESCAPED = {b"u002b": b"+", b"u002f": b"/", b"u003d": b"=", b"/": b"/", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


@dataclass(frozen=True)
class Base64Body:
    """The content of a body.

    Attributes:
        fields: the JSON object, with an empty string in place of the file.
        size_bytes: of the file; 0 if there was none.
        media_type: of the file, if it came as a data URL with a media type.
    """

    fields: dict[str, Any]
    size_bytes: int
    media_type: str | None


async def read_base64(request: Request, file_field: str, writer: ByteWriter, max_bytes: int) -> Base64Body:
    """Reads a JSON object and writes the file in ``file_field``, base64 or a data URL, to ``writer`` as it arrives.

    Raises:
        BodyError: it is not a JSON object, or no data arrives for ``IDLE_TIMEOUT_S`` seconds.
        EncodingError, UnknownEncoding: it cannot be decoded as its Content-Encoding says.
        InvalidRequest: the file is not base64.
        TooLarge: the file has more than ``max_bytes``, or the rest more than ``MAX_OTHER_BYTES``.
        StorageError: the file could not be written.
    """
    file = _Base64File(file_field, writer, max_bytes)
    scanner = _Scanner(file_field, file)
    chunks = DecodedBody(request)
    n_bytes = 0
    try:
        while True:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            n_bytes += len(chunk)
            if n_bytes > MAX_OTHER_BYTES + MAX_ENCODED_BYTES_PER_BYTE * max_bytes:
                raise TooLarge("The body is larger than the largest file that this server accepts; send a smaller one.")
            await run_in_threadpool(scanner.feed, chunk)
    except TimeoutError as error:
        raise BodyError(f"No data arrived for {IDLE_TIMEOUT_S:g} seconds, so the upload was stopped.") from error
    return Base64Body(parse_json_object(bytes(scanner.others)), file.size_bytes, file.media_type)


class _Scanner:
    """Copies JSON except for the file, a string of the top-level object. Errors of syntax are left to the JSON parser."""

    def __init__(self, file_field: str, file: _Base64File) -> None:
        self.others = bytearray()
        self._key = f'"{file_field}"'.encode()
        self._file = file
        self._depth = 0
        self._text_start: int | None = None  # index in `others` of the current string
        self._is_escaped = False
        self._awaits_key = False
        self._last_key = b""
        self._in_file = False

    def feed(self, chunk: bytes) -> None:
        position = 0
        while position < len(chunk):
            if not self._in_file:
                position = self._copy(chunk, position)
                continue
            end = chunk.find(b'"', position)
            self._file.feed(chunk[position : end if end >= 0 else len(chunk)])
            if end < 0:
                return
            self._file.finish()
            self._in_file = False
            self.others.append(_QUOTE)
            position = end + 1

    def _copy(self, chunk: bytes, position: int) -> int:
        """Copies up to the file or the end of the chunk. Returns the position after that."""
        for index in range(position, len(chunk)):
            byte = chunk[index]
            self.others.append(byte)
            if len(self.others) > MAX_OTHER_BYTES:
                raise TooLarge(f"The body has more than {MAX_OTHER_BYTES} bytes besides the file; send less.")
            if self._text_start is not None:
                self._copy_text(byte)
            elif byte == _QUOTE:
                if self._depth == 1 and not self._awaits_key and self._last_key == self._key:
                    self._file.start()
                    self._in_file = True
                    return index + 1
                self._text_start = len(self.others) - 1
            elif byte in _OPENING:
                self._depth += 1
                self._awaits_key = self._depth == 1
            elif byte in _CLOSING:
                self._depth -= 1
            elif byte in (_COLON, _COMMA) and self._depth == 1:
                self._awaits_key = byte == _COMMA
        return len(chunk)

    def _copy_text(self, byte: int) -> None:
        if self._is_escaped:
            self._is_escaped = False
        elif byte == _BACKSLASH:
            self._is_escaped = True
        elif byte == _QUOTE:
            if self._depth == 1 and self._awaits_key:
                self._last_key = bytes(self.others[self._text_start :])
            self._text_start = None


class _Base64File:
    """Decodes a file in chunks."""

    def __init__(self, field: str, writer: ByteWriter, max_bytes: int) -> None:
        self.size_bytes = 0
        self.media_type: str | None = None
        self._field = field
        self._writer = writer
        self._max_bytes = max_bytes
        self._raw = b""  # may be the start of a JSON escape
        self._encoded = b""  # not decoded yet
        self._has_started = False
        self._is_past_prefix = False
        self._is_padded = False

    def start(self) -> None:
        if self._has_started:
            raise BodyError(f"{self._field} occurs twice in the body.")
        self._has_started = True

    def feed(self, chunk: bytes) -> None:
        raw = self._raw + chunk
        escape = raw.rfind(b"\\", -MAX_ESCAPE_BYTES + 1)
        cut = escape if escape >= 0 else len(raw)
        self._raw = raw[cut:]
        self._decode_text(_unescape(raw[:cut]), last=False)

    def finish(self) -> None:
        self._decode_text(_unescape(self._raw), last=True)
        if not self._is_past_prefix:
            raise self._not_base64()

    def _decode_text(self, text: bytes, *, last: bool) -> None:
        self._encoded += text
        if self._is_past_prefix or self._skip_prefix(last=last):
            self._decode(last=last)

    def _skip_prefix(self, *, last: bool) -> bool:
        """Removes ``data:…,``. Returns False while more data is needed to decide."""
        if len(self._encoded) < len(DATA_SCHEME) and not last:
            return False
        if self._encoded.startswith(DATA_SCHEME):
            comma = self._encoded.find(b",", 0, MAX_PREFIX_BYTES)
            if comma < 0:
                if len(self._encoded) >= MAX_PREFIX_BYTES:
                    raise self._not_base64()
                return False
            kind, *options = self._encoded[len(DATA_SCHEME) : comma].split(b";")
            if b"base64" not in options:
                raise self._not_base64()
            self.media_type = kind.decode("latin-1").strip().lower() or None
            self._encoded = self._encoded[comma + 1 :]
        self._is_past_prefix = True
        return True

    def _decode(self, *, last: bool) -> None:
        plain = self._encoded.translate(None, _SPACES)
        whole = len(plain) if last else len(plain) // 4 * 4
        ready, self._encoded = plain[:whole], plain[whole:]
        if self._is_padded and ready:
            raise self._not_base64()
        self._is_padded = ready.endswith(b"=")
        if last and not self._is_padded:
            ready += b"=" * (-len(ready) % 4)
        try:
            decoded = base64.b64decode(ready, validate=True)
        except binascii.Error as error:
            raise self._not_base64() from error
        self.size_bytes += len(decoded)
        if self.size_bytes > self._max_bytes:
            raise TooLarge(f"The file has more than {self._max_bytes / 1e6:g} MB, the limit of this server.")
        self._writer.write(decoded)

    def _not_base64(self) -> InvalidRequest:
        return InvalidRequest(self._field, f"{self._field} must be a file in base64, bare or as a data URL")


def _unescape(text: bytes) -> bytes:
    """Undoes the escapes that JSON writers use in base64: slash, plus, equals, line breaks. Others stay, as errors."""
    return _ESCAPE.sub(lambda found: _ESCAPED[found[1].lower()], text) if b"\\" in text else text
