"""crun's upload: request a link, PUT the file, use its URL in a task (docs/contracts.md, section 14)."""

from __future__ import annotations

import asyncio
import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.body import BodyError
from stemwright.api.content_encoding import DecodedBody
from stemwright.api.crun.envelope import success
from stemwright.api.multipart import IDLE_TIMEOUT_S
from stemwright.formatting import megabytes
from stemwright.service.errors import InvalidRequest, NotFound, NotPermitted, ServiceError, TooLarge
from stemwright.service.ids import new_id
from stemwright.service.service import Service
from stemwright.service.uploads import Upload

PUT_LINK_S = 3600.0
"""How long an upload link is valid."""

AUDIO_TYPES = r"(audio|video)/[a-z0-9][a-z0-9.+-]{0,60}|application/(ogg|octet-stream)"
"""Media types that can be a song, as a regular expression."""

EXTENSION = r"\.?([A-Za-z0-9]{1,10})"


class LengthRequired(ServiceError):
    """The request has no Content-Length."""

    code = 411


class LinkExpired(ServiceError):
    """The link has expired."""

    code = 410


def is_audio(request: Request) -> bool:
    """Whether the requested media type can be a song."""
    return re.fullmatch(AUDIO_TYPES, _requested_type(request)) is not None


def create_upload_urls(service: Service, account_id: str, request: Request) -> Response:
    """Reserves an upload; the response has the URL to PUT the file to, and the URL of the file.

    Raises:
        InvalidRequest: the media type or the extension is missing or invalid.
    """
    if not _requested_type(request):
        raise InvalidRequest("content_type", "content_type is required, for example audio/mpeg.")
    if not is_audio(request):
        raise InvalidRequest("content_type", "content_type must be an audio or video type, for example audio/mpeg.")
    extension = re.fullmatch(EXTENSION, request.query_params.get("ext", "").strip())
    if extension is None:
        raise InvalidRequest("ext", "ext is required: the extension of the file, for example .mp3.")
    path = f"crun/{new_id()}.{extension[1].lower()}"
    upload = service.uploads.reserve(account_id, path, _requested_type(request))
    return success(
        {"presigned_url": service.links.put_url(upload, PUT_LINK_S), "file_url": service.links.upload_url(upload)}
    )


async def store_upload(service: Service, request: Request) -> Response:
    """Stores the body as the file of a reserved upload. The link is the authorization; no key is needed.

    A second PUT replaces the file, so that a client can try again.
    """
    upload = await run_in_threadpool(_find_upload, service, request)
    declared = _check_length(request, service.settings.max_upload_mb * 1_000_000)
    await run_in_threadpool(service.storage_quota.room, upload.account_id, declared or 1)
    sent_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent_type != upload.media_type:
        raise NotPermitted(f"This link is for Content-Type: {upload.media_type}; send the bytes with that.")
    max_bytes = service.settings.max_upload_mb * 1_000_000
    chunks = DecodedBody(request)
    with service.store.writer() as writer:
        try:
            while True:
                async with asyncio.timeout(IDLE_TIMEOUT_S):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    break
                await run_in_threadpool(writer.write, chunk)
                if writer.size_bytes > max_bytes:
                    raise _too_large(max_bytes)
        except TimeoutError as error:
            raise BodyError(f"No data arrived for {IDLE_TIMEOUT_S:g} seconds, so the upload was stopped.") from error
        if chunks.received_bytes != declared:
            raise BodyError(f"The body has {chunks.received_bytes} bytes, not the {declared} of its Content-Length.")
        if writer.size_bytes == 0:
            raise InvalidRequest("body", "The file is empty.")
        blob = await run_in_threadpool(writer.commit)
    await run_in_threadpool(service.uploads.fill, upload.id, blob)
    return Response(headers={"ETag": f'"{blob.digest}"'})


def _requested_type(request: Request) -> str:
    return request.query_params.get("content_type", "").partition(";")[0].strip().lower()


def _find_upload(service: Service, request: Request) -> Upload:
    link = service.links.read(request.scope["path"])
    if link is None or link.kind != "put":
        raise NotFound("This is not an upload link; request one at files/upload-url.")
    upload = None if service.links.has_expired(link) else service.uploads.any(link.id)
    if upload is None:
        raise LinkExpired("This upload link has expired; request a new one at files/upload-url.")
    return upload


def _check_length(request: Request, max_bytes: int) -> int:
    """The length in the Content-Length header.

    Raises:
        LengthRequired: it is missing.
        InvalidRequest: it is 0.
        TooLarge: it is more than ``max_bytes``; the body has not been read.
    """
    declared = request.headers.get("content-length", "")
    if not (declared.isascii() and declared.isdigit()):
        raise LengthRequired("Send the upload with a Content-Length.")
    if int(declared) == 0:
        raise InvalidRequest("body", "The file is empty.")
    if int(declared) > max_bytes:
        raise _too_large(max_bytes)
    return int(declared)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The file has more than {megabytes(max_bytes)}, the limit of this server; send a smaller one.")
