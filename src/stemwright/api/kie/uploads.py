"""kie's three uploads, under the vendor's paths (docs/contracts.md, section 7). Files are written while they arrive."""

from __future__ import annotations

import re
import secrets
import string
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.authentication import authenticate
from stemwright.api.base64_body import read_base64
from stemwright.api.blocking_pool import BlockingPool
from stemwright.api.body import read_json_object
from stemwright.api.kie import schemas
from stemwright.api.kie.envelope import UploadEnvelope
from stemwright.api.kie.fields import optional_text
from stemwright.api.kie.records import milliseconds
from stemwright.api.local_links import find_local_file
from stemwright.api.multipart import is_multipart, read_multipart
from stemwright.api.upload_limit import upload_limit
from stemwright.formatting import printable
from stemwright.service.errors import InvalidRequest
from stemwright.service.media_types import UNKNOWN, extension_of, media_type_of
from stemwright.service.service import Service
from stemwright.service.ssrf_guard import check_syntax
from stemwright.service.uploads import Upload, clean_path
from stemwright.service.url_fetcher import Fetcher
from stemwright.storage.blob import StoredBlob

ROOT_FOLDER = "kieai"
FETCH_TIMEOUT_S = 30.0
"""Seconds to fetch a file by URL, as at the vendor."""

MAX_NAME_CHARACTERS = 200
_EXTENSION = re.compile(r"[a-z0-9]{1,5}")


class UploadFace:
    """The handlers."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._envelope = UploadEnvelope(service.settings)
        self._max_bytes = service.settings.max_upload_mb * 1_000_000
        seconds = min(FETCH_TIMEOUT_S, service.settings.fetch_timeout_s)
        self._blocking_pool = BlockingPool()
        self._fetcher = Fetcher(service.settings.model_copy(update={"fetch_timeout_s": seconds}))

    async def base64_upload(self, request: Request) -> Response:
        """Stores a file from JSON: `base64Data` is base64 or a data URL."""
        account_id = await self._account(request)
        async with upload_limit(self._service, account_id) as max_bytes:
            with self._service.store.writer() as writer:
                body = await read_base64(request, "base64Data", writer, max_bytes)
                folder, name = _folder_and_name(body.fields)
                optional_text(body.fields, "base64Data")
                if body.size_bytes == 0:
                    raise InvalidRequest("base64Data", "base64Data cannot be blank")
                blob = await run_in_threadpool(writer.commit)
        return await run_in_threadpool(self._add, account_id, blob, folder, name, None, body.media_type)

    async def stream_upload(self, request: Request) -> Response:
        """Stores a file from the field `file` of a form."""
        account_id = await self._account(request)
        if not is_multipart(request):
            raise InvalidRequest("file", "The body must be a form (multipart/form-data) with the field file")
        async with upload_limit(self._service, account_id) as max_bytes:
            with self._service.store.writer() as writer:
                form = await read_multipart(request, writer, max_bytes)
                folder, name = _folder_and_name(form.fields)
                if form.size_bytes == 0:
                    raise InvalidRequest("file", "file cannot be blank")
                blob = await run_in_threadpool(writer.commit)
        return await run_in_threadpool(self._add, account_id, blob, folder, name, form.file_name, form.media_type)

    async def url_upload(self, request: Request) -> Response:
        """Fetches a file, within 30 seconds, and stores it."""
        account_id = await self._account(request)
        body = await read_json_object(request)
        folder, name = _folder_and_name(body)
        url = optional_text(body, "fileUrl")
        if url is None:
            raise InvalidRequest("fileUrl", "fileUrl cannot be blank")
        check_syntax(url, "fileUrl")
        return await self._blocking_pool.run(self._fetch, account_id, url, folder, name)

    async def _account(self, request: Request) -> str:
        return (await run_in_threadpool(authenticate, request, self._service.keys, "write")).account_id

    def _fetch(self, account_id: str, url: str, folder: str, name: str | None) -> Response:
        link = self._service.links.resolve(url)
        own = find_local_file(self._service, account_id, link)
        if own is not None and self._service.store.renew(own.blob.digest):
            return self._add(account_id, own.blob, folder, name, own.name, own.media_type)
        if link is not None:
            raise InvalidRequest("fileUrl", "fileUrl is a file of this server that no longer exists")
        self._service.storage_quota.room(account_id)
        with self._service.store.writer() as writer:
            fetched = self._fetcher.fetch(url, writer, self._max_bytes)
            blob = writer.commit()
        return self._add(account_id, blob, folder, name, fetched.file_name, fetched.media_type)

    def _add(
        self,
        account_id: str,
        blob: StoredBlob,
        folder: str,
        name: str | None,
        given_name: str | None,
        given_type: str | None,
    ) -> Response:
        """Adds a stored file as an upload; ``given_name`` and ``given_type`` are from the client or server that sent it."""
        named_type = media_type_of(name or given_name or "")
        media_type = printable(given_type or named_type)[:100]
        if media_type == UNKNOWN:
            media_type = named_type
        extension = (given_name or "").rpartition(".")[2].lower() if "." in (given_name or "") else ""
        if not _EXTENSION.fullmatch(extension):
            extension = extension_of(media_type)
        name = name or f"{milliseconds(self._service.clock())}-{_random_text()}.{extension}"
        path = f"{ROOT_FOLDER}/{account_id}/{folder}/{name}"
        upload = self._service.uploads.add(account_id, path, blob, media_type)
        return self._envelope.success(self._record(upload))

    def _record(self, upload: Upload) -> dict[str, Any]:
        moment = datetime.fromtimestamp(upload.created_at, UTC)
        return {
            "success": True,
            "fileName": upload.path.rpartition("/")[2],
            "filePath": upload.path,
            "downloadUrl": self._service.links.upload_url(upload),
            "fileSize": upload.size_bytes,
            "mimeType": upload.media_type,
            "uploadedAt": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }


def router(service: Service) -> APIRouter:
    """The three routes."""
    face = UploadFace(service)
    envelope = UploadEnvelope(service.settings)
    routes = APIRouter(tags=["kie.ai"], route_class=envelope.route_class())
    for path, handler, summary, body in (
        ("/api/file-base64-upload", face.base64_upload, "Upload a file in JSON", schemas.BASE64_UPLOAD),
        ("/api/file-url-upload", face.url_upload, "Upload a file by URL", schemas.URL_UPLOAD),
        ("/api/file-stream-upload", face.stream_upload, "Upload a file in a form", schemas.STREAM_UPLOAD),
    ):
        routes.add_api_route(
            path,
            handler,
            methods=["POST"],
            summary=summary,
            responses=schemas.upload_responses(service.settings.mirror_status),
            openapi_extra=schemas.with_body(body),
        )
    return routes


def _folder_and_name(fields: dict[str, Any]) -> tuple[str, str | None]:
    """The folder for a file, and its name if given."""
    folder = optional_text(fields, "uploadPath")
    if folder is None or not folder.strip("/"):
        raise InvalidRequest("uploadPath", "uploadPath cannot be blank")
    name = optional_text(fields, "fileName")
    if name is not None and ("/" in name or len(name) > MAX_NAME_CHARACTERS):
        raise InvalidRequest(
            "fileName", f"fileName must be a name of at most {MAX_NAME_CHARACTERS} characters, without /"
        )
    return clean_path(folder), name


def _random_text() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(11))
