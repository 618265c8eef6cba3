"""``jobs/createTask`` and ``jobs/recordInfo``: two models of ours; others are forwarded (docs/contracts.md, section 10)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.kie.fields import SNAKE_CASE
from stemwright.api.kie.market_jobs import MODELS, TO_WAV, job_input, job_record, read_job, read_model
from stemwright.api.kie.task_endpoints import TaskEndpoints
from stemwright.api.kie.wav_routes import belongs_to_vendor
from stemwright.service.errors import NotFound
from stemwright.service.service import Service
from stemwright.service.task import Submission

MISSING = "recordInfo is null"
"""The vendor's own message for an unknown task (docs/contracts.md, section 10)."""


class JobFace:
    """The handlers."""

    def __init__(self, service: Service, tasks: TaskEndpoints) -> None:
        self._service = service
        self._tasks = tasks

    async def create(self, request: Request) -> Response:
        """Starts a separation, or a conversion to WAV. Other models are forwarded to the vendor.

        `input` has the song as `task_id` and `audio_id`. A separation accepts `audio_url` in place of both, `type`, and
        `stem_name` for `split_stem_advanced`.
        """
        return await self._tasks.create(request, self._read_order, self._belongs_to_vendor)

    async def record_info(self, request: Request) -> Response:
        """The state of a task of this server, created on any route; unknown ids are forwarded to the vendor."""
        return await self._tasks.record(request, lambda task: job_record(self._service, task), missing=MISSING)

    def _read_order(self, account_id: str, body: dict[str, Any]) -> Submission:
        model = read_model(body)
        if model not in MODELS:
            raise NotFound(f"The model {model[:100]!r} is not offered by this server, which has: {', '.join(MODELS)}.")
        return read_job(self._service.settings, self._service.task_sources, account_id, body)

    def _belongs_to_vendor(self, account_id: str, body: dict[str, Any]) -> bool:
        model = read_model(body)
        if model not in MODELS:
            return True
        fields = job_input(body, lenient=self._service.settings.lenient)
        return model == TO_WAV and belongs_to_vendor(self._service, account_id, fields, SNAKE_CASE)
