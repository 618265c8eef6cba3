"""Forms with a file (``multipart/form-data``), parsed while they arrive: memory does not grow with the file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from stemwright.api.body import BodyError
from stemwright.api.content_encoding import DecodedBody, body_encoding
from stemwright.service.errors import InvalidRequest, TooLarge
from stemwright.storage.blob_writer import ByteWriter

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELD_BYTES = 10_000
"""Of all fields except the file, together."""

MAX_OVERHEAD_BYTES = 20_000
"""Of boundaries, part headers, and data before the first and after the last part."""

IDLE_TIMEOUT_S = 60.0
"""Seconds without data after which an upload is stopped."""


@dataclass
class MultipartForm:
    """The content of a form.

    Attributes:
        fields: all fields except the file; if a field occurs twice, the last.
        file_field: name of the file's field; None if no file was sent.
        file_name: as sent by the client, without folders; None if not sent.
        media_type: of the file, as sent by the client.
        size_bytes: of the file.
    """

    fields: dict[str, str] = field(default_factory=dict)
    file_field: str | None = None
    file_name: str | None = None
    media_type: str | None = None
    size_bytes: int = 0


def is_multipart(request: Request) -> bool:
    """Whether the body is a form that can have a file."""
    return parse_options_header(request.headers.get("content-type"))[0] == b"multipart/form-data"


async def read_multipart(
    request: Request, writer: ByteWriter, max_bytes: int, file_fields: tuple[str, ...] = ("file",)
) -> MultipartForm:
    """Reads a form and writes the bytes of its file to ``writer`` as they arrive.

    Raises:
        BodyError: it is not a form, ends early, or no data arrives for ``IDLE_TIMEOUT_S`` seconds.
        EncodingError, UnknownEncoding: it cannot be decoded as its Content-Encoding says.
        InvalidRequest: it has two files, or a file in a field that is not one of ``file_fields``.
        TooLarge: the file has more than ``max_bytes``, or the other data exceeds its limits.
        StorageError: the file could not be written.
    """
    declared = request.headers.get("content-length", "") if body_encoding(request) is None else ""
    if declared.isascii() and declared.isdigit() and int(declared) > max_bytes + MAX_FIELD_BYTES + MAX_OVERHEAD_BYTES:
        raise _too_large(max_bytes)
    boundary = parse_options_header(request.headers.get("content-type"))[1].get(b"boundary")
    if not boundary:
        raise BodyError("The Content-Type has no boundary; let your HTTP client build the form.")
    reader = _FormReader(writer, max_bytes, file_fields)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        chunks = DecodedBody(request)
        n_bytes = 0
        while True:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            await run_in_threadpool(parser.write, chunk)
            n_bytes += len(chunk)
            if n_bytes - reader.form.size_bytes > MAX_FIELD_BYTES + MAX_OVERHEAD_BYTES:
                raise TooLarge("The form has too much data besides the file: send only the file and its fields.")
    except FormParserError as error:
        raise BodyError("The form cannot be read; let your HTTP client build it.") from error
    except TimeoutError as error:
        raise BodyError(f"No data arrived for {IDLE_TIMEOUT_S:g} seconds, so the upload was stopped.") from error
    if not reader.is_whole:
        raise BodyError("The form ends early: the upload was cut off.")
    return reader.form


class _FormReader:
    """Collects the parts of a form in the callbacks of the parser."""

    def __init__(self, writer: ByteWriter, max_bytes: int, file_fields: tuple[str, ...]) -> None:
        self.form = MultipartForm()
        self.is_whole = False
        self._writer = writer
        self._max_bytes = max_bytes
        self._file_fields = file_fields
        self._headers: dict[bytes, bytes] = {}  # of the current part
        self._name = bytearray()
        self._value = bytearray()
        self._field = ""
        self._field_text: bytearray | None = None  # None while the current part is the file
        self._field_bytes = 0

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        # The parser decodes options as Latin-1, but all clients send UTF-8.
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        options = parse_options_header(disposition)[1]
        self._field = _decode_text(options.get(b"name", b""))
        if b"filename" not in options and self._field not in self._file_fields:
            self._field_text = bytearray()
            return
        if self._field not in self._file_fields:
            raise InvalidRequest(self._field, f"Send the file in the field '{self._file_fields[0]}'.")
        if self.form.file_field is not None:
            raise InvalidRequest(self._field, "Send one file per request.")
        self._field_text = None
        name = _decode_text(options.get(b"filename", b"")).replace("\\", "/").rpartition("/")[2]
        self.form.file_field, self.form.file_name = self._field, name or None
        self.form.media_type = self._headers.get(b"content-type", b"").decode("latin-1").strip() or None

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field_text is None:
            self.form.size_bytes += end - start
            if self.form.size_bytes > self._max_bytes:
                raise _too_large(self._max_bytes)
            self._writer.write(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise TooLarge(f"The fields of the form have more than {MAX_FIELD_BYTES} bytes together.")
        self._field_text += data[start:end]

    def _part_end(self) -> None:
        if self._field_text is not None:
            self.form.fields[self._field] = _decode_text(bytes(self._field_text))

    def _end(self) -> None:
        self.is_whole = True


def _decode_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").replace("\0", "")


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The file has more than {max_bytes / 1e6:g} MB, the limit of this server.")
