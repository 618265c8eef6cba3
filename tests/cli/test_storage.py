"""``stemwright storage``, and what ``serve`` and ``doctor`` say of an object store."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, one_error, run
from tests.seaweedfs import READER, SeaweedFs
from tests.serving import Serving
from tests.waiting import PATIENCE_S, wait_until


def test_a_folder_needs_nothing(data: Path) -> None:
    run("keys", "create", "website")
    (data / "files").mkdir()
    assert run("storage").out.startswith(f"Files: {data / 'files'}. They can be written")
    one_error(run("storage", "--setup"), words=["needs no set-up", "STEMWRIGHT_STORAGE_URL"])


def test_a_bucket_is_set_up_once(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"b{uuid.uuid4().hex}"
    monkeypatch.setenv("STEMWRIGHT_STORAGE_URL", f"s3://{name}/stems")
    missing = run("storage")
    assert missing.code == 5
    one_error(missing, words=[name, "stemwright storage --setup"])
    assert json.loads(run("storage", "--setup", "--json").out)["setup"][0] == f"created the bucket {name}"
    assert run("storage", "--setup").out.splitlines() == [
        line for line in run("storage").out.splitlines() if line.startswith(f"Files: s3://{name}/stems at http://")
    ]


def test_a_server_does_not_start_without_its_store(
    seaweedfs: SeaweedFs, bucket: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_STORAGE_URL", bucket)
    for name, value in seaweedfs.environment(READER).items():
        monkeypatch.setenv(name, value)
    done = subprocess.run(
        [*COMMAND, "serve", "--port", "0", "--workers", "0", "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 5, done.stderr
    assert "error: The keys may not write files" in done.stderr and "AWS_ACCESS_KEY_ID" in done.stderr
    facts = json.loads(run("doctor", "--plan", "best", "--json").out)
    assert facts["storage"] == bucket and "may not write" in facts["storage_problem"]


def test_doctor_says_where_the_files_are(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_STORAGE_URL", bucket)
    facts = json.loads(run("doctor", "--plan", "best", "--json").out)
    assert facts["storage"].startswith(f"{bucket} at http://127.0.0.1:") and facts["storage_problem"] is None


def test_a_store_that_browsers_would_refuse_is_told(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_STORAGE_URL", bucket)
    data = tmp_path / "served"
    with Serving(data, "--workers", "0", "--public-url", "https://stems.example.org") as server:
        server.read_key()
        wait_until(lambda: "Browsers will refuse the files" in server.log, "the warning")
