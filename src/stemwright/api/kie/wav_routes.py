"""``wav/generate`` and ``wav/record-info``: a song or a stem as WAV (docs/contracts.md, section 5)."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.authentication import authenticate
from stemwright.api.blocking_pool import BlockingPool
from stemwright.api.body import parse_json_object, read_body
from stemwright.api.kie.envelope import Envelope
from stemwright.api.kie.fields import CAMEL_CASE, FieldNames, required_query
from stemwright.api.kie.records import was_made_by_kie
from stemwright.api.kie.request_body import read_wav_order
from stemwright.api.kie.wav_records import wav_record
from stemwright.api.passthrough import Passthrough
from stemwright.service.ids import parse_id
from stemwright.service.service import Service
from stemwright.service.task import Task


class WavFace:
    """The handlers."""

    def __init__(self, service: Service, envelope: Envelope, vendor: Passthrough | None) -> None:
        self._service = service
        self._envelope = envelope
        self._vendor = vendor
        self._blocking_pool = BlockingPool()

    async def generate(self, request: Request) -> Response:
        """Starts the conversion of a song or a stem to WAV. There is one WAV of each: a second request gets code 409.

        Songs that kie generated are converted by kie if the operator has a key, since kie has them lossless.
        """
        caller = await run_in_threadpool(authenticate, request, self._service.keys, "write")
        content = await read_body(request)
        body = parse_json_object(content)
        if self._vendor is not None and await run_in_threadpool(
            belongs_to_vendor, self._service, caller.account_id, body, CAMEL_CASE
        ):
            return await self._vendor.forward(request, content)

        def submit() -> Task:
            order = read_wav_order(self._service.settings, self._service.task_sources, caller.account_id, body)
            return self._service.tasks.submit(caller, order)

        task = await self._blocking_pool.run(submit)
        return self._envelope.success({"taskId": task.id})

    async def record_info(self, request: Request) -> Response:
        """The state of a conversion; `data` is null if the id is unknown."""

        def read() -> tuple[dict[str, Any] | None, bool]:
            account_id = authenticate(request, self._service.keys, "read").account_id
            task_id = parse_id(required_query(request, "taskId"))
            if task_id is None:
                return None, False
            task = self._service.tasks.get(account_id, task_id)
            if task is not None and task.is_wav:
                return wav_record(self._service, task), True
            return None, self._service.tasks.any(task_id) is not None

        record, is_ours = await run_in_threadpool(read)
        if record is None and not is_ours and self._vendor is not None:
            return await self._vendor.forward(request)
        return self._envelope.success(record)


def belongs_to_vendor(service: Service, account_id: str, body: dict[str, Any], names: FieldNames) -> bool:
    """Whether the ids in a body are of a song that kie generated, or unknown to this server."""
    task_id, audio_id = parse_id(body.get(names.task_id)), parse_id(body.get(names.audio_id))
    if task_id is None or audio_id is None:
        return False
    track = service.tracks.find(account_id, task_id, audio_id)
    return was_made_by_kie(track) if track is not None else service.tasks.any(task_id) is None
