"""crun's upload: ask for a link, PUT the bytes, name the file's URL in a task (docs/contracts.md, section 14)."""

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
"""How long the link to PUT works."""

AUDIO_TYPES = r"(audio|video)/[a-z0-9][a-z0-9.+-]{0,60}|application/(ogg|octet-stream)"
"""Types of files that may hold a song."""

EXTENSION = r"\.?([A-Za-z0-9]{1,10})"


class LengthRequired(ServiceError):
    """The request does not say how long its body is."""

    code = 411


class LinkExpired(ServiceError):
    """The link's time is over."""

    code = 410


def is_audio(request: Request) -> bool:
    """Whether the file that a link is asked for may hold a song."""
    return re.fullmatch(AUDIO_TYPES, _requested_type(request)) is not None


def create_upload_urls(service: Service, account_id: str, request: Request) -> Response:
    """The two URLs of a new file.

    Raises:
        InvalidRequest: the type is missing or none of sound, or the extension is none.
    """
    if not _requested_type(request):
        raise InvalidRequest("content_type", "content_type is required, as audio/mpeg.")
    if not is_audio(request):
        raise InvalidRequest("content_type", "content_type must be a type of sound or film, as audio/mpeg.")
    extension = re.fullmatch(EXTENSION, request.query_params.get("ext", "").strip())
    if extension is None:
        raise InvalidRequest("ext", "ext is required: the end of the file's name, as .mp3.")
    path = f"crun/{new_id()}.{extension[1].lower()}"
    upload = service.uploads.reserve(account_id, path, _requested_type(request))
    return success(
        {"presigned_url": service.links.put_url(upload, PUT_LINK_S), "file_url": service.links.upload_url(upload)}
    )


async def store_upload(service: Service, request: Request) -> Response:
    """Takes the bytes of a file for which a link was given out. The link is the permission; a key is not asked for.

    A second PUT takes the place of the first, so that a client may try again.
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
            raise BodyError(f"The upload stood still for {IDLE_TIMEOUT_S:g} seconds and was given up.") from error
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
        raise NotFound("This is no link to upload to; ask for one at files/upload-url.")
    upload = None if service.links.has_expired(link) else service.uploads.any(link.id)
    if upload is None:
        raise LinkExpired("This link to upload to has expired; ask for a new one at files/upload-url.")
    return upload


def _check_length(request: Request, max_bytes: int) -> int:
    """The length that the request declares.

    Raises:
        LengthMissing: it declares none.
        InvalidRequest: it is 0.
        TooLarge: it is more than is taken; nothing of the body has been read then.
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
    return TooLarge(f"The file has more than {megabytes(max_bytes)}, the most that is taken; send a smaller one.")
