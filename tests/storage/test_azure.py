"""az:// on Azurite, Microsoft's own emulator of Azure's storage, and gs:// as far as it goes without Google.

No server that can be installed takes what obstore sends to Google's: fake-gcs-server refuses its uploads.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from stemwright.errors import StorageError, UsageError
from stemwright.settings import read_settings
from stemwright.storage import bucket as bucket_module
from stemwright.storage.blob import StoreUnreachable
from stemwright.storage.store import Store
from tests.storage.test_bucket import LINK, files, put
from tests.waiting import PATIENCE_S, wait_until

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that every Azurite has; both are in its documentation."""


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the server; it has a container named files."""
    program = os.environ.get("STEMWRIGHT_AZURITE") or shutil.which("azurite-blob")
    if program is None or not Path(program).exists():
        pytest.skip("there is no Azurite: npm install azurite, and STEMWRIGHT_AZURITE names its azurite-blob")
    folder = tmp_path_factory.mktemp("azurite")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            *(program, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", str(folder)),
            *("--blobHost", "127.0.0.1", "--blobPort", str(port)),
        ],
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or _answers(url), "Azurite answers")
        assert process.poll() is None
        _create_container(url)
        yield url
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def _answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=5)
    except httpx.TransportError:
        return False
    return True


def _create_container(url: str) -> None:
    headers = {"x-ms-date": f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S GMT}", "x-ms-version": "2021-08-06"}
    stamps = "".join(f"{name}:{value}\n" for name, value in headers.items())
    text = "PUT" + 12 * "\n" + f"{stamps}/{ACCOUNT}/{ACCOUNT}/files\nrestype:container"
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature}"
    assert httpx.put(f"{url}/{ACCOUNT}/files?restype=container", headers=headers).status_code == 201


@pytest.fixture
def azure(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", azurite)


@pytest.mark.long
@pytest.mark.usefixtures("azure")
def test_files_in_azure(tmp_path: Path) -> None:
    store = Store.open(read_settings(data=tmp_path, storage_url="az://files/stems"))
    store.check()
    assert str(store) == "az://files/stems; this server sends the files to clients"
    for size in (100_000, 20_000_000):
        content = os.urandom(size)
        blob = put(store, content)
        assert b"".join(store.read(blob.digest)) == content
        assert b"".join(store.read(blob.digest, 5, 50_000)) == content[5:50_000]
        assert list(store.digests()) == [blob.digest] and store.size(blob.digest) == size
        path = tmp_path / "stem"
        path.write_bytes(content)
        assert store.put_file(path) == blob and store.url(blob.digest, LINK) is None
        with pytest.raises(ConnectionResetError), store.writer() as writer:
            writer.write(content[::-1])
            raise ConnectionResetError
        store.delete(blob.digest)
        store.delete(blob.digest)
        assert list(store.digests()) == [] and files(tmp_path) == []
    assert store.sweep_uploads(0) == 0


@pytest.mark.long
@pytest.mark.usefixtures("azure")
def test_what_is_wrong_in_azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match=r"There is no bucket 'missing'.*: create it, or correct"):
        Store.open(read_settings(data=tmp_path, storage_url="az://missing")).check()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", base64.b64encode(64 * b"x").decode())
    with pytest.raises(
        StorageError, match=r"refuses the keys \(AuthorizationFailure\): set AZURE_STORAGE_ACCOUNT_NAME"
    ):
        Store.open(read_settings(data=tmp_path, storage_url="az://files")).check()


def test_google_is_asked_where_the_service_account_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "CHECK_PATIENCE_S", 0.2)
    account = tmp_path / "account.json"
    nobody = {"gcs_base_url": "http://127.0.0.1:9", "disable_oauth": True, "client_email": ""}
    account.write_text(json.dumps(nobody | {"private_key": "", "private_key_id": ""}))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(account))
    store = Store.open(read_settings(data=tmp_path / "data", storage_url="gs://files/stems"))
    assert store.url("ab" * 32, LINK) is None
    with pytest.raises(StoreUnreachable, match="gs://files/stems cannot be reached"):
        store.check()
    account.write_text("{")
    with pytest.raises(UsageError, match="STEMWRIGHT_STORAGE_URL cannot be used"):
        Store.open(read_settings(data=tmp_path / "data", storage_url="gs://files/stems"))
