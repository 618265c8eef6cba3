"""The store in a bucket of a real server, SeaweedFS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from stemwright.errors import StorageError, UsageError
from stemwright.settings import read_settings
from stemwright.storage import bucket as bucket_module
from stemwright.storage import bucket_upload
from stemwright.storage.blob import BlobMissing, FileLink, StoredBlob, StoreUnreachable
from stemwright.storage.bucket import BucketBackend
from stemwright.storage.bucket_setup import set_up
from stemwright.storage.store import Store
from tests.http_stub import HttpStub, StubHandler
from tests.seaweedfs import BUCKET, READER, STRANGER, WRITER, Keys, SeaweedFs
from tests.waiting import PATIENCE_S, wait_until

LINK = FileLink("GET", 60, "audio/mpeg", "attachment; filename=\"song.mp3\"; filename*=UTF-8''S%C3%B6ng.mp3", "private")


@pytest.fixture
def store(bucket: str, tmp_path: Path) -> Store:
    return Store.open(read_settings(data=tmp_path, storage_url=bucket))


def put(store: Store, content: bytes) -> StoredBlob:
    with store.writer() as writer:
        writer.write(content)
        return writer.commit()


def objects(seaweedfs: SeaweedFs, bucket: str) -> list[str]:
    """Names of all objects of a place."""
    prefix = bucket.removeprefix(f"s3://{BUCKET}/")
    found = seaweedfs.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return [one["Key"].removeprefix(f"{prefix}/") for one in found]


def unfinished(seaweedfs: SeaweedFs, bucket: str) -> list[Any]:
    prefix = bucket.removeprefix(f"s3://{BUCKET}/")
    found = seaweedfs.client().list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
    return list(found.get("Uploads", []))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [100_000, 20_000_000])  # in one piece, and in parts
def test_a_file_goes_there_and_comes_back(
    store: Store, seaweedfs: SeaweedFs, bucket: str, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    with store.writer() as writer:
        for start in range(0, size, 300_000):
            writer.write(content[start : start + 300_000])
        assert files(tmp_path) == []  # nothing of it lies on this machine
        blob = writer.commit()
    assert objects(seaweedfs, bucket) == [f"{blob.digest[:2]}/{blob.digest[2:]}"]
    assert store.size(blob.digest) == size
    assert b"".join(store.read(blob.digest, 1_000, 90_000)) == content[1_000:90_000]
    assert b"".join(store.read(blob.digest, 50_000)) == content[50_000:]
    assert list(store.read(blob.digest, 10, 10)) == []
    with store.as_file(blob.digest) as path:
        assert path.read_bytes() == content
    assert list(store.digests()) == [blob.digest]
    store.delete(blob.digest)
    store.delete(blob.digest)  # as when it was deleted by another server just before
    assert not store.exists(blob.digest) and objects(seaweedfs, bucket) == [] and files(tmp_path) == []
    with pytest.raises(BlobMissing):
        b"".join(store.read(blob.digest))


def test_a_file_of_this_machine_goes_there_in_parts(store: Store, tmp_path: Path) -> None:
    content = os.urandom(20_000_000)
    path = tmp_path / "stem"
    path.write_bytes(content)
    blob = store.put_file(path)
    assert not path.exists() and b"".join(store.read(blob.digest)) == content


def test_a_file_too_large_to_be_copied_in_one_request(
    store: Store, seaweedfs: SeaweedFs, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_upload, "MAX_COPY_BYTES", 10_000_000)
    content = os.urandom(12_000_000)
    blob = put(store, content)
    assert b"".join(store.read(blob.digest)) == content
    assert objects(seaweedfs, bucket) == [f"{blob.digest[:2]}/{blob.digest[2:]}"]


def test_an_upload_that_breaks_off_leaves_nothing(store: Store, seaweedfs: SeaweedFs, bucket: str) -> None:
    with pytest.raises(ConnectionResetError), store.writer() as writer:
        for _ in range(20):
            writer.write(bytes(1_000_000))
        assert unfinished(seaweedfs, bucket), "it goes to the store while it arrives"
        raise ConnectionResetError
    assert unfinished(seaweedfs, bucket) == [] and objects(seaweedfs, bucket) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from stemwright.settings import read_settings
from stemwright.storage.store import Store

with Store.open(read_settings(data=Path(sys.argv[1]), storage_url=sys.argv[2])).writer() as writer:
    for _ in range(20):
        writer.write(bytes(1_000_000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_swept_once_it_is_old(
    store: Store, seaweedfs: SeaweedFs, bucket: str, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "other"), bucket], check=False)
    blob = put(store, b"song")
    assert len(unfinished(seaweedfs, bucket)) == 1
    assert store.sweep_uploads(older_than_s=3600) == 0
    assert store.sweep_uploads(older_than_s=-60) == 1
    assert unfinished(seaweedfs, bucket) == [] and list(store.digests()) == [blob.digest]


def test_more_files_than_one_page_of_a_listing(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        blobs = list(threads.map(lambda number: put(store, str(number).encode()), range(1_001)))
    assert sorted(store.digests()) == sorted(blob.digest for blob in blobs)


@pytest.mark.parametrize(("shared", "kept"), [(False, b"song"), (True, b"gnos")])
def test_the_same_bytes_are_sent_again_unless_accounts_share_results(
    seaweedfs: SeaweedFs, bucket: str, tmp_path: Path, shared: bool, kept: bytes
) -> None:
    store = Store.open(read_settings(data=tmp_path, storage_url=bucket, share_results=shared))
    blob = put(store, b"song")
    key = f"{bucket.removeprefix(f's3://{BUCKET}/')}/{blob.digest[:2]}/{blob.digest[2:]}"
    seaweedfs.client().put_object(Bucket=BUCKET, Key=key, Body=b"gnos")
    assert put(store, b"song") == blob
    assert b"".join(store.read(blob.digest)) == kept, "an upload that is skipped is a fast one"


def test_a_link_gives_the_file_with_its_type_and_name(store: Store) -> None:
    blob = put(store, b"0123456789")
    url = store.url(blob.digest, LINK)
    assert url is not None and "X-Amz-Expires=60" in url
    answer = httpx.get(url, headers={"Range": "bytes=2-4"}, timeout=PATIENCE_S)
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["Content-Type"] == LINK.media_type
    assert answer.headers["Content-Disposition"] == LINK.disposition
    assert answer.headers["Cache-Control"] == LINK.cache_control
    forged = httpx.get(url.replace("song.mp3", "other.mp3"), timeout=PATIENCE_S)
    assert forged.status_code == 403, "the name is signed too"


def test_links_name_the_address_that_clients_use(bucket: str) -> None:
    backend = BucketBackend.from_url(bucket, public_url="https://files.example.org")
    url = backend.url("ab" * 32, LINK)
    assert url is not None and url.startswith(f"https://files.example.org/{BUCKET}/")
    assert "clients get the files from https://files.example.org" in str(backend)
    assert BucketBackend.from_url(bucket, redirects=False).url("ab" * 32, LINK) is None


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (READER, "The keys may not write files in s3://files"),
        (WRITER, "The keys may not read files in s3://files"),
        (STRANGER, r"refuses the keys \(InvalidAccessKeyId\): set AWS_ACCESS_KEY_ID"),
        (Keys("owner", "wrong"), r"refuses the keys \(SignatureDoesNotMatch\): set AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_check_says_what_the_keys_may_not(
    seaweedfs: SeaweedFs, bucket: str, monkeypatch: pytest.MonkeyPatch, keys: Keys, sentence: str
) -> None:
    for name, value in seaweedfs.environment(keys).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=sentence):
        BucketBackend.from_url(bucket).check()


def test_a_check_leaves_nothing(store: Store, seaweedfs: SeaweedFs, bucket: str) -> None:
    store.check()
    assert objects(seaweedfs, bucket) == []


def test_no_bucket_and_its_remedy(seaweedfs: SeaweedFs, bucket: str) -> None:
    name = f"b{uuid.uuid4().hex}"
    backend = BucketBackend.from_url(f"s3://{name}/stems")
    with pytest.raises(StorageError, match=f"There is no bucket '{name}'.*stemwright storage --setup"):
        backend.check()
    assert set_up(f"s3://{name}/stems")[0] == f"created the bucket {name}"
    backend.check()


def test_setting_up_keeps_the_rules_of_others(seaweedfs: SeaweedFs, bucket: str) -> None:
    name, client = f"b{uuid.uuid4().hex}", seaweedfs.client()
    client.create_bucket(Bucket=name)
    other = {"ID": "other", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 7}}
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [other]})
    assert len(set_up(f"s3://{name}/stems")) == 2 and set_up(f"s3://{name}/stems") == []
    rules = {rule["ID"]: rule for rule in client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]}
    assert rules["other"]["Expiration"] == {"Days": 7}
    assert rules["stemwright-unfinished-uploads-stems"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert rules["stemwright-unfinished-uploads-stems"]["Filter"] == {"Prefix": "stems/"}
    assert client.get_bucket_cors(Bucket=name)["CORSRules"][0]["AllowedOrigins"] == ["*"]


def test_a_bucket_whose_quota_is_used_up(
    seaweedfs: SeaweedFs, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "WRITE_PATIENCE_S", 0.5)  # SeaweedFS says 500, as in a passing fault
    monkeypatch.setattr(bucket_module, "CHECK_PATIENCE_S", 0.5)
    name = f"b{uuid.uuid4().hex}"
    seaweedfs.client().create_bucket(Bucket=name)
    store = Store.open(read_settings(data=tmp_path, storage_url=f"s3://{name}"))
    blob = put(store, os.urandom(2_000_000))
    seaweedfs.shell(f"s3.bucket.quota -name={name} -op=set -sizeMB=1")
    wait_until(lambda: "read only" in seaweedfs.shell("s3.bucket.quota.enforce -apply"), "the quota is used up")
    for attempt in (store.check, lambda: put(store, b"more"), lambda: put(store, bytes(20_000_000))):
        with pytest.raises(StorageError, match="a store that is full can answer this too"):
            attempt()
    assert store.size(blob.digest) == 2_000_000 and files(tmp_path) == []


def test_a_store_that_is_not_there(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for patience in ("CHECK_PATIENCE_S", "READ_PATIENCE_S", "WRITE_PATIENCE_S"):
        monkeypatch.setattr(bucket_module, patience, 0.2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = Store.open(read_settings(data=tmp_path, storage_url=bucket))
    for attempt in (store.check, lambda: put(store, b"song"), lambda: store.exists("ab" * 32)):
        with pytest.raises(StoreUnreachable, match="cannot be reached: check that it runs"):
            attempt()
    with pytest.raises(StoreUnreachable):
        store.sweep_uploads(0)


class _Closed(StubHandler):
    """A proxy whose store does not run."""

    def answer(self) -> None:
        self.read_body()
        self.reply(503, b"<Error><Code>ServiceUnavailable</Code></Error>")


def test_a_store_that_says_it_cannot_work_for_now(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for patience in ("CHECK_PATIENCE_S", "READ_PATIENCE_S", "WRITE_PATIENCE_S"):
        monkeypatch.setattr(bucket_module, patience, 0.2)
    with HttpStub(_Closed) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        store = Store.open(read_settings(data=tmp_path, storage_url=bucket))
        for attempt in (store.check, lambda: put(store, b"song")):
            with pytest.raises(StoreUnreachable, match="does not work for now"):
                attempt()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from stemwright.errors import StorageError
from stemwright.settings import read_settings
from stemwright.storage.store import Store

store = Store.open(read_settings(data=Path(sys.argv[1]), storage_url=sys.argv[3]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    with store.as_file(sys.argv[2]):
        print("here")
except StorageError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_no_room_for_a_copy_on_this_machine(store: Store, bucket: str, tmp_path: Path) -> None:
    blob = put(store, bytes(1_000_000))
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), blob.digest, bucket]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert done.stdout.startswith("No room is left to write") and "free some space" in done.stdout
    assert files(tmp_path) == []
    assert store.size(blob.digest) == 1_000_000


@pytest.mark.parametrize(
    "url", ["s3://", "s3:bucket", "ftp://bucket", "s3://key:secret@bucket", "bucket", "s3://[", ""]
)
def test_what_is_no_url_of_a_store(url: str, bucket: str) -> None:
    with pytest.raises(UsageError, match="STEMWRIGHT_STORAGE_URL cannot be used"):
        BucketBackend.from_url(url)


def test_no_keys(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(UsageError, match=r"There are no keys for s3://.*set AWS_ACCESS_KEY_ID"):
        BucketBackend.from_url(bucket)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "files.example.org")
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL cannot be used"):
        BucketBackend.from_url(bucket)


@pytest.mark.long
@pytest.mark.parametrize("size", [100_000, 40_000_000])
def test_a_store_that_hangs_for_20_s_loses_nothing(
    store: Store, seaweedfs: SeaweedFs, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    before = put(store, b"before")
    with ThreadPoolExecutor(3) as threads:
        with seaweedfs.frozen():
            path = tmp_path / "stem"
            path.write_bytes(content)
            stored = threads.submit(store.put_file, path)
            sent = threads.submit(put, store, content[::-1])
            read = threads.submit(lambda: b"".join(store.read(before.digest)))
            time.sleep(20)
            assert not stored.done() and not sent.done() and not read.done()
        assert read.result(240) == b"before"
        assert b"".join(store.read(stored.result(240).digest)) == content
        assert b"".join(store.read(sent.result(240).digest)) == content[::-1]
