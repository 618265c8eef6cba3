"""What the routes of separations, conversions to WAV and market jobs share: creating a task, and reading its record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.authentication import authenticate
from stemwright.api.blocking_pool import BlockingPool
from stemwright.api.body import parse_json_object, read_body
from stemwright.api.kie.envelope import Envelope
from stemwright.api.kie.fields import required_query
from stemwright.api.passthrough import Passthrough
from stemwright.service.errors import RecordMissing
from stemwright.service.ids import parse_id
from stemwright.service.service import Service
from stemwright.service.task import Submission, Task

Body = dict[str, Any]


class TaskEndpoints:
    """Creates tasks and reads records, with the envelope of this API and the vendor behind it."""

    def __init__(self, service: Service, envelope: Envelope, vendor: Passthrough | None) -> None:
        self._service = service
        self._envelope = envelope
        self._vendor = vendor
        self._blocking_pool = BlockingPool()

    async def create(
        self,
        request: Request,
        read_order: Callable[[str, Body], Submission],
        belongs_to_vendor: Callable[[str, Body], bool] = lambda _account_id, _body: False,
    ) -> Response:
        """Creates a task.

        Args:
            request: the request, whose body has not been read.
            read_order: makes a submission of an account's id and the body; may wait for the vendor.
            belongs_to_vendor: whether the request is forwarded to the vendor, if the operator has a key.
        """
        caller = await run_in_threadpool(authenticate, request, self._service.keys, "write")
        content = await read_body(request)
        body = parse_json_object(content)
        if self._vendor is not None and await run_in_threadpool(belongs_to_vendor, caller.account_id, body):
            return await self._vendor.forward(request, content)

        def submit() -> Task:
            return self._service.tasks.submit(caller, read_order(caller.account_id, body))

        task = await self._blocking_pool.run(submit)
        return self._envelope.success({"taskId": task.id})

    async def record(
        self, request: Request, record_of: Callable[[Task], Body | None], *, forwards: bool = True, missing: str = ""
    ) -> Response:
        """Sends the record of the task that ``taskId`` names.

        Args:
            request: the request.
            record_of: the record of a task, None if it has none on this route.
            forwards: whether ids that are not of this server are forwarded to the vendor, if the operator has a key.
            missing: the message for an unknown id; without one, ``data`` is null.

        Raises:
            RecordMissing: there is no record, and there is a message for that.
        """

        may_forward = forwards and self._vendor is not None

        def read() -> tuple[Body | None, bool]:
            account_id = authenticate(request, self._service.keys, "read").account_id
            task_id = parse_id(required_query(request, "taskId"))
            if task_id is None:
                return None, False
            task = self._service.tasks.get(account_id, task_id)
            record = None if task is None else record_of(task)
            # Looked up only where it decides something: the work must not tell that another account has the id.
            is_ours = record is not None or (may_forward and self._service.tasks.any(task_id) is not None)
            return record, is_ours

        record, is_ours = await run_in_threadpool(read)
        if record is None and not is_ours and forwards and self._vendor is not None:
            return await self._vendor.forward(request)
        if record is None and missing:
            raise RecordMissing(missing)
        return self._envelope.success(record)
