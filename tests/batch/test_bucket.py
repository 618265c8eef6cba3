"""Songs and stems in an object store: SeaweedFS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from stemwright.batch.bucket import BucketSource, BucketTarget
from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.errors import StorageError, UnreadableInputError
from stemwright.storage.bucket_upload import PART_BYTES
from tests.cli.conftest import COMMAND, one_error, run, write_song
from tests.seaweedfs import BUCKET, READER, SeaweedFs
from tests.waiting import PATIENCE_S, wait_until


def put(server: SeaweedFs, url: str, key: str, content: bytes) -> None:
    server.client().put_object(Bucket=BUCKET, Key=f"{url.partition(BUCKET + '/')[2]}/{key}", Body=content)


def keys(server: SeaweedFs, url: str) -> dict[str, int]:
    """Names below a place, and sizes."""
    prefix = url.partition(BUCKET + "/")[2] + "/"
    found = server.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {each["Key"].removeprefix(prefix): each["Size"] for each in found}


def test_songs_are_listed_with_their_version_and_fetched(bucket: str, seaweedfs: SeaweedFs, tmp_path: Path) -> None:
    for key in ("a.mp3", "rock/b #1 ü%20.mp3", "rock/.c.mp3", "cover.jpg"):
        put(seaweedfs, bucket, key, key.encode())
    source = BucketSource(bucket)
    before = {song.path: song.version for song in source.songs()}
    assert set(before) == {"a.mp3", "rock/b #1 ü%20.mp3"}
    song = source.fetch("rock/b #1 ü%20.mp3", tmp_path)
    assert (song.read_text(), song.suffix) == ("rock/b #1 ü%20.mp3", ".mp3")
    put(seaweedfs, bucket, "a.mp3", b"other")
    after = {song.path: song.version for song in source.songs()}
    assert after["a.mp3"] != before["a.mp3"]
    seaweedfs.client().delete_object(Bucket=BUCKET, Key=f"{bucket.partition(BUCKET + '/')[2]}/a.mp3")
    with pytest.raises(UnreadableInputError, match="no longer in s3://"):
        source.fetch("a.mp3", tmp_path)
    assert list(BucketSource(f"{bucket}/none").songs()) == []


def test_stems_have_their_names_only_when_all_are_whole(bucket: str, seaweedfs: SeaweedFs, tmp_path: Path) -> None:
    (tmp_path / ".stemwright.json").write_text("{}")
    (tmp_path / "vocals.wav").write_bytes(b"v" * (PART_BYTES * 2 + 5))  # in parts
    (tmp_path / "drums.wav").write_bytes(b"d")
    target = BucketTarget(bucket)
    target.check()
    assert keys(seaweedfs, bucket) == {}
    target.stage(tmp_path, "rock/a.mp3").discard()
    staged = target.stage(tmp_path, "rock/a.mp3")
    assert keys(seaweedfs, bucket) == {}
    for _ in range(2):
        staged.publish()
    staged.discard()
    assert keys(seaweedfs, bucket) == {"rock/a.mp3/drums.wav": 1, "rock/a.mp3/vocals.wav": PART_BYTES * 2 + 5}
    prefix = bucket.partition(BUCKET + "/")[2]
    assert "Uploads" not in seaweedfs.client().list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
    target.write_lines("manifest.jsonl", ["a", "ü"])
    assert keys(seaweedfs, bucket)["manifest.jsonl"] == 5


def test_keys_that_may_not_write_and_a_missing_bucket_are_one_sentence(
    bucket: str, seaweedfs: SeaweedFs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match=r"There is no bucket 'nothere' .*: create it, or correct SRC\."):
        list(BucketSource("s3://nothere/a").songs())
    for name, value in seaweedfs.environment(READER).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match="The keys may not write"):
        BucketTarget(bucket).check()
    (tmp_path / "vocals.wav").write_bytes(b"v")
    staged = BucketTarget(bucket).stage(tmp_path, "a.mp3")
    with pytest.raises(StorageError, match="The keys may not write"):
        staged.publish()
    staged.discard()
    assert keys(seaweedfs, bucket) == {}


def test_a_library_in_a_bucket_becomes_stems_in_a_bucket(
    bucket: str, seaweedfs: SeaweedFs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    put(seaweedfs, bucket, "music/rock/a.wav", write_song(tmp_path / "a.wav", 0.3).read_bytes())
    one_error(run("batch", f"{bucket}/music", f"{bucket}/stems"), words=["STEMWRIGHT_DATABASE_URL", "sqlite:///"])
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", f"sqlite:///{tmp_path / 'batch.db'}")
    done = run("batch", f"{bucket}/music", f"{bucket}/stems")
    assert done.code == 0, done.err
    found = keys(seaweedfs, f"{bucket}/stems")
    assert set(found) == {*("failures.jsonl", "manifest.jsonl", "rock/a.wav/instrumental.wav", "rock/a.wav/vocals.wav")}
    name = f"{bucket.partition(BUCKET + '/')[2]}/stems/manifest.jsonl"
    (line,) = seaweedfs.client().get_object(Bucket=BUCKET, Key=name)["Body"].read().splitlines()
    assert {stem["path"]: stem["bytes"] for stem in json.loads(line)["stems"]}.items() <= found.items()
    assert [path for path in (tmp_path / "cache").rglob("*") if path.suffix == ".wav"] == []


@pytest.mark.long
def test_two_hosts_share_a_bucket_through_postgresql(
    bucket: str, seaweedfs: SeaweedFs, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", postgresql_url)
    monkeypatch.chdir(tmp_path)
    names = [f"{number:02d}" for number in range(10)]
    for name in names:
        write_song(f"{name}.wav", 8, rate_hz=22_050, channels=1)
        put(seaweedfs, bucket, f"music/{name}.wav", Path(f"{name}.wav").read_bytes())
    command = [*COMMAND, "batch", f"{bucket}/music", f"{bucket}/stems"]
    one, other = (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) for _ in range(2)
    )
    database = Database(postgresql_url)

    def holders() -> int:
        with database.read() as session:
            return len({row.leased_by for row in session.query(tables.BatchSong).filter_by(state="running")})

    try:
        wait_until(lambda: holders() == 2, "both have a song")
    finally:
        database.close()
    os.killpg(one.pid, signal.SIGKILL)  # as when its host dies: its lease runs out
    one.communicate(timeout=PATIENCE_S)
    _, said = other.communicate(timeout=PATIENCE_S)
    assert other.returncode == 0, said
    manifest = (
        seaweedfs.client()
        .get_object(Bucket=BUCKET, Key=f"{bucket.partition(BUCKET + '/')[2]}/stems/manifest.jsonl")["Body"]
        .read()
    )
    assert [json.loads(line)["path"] for line in manifest.splitlines()] == [f"{name}.wav" for name in names]
    stems = [key for key in keys(seaweedfs, f"{bucket}/stems") if key.endswith((".wav", ".flac"))]
    assert len(stems) == 2 * len(names)
