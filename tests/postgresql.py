"""A PostgreSQL server for tests: Debian's, in a temporary folder, on a free port of this machine."""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stemwright.database.engine import Database
from tests.waiting import PATIENCE_S, wait_until

BINARIES = "/usr/lib/postgresql"
USER = "stemwright"
PASSWORD = "the password of the tests"
CONFIGURATION = """
listen_addresses = '{address}'
unix_socket_directories = '{folder}'
max_connections = 300
shared_buffers = 64MB
fsync = off  # a test survives no loss of power
log_min_messages = fatal
lc_messages = 'C'
"""


class PostgresqlServer:
    """A server with one user, and a template with the tables of this release.

    Args:
        folder: its files.
        address: of this machine; whoever reaches it may connect with the password.
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.port = 0
        self._address = address
        self._folder = folder
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._count = itertools.count()
        self._binaries = _binaries()
        self._account = unprivileged_user()
        if self._account is not None:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's first process."""
        assert self._process is not None
        return self._process

    def create(self) -> None:
        """Makes the cluster and starts it."""
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        # The folder belongs to another user, so nothing but a password tells who may connect.
        self._run("initdb", "-D", "data", "-U", USER, "-A", "scram-sha-256", "--pwfile", "password", "-E", "UTF8",
                  "--locale=C", "--no-sync")  # fmt: skip
        with (self._folder / "data" / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION.format(folder=self._folder, address=self._address))
        with (self._folder / "data" / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {self._address}/24 scram-sha-256\n")
        self.port = _free_port()
        self.start()
        self.create_database("template")
        migrated = Database(self.url("template"))
        migrated.migrate()
        migrated.close()

    def start(self) -> None:
        """Starts the server and waits until it takes connections."""
        command = [str(self._binaries / "postgres"), "-D", "data", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen[bytes](
                command, cwd=self._folder, stderr=log, preexec_fn=_die_with_parent, **self._as_user()
            )
        wait_until(self._answers, "PostgreSQL takes connections")

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stops the server: SIGINT ends its sessions (fast), SIGQUIT is ``immediate``, as after a crash."""
        process = self.process
        process.send_signal(number)
        process.wait(PATIENCE_S)
        self._process = None

    def url(self, database: str, password: str = PASSWORD) -> str:
        """The URL of a database."""
        return f"postgresql://{USER}:{password.replace(' ', '%20')}@{self._address}:{self.port}/{database}"

    def create_database(self, name: str | None = None, template: str = "template0") -> str:
        """Makes a database and returns its URL."""
        name = name or f"test_{next(self._count)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    @contextmanager
    def new_database(self) -> Iterator[str]:
        """A new database with the tables of this release, dropped at the end."""
        url = self.create_database(template="template")
        yield url
        self.drop_database(url)

    def drop_database(self, url: str) -> None:
        """Drops a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Runs one statement and returns its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"PostgreSQL did not start: {self._log.read_text()}")
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        result = subprocess.run(
            [self._binaries / program, *arguments], cwd=self._folder, capture_output=True, text=True, **self._as_user()
        )
        assert result.returncode == 0, result.stderr

    def _as_user(self) -> dict[str, Any]:
        """PostgreSQL refuses to run as root."""
        account = self._account
        return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@contextmanager
def running_postgresql(address: str = "127.0.0.1") -> Iterator[PostgresqlServer]:
    """A server in a folder of its own, stopped at the end. Skips the test where PostgreSQL is not installed."""
    if _binaries_or_none() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # Not in pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="stemwright-postgresql-"))
    server = PostgresqlServer(folder, address)
    try:
        server.create()
        yield server
    finally:
        if server._process is not None:
            server.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = _binaries_or_none()
    assert found is not None
    return found


def _binaries_or_none() -> Path | None:
    """The folder of ``initdb`` and ``postgres``: Debian keeps each version apart, and none on the PATH."""
    versions = [path for path in Path(BINARIES).glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def unprivileged_user() -> pwd.struct_passwd | None:
    """Who runs the server, if we are root: Debian's ``postgres``, or nobody."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _die_with_parent() -> None:
    """Stops the server also when the tests are killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG
