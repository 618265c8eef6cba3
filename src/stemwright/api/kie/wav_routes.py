"""``wav/generate`` and ``wav/record-info``: a song or a stem as WAV (docs/contracts.md, section 5)."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.kie.fields import CAMEL_CASE, FieldNames
from stemwright.api.kie.records import was_made_by_kie
from stemwright.api.kie.request_body import OrderReader
from stemwright.api.kie.task_endpoints import TaskEndpoints
from stemwright.api.kie.wav_records import wav_record
from stemwright.service.ids import parse_id
from stemwright.service.service import Service
from stemwright.service.task import Task


class WavFace:
    """The handlers."""

    def __init__(self, service: Service, tasks: TaskEndpoints) -> None:
        self._service = service
        self._tasks = tasks
        self._reader = OrderReader(service.settings, service.task_sources)

    async def generate(self, request: Request) -> Response:
        """Starts the conversion of a song or a stem to WAV. There is one WAV of each: a second request gets code 409.

        Songs that kie generated are converted by kie if the operator has a key, since kie has them lossless.
        """
        is_kies = partial(belongs_to_vendor, self._service, names=CAMEL_CASE)
        return await self._tasks.create(request, self._reader.wav_conversion, is_kies)

    async def record_info(self, request: Request) -> Response:
        """The state of a conversion; `data` is null if the id is unknown."""
        return await self._tasks.record(request, self._record)

    def _record(self, task: Task) -> dict[str, Any] | None:
        return wav_record(self._service, task) if task.is_wav else None


def belongs_to_vendor(service: Service, account_id: str, body: dict[str, Any], names: FieldNames) -> bool:
    """Whether the ids in a body are of a song that kie generated, or unknown to this server."""
    task_id, audio_id = parse_id(body.get(names.task_id)), parse_id(body.get(names.audio_id))
    if task_id is None or audio_id is None:
        return False
    track = service.tracks.find(account_id, task_id, audio_id)
    return was_made_by_kie(track) if track is not None else service.tasks.any(task_id) is None
