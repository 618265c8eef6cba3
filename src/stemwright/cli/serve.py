"""``stemwright serve``: the server, its workers and its queue in one process tree."""

from __future__ import annotations

import ipaddress
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from stemwright.cli.data_folder import Data, settings_of
from stemwright.errors import ModelUnavailableError, StorageError, UsageError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from stemwright.service.service import Service
    from stemwright.settings import Settings


HANDLER = "stemwright.service.separation_handler:create_handler"
"""What workers do with a task."""


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all, once there is a key. Default: 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one. Default: 8000.")] = None,
    data: Data = None,
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="What clients call this server; links begin with it.")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", min=0, help="Worker processes. Default: 1.")] = None,
) -> None:
    """Serves kie.ai's, crun.ai's and our own API until it is stopped. Every other setting: docs/settings.md.

    The first start makes an API key and prints it. SIGTERM or Ctrl-C ends requests in hand, and leaves separations where
    the next start takes them up.

    Examples:

      stemwright serve

      stemwright serve --port 9000 --data /srv/stemwright --public-url https://stems.example.org

      STEMWRIGHT_UPSTREAM_KIE_KEY=… stemwright serve
    """
    settings = settings_of(host=host, port=port, data=data, public_url=public_url, workers=workers)
    with listen(settings) as listener:
        run(settings.model_copy(update={"port": listener.getsockname()[1]}), listener, HANDLER)


def run(settings: Settings, listener: socket.socket, handler: str) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Args:
        settings: with the port that is listened on.
        listener: what requests come in by.
        handler: ``package.module:function``, what workers do with a task.

    Raises:
        StorageError: another server works on the data folder, or it cannot be written.
        UsageError: the address is open to others, and there is no key.
    """
    from stemwright.jobs.supervisor import lock_data_folder

    with lock_data_folder(settings.data):
        _run(settings, listener, handler)


def _run(settings: Settings, listener: socket.socket, handler: str) -> None:
    import uvicorn

    from stemwright.api.app import create_app
    from stemwright.api.logs import configure_logs
    from stemwright.jobs.supervisor import Supervisor
    from stemwright.service.service import Service, public_url

    configure_logs()
    _check_plan(settings.plan)
    _raise_file_limit()
    _migrate_apart(settings)
    service = Service.open(settings)
    try:
        first = _first_key(service)
        supervisor = Supervisor(settings, service.queue, handler)
        app = create_app(service, (lambda: supervisor.n_ready) if settings.workers else None)
        typer.echo(f"Stemwright listens on {public_url(settings)} (API: {public_url(settings)}/docs)")
        if first:
            typer.echo(f"Your API key, shown this once: {first}")
        server = uvicorn.Server(uvicorn_config(settings, app))
        _outlive_signals(server)
        supervisor.start()
        try:
            server.run(sockets=[listener])
        finally:
            supervisor.drain()
    finally:
        service.close()


def uvicorn_config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    """How uvicorn serves the application: with our own reader of requests, and no other protocol."""
    import uvicorn

    from stemwright.api.http_protocol import StrictHttpProtocol

    return uvicorn.Config(
        app,
        http=StrictHttpProtocol,
        ws="none",
        log_config=None,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=30,
        server_header=False,
    )


def _check_plan(name: str) -> None:
    """Makes sure that the vendors' faces have a plan: no client's request downloads one."""
    from stemwright.separation.model_resolver import is_installed
    from stemwright.separation.plan import plan_of

    if not is_installed(plan_of(name)):
        raise ModelUnavailableError(
            f"STEMWRIGHT_PLAN is '{name}', whose weights are not here or not allowed; fetch them with "
            f"`stemwright models download {name}`, or set another plan."
        )


def _outlive_signals(server: uvicorn.Server) -> None:
    """Lets this process go on after SIGTERM and Ctrl-C, so that it ends its workers too.

    uvicorn answers a signal by ending itself in order; then it sends the signal again, to whoever handled it before.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)


def _raise_file_limit() -> None:
    """Lets this process hold as many connections as it may: each is a file to the system."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _migrate_apart(settings: Settings) -> None:
    """Makes or renews the tables in a process of its own.

    The 10 MB that this takes would stay until the server ends. Where it fails, the server tries again itself, and says why.
    """
    from stemwright.service.service import open_database

    database = open_database(settings)
    if not database.is_current():
        script = "import sys; from stemwright.database.engine import Database; Database(sys.stdin.read()).migrate()"
        # On standard input, for the URL may hold a password and arguments are seen by all.
        subprocess.run(
            [sys.executable, "-P", "-c", script], input=database.url, text=True, check=False, capture_output=True
        )
    database.close()


def listen(settings: Settings) -> socket.socket:
    """The listening socket.

    Raises:
        StorageError: the address is taken or is not this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise StorageError(
            f"{settings.host}:{settings.port} cannot be listened on ({reason}); choose another --host or --port."
        ) from error
    # asyncio leaves it off for sockets that others made, and every answer would wait 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _first_key(service: Service) -> str | None:
    """Makes the first key, unless strangers could come before its owner has read it."""
    if service.keys.any():
        return None
    if not is_loopback(service.settings.host):
        raise UsageError(
            f"{service.settings.host} is open to others and there is no API key yet: "
            f"run `stemwright keys create NAME --data {service.settings.data}` first, or listen on 127.0.0.1."
        )
    return service.keys.create("first").key


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
