"""``jobs/createTask`` and ``jobs/recordInfo``: two models of ours; others are forwarded (docs/contracts.md, section 10)."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.authentication import authenticate
from stemwright.api.blocking_pool import BlockingPool
from stemwright.api.body import parse_json_object, read_body
from stemwright.api.kie.envelope import Envelope
from stemwright.api.kie.fields import SNAKE_CASE, required_query
from stemwright.api.kie.market_jobs import MODELS, TO_WAV, job_input, job_record, read_job, read_model
from stemwright.api.kie.wav_routes import belongs_to_vendor
from stemwright.api.passthrough import Passthrough
from stemwright.service.errors import NotFound, RecordMissing
from stemwright.service.ids import parse_id
from stemwright.service.service import Service
from stemwright.service.task import Task

MISSING = "recordInfo is null"
"""The vendor's own message for an unknown task (docs/contracts.md, section 10)."""


class JobFace:
    """The handlers."""

    def __init__(self, service: Service, envelope: Envelope, vendor: Passthrough | None) -> None:
        self._service = service
        self._envelope = envelope
        self._vendor = vendor
        self._blocking_pool = BlockingPool()

    async def create(self, request: Request) -> Response:
        """Starts a separation, or a conversion to WAV. Other models are forwarded to the vendor.

        `input` has the song as `task_id` and `audio_id`. A separation accepts `audio_url` in place of both, `type`, and
        `stem_name` for `split_stem_advanced`.
        """
        caller = await run_in_threadpool(authenticate, request, self._service.keys, "write")
        content = await read_body(request)
        body = parse_json_object(content)
        model = read_model(body)
        if model not in MODELS and self._vendor is None:
            raise NotFound(f"The model {model[:100]!r} is not offered by this server, which has: {', '.join(MODELS)}.")
        if self._vendor is not None and await run_in_threadpool(self._belongs_to_vendor, caller.account_id, body):
            return await self._vendor.forward(request, content)

        def submit() -> Task:
            order = read_job(self._service.settings, self._service.task_sources, caller.account_id, body)
            return self._service.tasks.submit(caller, order)

        task = await self._blocking_pool.run(submit)
        return self._envelope.success({"taskId": task.id})

    async def record_info(self, request: Request) -> Response:
        """The state of a task of this server, created on any route; unknown ids are forwarded to the vendor."""

        def read() -> tuple[dict[str, Any] | None, bool]:
            account_id = authenticate(request, self._service.keys, "read").account_id
            task_id = parse_id(required_query(request, "taskId"))
            if task_id is None:
                return None, False
            task = self._service.tasks.get(account_id, task_id)
            if task is not None:
                return job_record(self._service, task), True
            return None, self._service.tasks.any(task_id) is not None

        record, is_ours = await run_in_threadpool(read)
        if record is not None:
            return self._envelope.success(record)
        if self._vendor is not None and not is_ours:
            return await self._vendor.forward(request)
        raise RecordMissing(MISSING)

    def _belongs_to_vendor(self, account_id: str, body: dict[str, Any]) -> bool:
        model = read_model(body)
        if model not in MODELS:
            return True
        fields = job_input(body, lenient=self._service.settings.lenient)
        return model == TO_WAV and belongs_to_vendor(self._service, account_id, fields, SNAKE_CASE)
