"""Logs on standard error: readable text on a terminal, else one JSON object per line. Keys and bodies are never logged.

All processes of a server write the same form. ``role`` names the process; lines that belong to a task have its id as
``task``, and that of its trace, if there is one, as ``trace``. The task's id is bound with ``structlog.contextvars``,
so lines of libraries have it too.
"""

from __future__ import annotations

import logging
import sys

import structlog

from stemwright.tracing import current_trace_id


def configure_logs(role: str) -> None:
    """Sends the logs of this process and of its libraries through one formatter.

    Args:
        role: what this process is, such as ``server`` or ``worker local/0``.
    """

    def add_role(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        event["role"] = role
        if (trace := current_trace_id()) is not None:
            event["trace"] = trace
        return event

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_role,
    ]
    renderer: structlog.types.Processor = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    last: list[structlog.types.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        renderer,
    ]
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("httpx", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # One line per poll of each client would be too much; /metrics counts requests.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def bound_task() -> str | None:
    """The id of the task that this thread or request works on, if it was bound."""
    task = structlog.contextvars.get_contextvars().get("task")
    return task if isinstance(task, str) else None
