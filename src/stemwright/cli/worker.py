"""``stemwright worker`` and ``stemwright workers``: workers on machines of their own, which share a PostgreSQL database."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from stemwright.cli.common_options import Json
from stemwright.cli.data_folder import Data, load_settings, open_data_folder
from stemwright.cli.serve import HANDLER, uvicorn_config
from stemwright.errors import ModelUnavailableError, UsageError

if TYPE_CHECKING:
    import uvicorn

    from stemwright.jobs.supervisor import Supervisor
    from stemwright.service.service import Service
    from stemwright.settings import Settings

HEALTH_HOST = "0.0.0.0"
"""The endpoints are read by other machines; they show no file and no key."""


def worker(
    queues: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="What it does: separation, conversion (to WAV), or both, the default; with commas."
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="cpu|cuda[:N]|mps|auto", help="Where it computes. Default: auto.")
    ] = None,
    plans: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="Plans and models that it takes, with commas. Default: what is installed and fits."
        ),
    ] = None,
    data: Data = None,
    health_port: Annotated[
        int | None, typer.Option(min=0, max=65535, metavar="PORT", help="Port of /livez, /readyz and /metrics; 0: any.")
    ] = None,
) -> None:
    """Runs one worker for API servers elsewhere; STEMWRIGHT_DATABASE_URL and STEMWRIGHT_STORAGE_URL are as theirs.

    Run one for each GPU. The model stays loaded. On SIGTERM or Ctrl-C the worker stops at its next chunk and hands its
    task back; another worker goes on from there.

    Examples:

      stemwright worker

      stemwright worker --device cuda:0 --plans best,fast --health-port 8080
    """
    settings = load_settings(data=data, worker_queues=queues, device=device, worker_plans=plans)
    if settings.database_url is None:
        raise UsageError(
            "Workers on machines of their own share a database: set STEMWRIGHT_DATABASE_URL to that of the API server. "
            "On one machine, `stemwright serve` has its own workers."
        )
    run(settings.model_copy(update={"workers": 1}), HANDLER, health_port)


def run(settings: Settings, handler: str, health_port: int | None) -> None:
    """Works until SIGTERM or Ctrl-C.

    Args:
        settings: of one worker.
        handler: ``package.module:function`` that makes the worker's task handler.
        health_port: where it answers about its health; None for nowhere.

    Raises:
        UsageError: its store is not that of the API servers.
    """
    from stemwright.jobs.supervisor import Supervisor, lock_data_folder
    from stemwright.logs import configure_logs
    from stemwright.service.peer_check import storage_problem, worker_problems
    from stemwright.service.service import Service

    settings = with_device(settings)
    with lock_data_folder(settings.data):
        configure_logs("worker")
        service = Service.open(settings)
        try:
            if (other_store := storage_problem(service.database, settings)) is not None:
                raise UsageError(other_store)
            if settings.storage_url:
                service.store.check()
            for problem in worker_problems(service.database, settings):
                typer.echo(f"warning: {problem}", err=True)
            supervisor = Supervisor(settings, service.queue, handler)
            stopping = threading.Event()
            _handle_stop_signals(stopping)
            supervisor.start()
            health = None if health_port is None else _start_health(settings, service, supervisor, health_port)
            typer.echo(f"Worker of {service.database.name}, plans: {', '.join(settings.worker_plans)}")
            try:
                stopping.wait()
            finally:
                supervisor.drain()
                if health is not None:
                    health.should_exit = True
        finally:
            service.close()


def with_device(settings: Settings) -> Settings:
    """Makes the GPU that is named the only one that this process and its worker see, and fills in the plans.

    Raises:
        UsageError: a plan is unknown, or takes more memory than a task may.
        ModelUnavailableError: its weights are not installed.
    """
    from stemwright.jobs.queue import task_memory_bytes
    from stemwright.separation.plan import plan_of
    from stemwright.service.fleet import fitting_plans, installed_plans

    if settings.device.startswith("cuda:"):
        os.environ["CUDA_VISIBLE_DEVICES"] = settings.device.partition(":")[2]
    installed = installed_plans(settings.device)
    most = task_memory_bytes(settings)
    for name in settings.worker_plans:
        plan_of(name)
        if name not in installed:
            raise ModelUnavailableError(
                f"The weights of '{name}' are not installed or not allowed here; download them with "
                f"`stemwright models download {name}`, or leave it out of --plans."
            )
        if installed[name] > most:
            raise UsageError(
                f"'{name}' takes {installed[name] / 1e6:.0f} MB of memory, and a task of this worker may take "
                f"{most / 1e6:.0f}: raise STEMWRIGHT_WORKER_MEMORY_MB or the limit of the container, or leave it out of "
                "--plans."
            )
    if settings.worker_plans:
        return settings
    fitting = fitting_plans(settings)
    if left_out := [name for name in installed if name not in fitting]:
        typer.echo(
            f"Left out: {', '.join(left_out)}. A task of this worker may take {most / 1e6:.0f} MB of memory, they take "
            "more; STEMWRIGHT_WORKER_MEMORY_MB or the limit of the container raises that.",
            err=True,
        )
    return settings.model_copy(update={"worker_plans": fitting})


def _start_health(settings: Settings, service: Service, supervisor: Supervisor, port: int) -> uvicorn.Server:
    """Serves the worker's health from a thread."""
    import uvicorn

    from stemwright.api.app import create_health_app
    from stemwright.cli.serve import open_listener

    listener = open_listener(settings.model_copy(update={"host": HEALTH_HOST, "port": port}))
    typer.echo(f"Health: http://{HEALTH_HOST}:{listener.getsockname()[1]}/readyz")
    app = create_health_app(service, lambda: supervisor.n_ready)
    server = uvicorn.Server(uvicorn_config(settings, app))
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="health", daemon=True).start()
    return server


def _handle_stop_signals(stopping: threading.Event) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def workers(data: Data = None, as_json: Json = False) -> None:
    """Lists the workers of all machines that share the database of STEMWRIGHT_DATABASE_URL: what they can, what they do.

    Examples:

      stemwright workers

      stemwright workers --json
    """
    from dataclasses import asdict

    from stemwright.service.fleet import Fleet

    with open_data_folder(data) as (settings, database):
        if database.is_sqlite:
            raise UsageError(
                "Without STEMWRIGHT_DATABASE_URL the workers are the server's own: /readyz and /metrics tell of them."
            )
        found = Fleet(database, settings).workers()
    if as_json:
        typer.echo(json.dumps([asdict(worker) for worker in found]))
        return
    if not found:
        typer.echo("No worker runs. Start one with `stemwright worker`.")
        return
    from stemwright.cli.tables import console, table

    shown = table("worker", "device", "plans", "task", "since", "heartbeat", left=4)
    now = time.time()
    for each in found:
        shown.add_row(
            each.name,
            each.device,
            ", ".join(each.plans),
            each.task_id or "-",
            f"{max(0.0, now - each.started_at) / 60:.0f} min",
            f"{each.silent_s:.0f} s ago",
        )
    console().print(shown)
