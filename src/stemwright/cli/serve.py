"""``stemwright serve``: runs the server, its workers and its queue in one process tree."""

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

from stemwright.cli.data_folder import Data, load_settings
from stemwright.errors import ModelUnavailableError, StorageError, UsageError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from stemwright.service.service import Service
    from stemwright.settings import Settings


FIRST_KEY = "first"

HANDLER = "stemwright.service.separation_handler:create_handler"
"""The function that makes the workers' task handler."""


def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; 0.0.0.0 for all, which needs an API key first. Default: 127.0.0.1."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="TCP port; 0 for any free one. Default: 8000.")
    ] = None,
    data: Data = None,
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="URL of this server for clients; links to files begin with it.")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", min=0, help="Worker processes. Default: 1.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the player in the browser.")] = False,
) -> None:
    """Runs the HTTP server: the player, the APIs of kie.ai and crun.ai, and our own. docs/settings.md lists all settings.

    The first start creates an API key and prints it. Each start prints an address that opens the player signed
    in, once. On SIGTERM or Ctrl-C current requests are finished; separations continue at the next start.

    Examples:

      stemwright serve

      stemwright serve --port 9000 --data /srv/stemwright --public-url https://stems.example.org

      STEMWRIGHT_UPSTREAM_KIE_KEY=… stemwright serve
    """
    settings = load_settings(host=host, port=port, data=data, public_url=public_url, workers=workers)
    with open_listener(settings) as listener:
        run(settings.model_copy(update={"port": listener.getsockname()[1]}), listener, HANDLER, open_page=open_page)


def run(settings: Settings, listener: socket.socket, handler: str, *, open_page: bool = False) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Args:
        settings: with the port of the listener.
        listener: the listening socket.
        handler: ``package.module:function`` that makes the workers' task handler.
        open_page: open the player in the browser.

    Raises:
        StorageError: another server uses the data folder, or it cannot be written.
        UsageError: other machines can reach the address, and there is no key.
    """
    from stemwright.jobs.supervisor import lock_data_folder

    with lock_data_folder(settings.data):
        _run(settings, listener, handler, open_page=open_page)


def _run(settings: Settings, listener: socket.socket, handler: str, *, open_page: bool) -> None:
    import uvicorn

    from stemwright.api.app import create_app
    from stemwright.jobs.supervisor import Supervisor
    from stemwright.logs import configure_logs
    from stemwright.service.peer_check import peer_problems
    from stemwright.service.service import Service, public_url
    from stemwright.tracing import configure_tracing, shutdown_tracing

    configure_logs("server")
    configure_tracing(settings, "server")
    if settings.workers or not settings.database_url:
        _check_plan(settings.plan)
    _raise_file_limit()
    _migrate_in_subprocess(settings)
    service = Service.open(settings)
    try:
        if settings.storage_url:
            service.store.check()
        for problem in peer_problems(service.database, settings):
            typer.echo(f"warning: {problem}", err=True)
        first = _create_first_key(service)
        supervisor = Supervisor(_with_plans(settings), service.queue, handler)
        app = create_app(service, (lambda: supervisor.n_ready) if settings.workers else None)
        typer.echo(f"Stemwright listens on {public_url(settings)} (API: {public_url(settings)}/docs)")
        if first:
            typer.echo(f"Your API key, shown this once: {first}")
        page = _page_address(service)
        typer.echo(f"The player: {page}")
        if settings.storage_url:
            typer.echo(f"Files: {service.store}")
            _warn_of_mixed_content(public_url(settings), str(service.store))
        if first and settings.workers:  # plans are installed where the workers are
            _tell_better(settings)
        server = uvicorn.Server(uvicorn_config(settings, app))
        _handle_stop_signals(server)
        supervisor.start()
        if open_page:
            # in a thread, for a browser in the terminal runs until it is left
            threading.Thread(target=_open_in_browser, args=(page,), daemon=True).start()
        try:
            server.run(sockets=[listener])
        finally:
            supervisor.drain()
    finally:
        service.close()
        shutdown_tracing()


def _warn_of_mixed_content(pages: str, store: str) -> None:
    """Says that browsers will not load the files: a page under https:// plays nothing from http://."""
    if pages.startswith("https://") and "clients get the files from http://" in store:
        typer.echo(
            "Browsers will refuse the files, which are at http:// while the pages are at https://: set "
            "STEMWRIGHT_STORAGE_PUBLIC_URL to an address of the store at https://, or STEMWRIGHT_STORAGE_LINKS=serve.",
            err=True,
        )


def _with_plans(settings: Settings) -> Settings:
    """Names the plans of this machine's workers, where there are others elsewhere."""
    if not settings.database_url or not settings.workers or settings.worker_plans:
        return settings
    from stemwright.service.fleet import fitting_plans

    return settings.model_copy(update={"worker_plans": fitting_plans(settings)})


def _open_in_browser(address: str) -> None:
    """Opens a page. The connection waits in the listener's backlog until the server accepts it."""
    import webbrowser

    if not webbrowser.open(address):
        typer.echo("No browser could be opened; open the address above yourself.", err=True)


def uvicorn_config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    """The configuration of uvicorn: our own HTTP protocol class, no WebSockets."""
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
    """Checks that the weights of the vendors' APIs' plan are installed: requests never download weights."""
    from stemwright.separation.auto_choice import AUTO
    from stemwright.separation.model_choice import is_installed
    from stemwright.separation.plan import plan_of

    if name != AUTO and not is_installed(plan_of(name)):
        raise ModelUnavailableError(
            f"STEMWRIGHT_PLAN is '{name}', whose weights are not installed or not allowed; download them with "
            f"`stemwright models download {name}`, or set another plan."
        )


def _tell_better(settings: Settings) -> None:
    """Says in one line that a better plan than the one of ``auto`` is one step away."""
    from stemwright.separation.auto_choice import AUTO, better_plan

    offer = better_plan("twelve") if settings.plan == AUTO else None
    if offer is not None:
        typer.echo(str(offer))


def _handle_stop_signals(server: uvicorn.Server) -> None:
    """Keeps this process running after SIGTERM and Ctrl-C until its workers have stopped.

    uvicorn shuts down on a signal, then raises the signal again for the handler that was installed before.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)


def _raise_file_limit() -> None:
    """Raises the limit of open files to the maximum, since each connection is one."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _migrate_in_subprocess(settings: Settings) -> None:
    """Creates or migrates the tables in a subprocess.

    This takes 10 MB, which the server would otherwise keep. If it fails, the server tries again itself and reports why.
    """
    from stemwright.database.engine import Database

    database = Database.open(settings)
    is_usable = False
    with suppress(StorageError):
        is_usable = database.schema_state() == "usable"
    if not is_usable:
        script = "import sys; from stemwright.database.engine import Database; Database(sys.stdin.read()).migrate()"
        # On standard input: the URL may contain a password, and every user can see arguments.
        subprocess.run(
            [sys.executable, "-P", "-c", script], input=database.url, text=True, check=False, capture_output=True
        )
    database.close()


def open_listener(settings: Settings) -> socket.socket:
    """Opens the listening socket.

    Raises:
        StorageError: the address is in use, or does not belong to this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise StorageError(
            f"{settings.host}:{settings.port} cannot be listened on ({reason}); choose another --host or --port."
        ) from error
    # asyncio does not set it on existing sockets; without it every response waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _create_first_key(service: Service) -> str | None:
    """Creates the first key, which may do everything, unless other machines can reach the server already."""
    from stemwright.service.errors import Conflict
    from stemwright.service.key_rows import SCOPES

    if service.keys.any():
        return None
    if not is_loopback(service.settings.host):
        raise UsageError(
            f"Other machines can reach {service.settings.host} and there is no API key yet: "
            f"run `stemwright keys create NAME --data {service.settings.data}` first, or listen on 127.0.0.1."
        )
    try:
        return service.keys.create(FIRST_KEY, scopes=SCOPES).key
    except Conflict:  # another server on the same database was first, and prints it
        return None


def _page_address(service: Service) -> str:
    """Address of the player; where no other machine can reach it, it signs the browser in with the first key, once."""
    from stemwright.service.public_access import is_private
    from stemwright.service.service import public_url

    token = service.sessions.one_time_token(FIRST_KEY) if is_private(service.settings) else None
    # Browsers send nothing after the # to any server, so the token is in no log of a proxy.
    return f"{public_url(service.settings)}/" + (f"#open={token}" if token else "")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
