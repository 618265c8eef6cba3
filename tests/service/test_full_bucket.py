"""A task whose stems find no room in the object store: it fails with its credits given back, and nothing else is lost."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from stemwright.service.separation_handler import SeparationHandler
from stemwright.service.service import Service
from stemwright.settings import read_settings
from stemwright.storage import bucket as bucket_module
from tests.seaweedfs import SeaweedFs
from tests.service.test_separation_handler import Bench, song
from tests.waiting import wait_until


@pytest.mark.long
def test_a_bucket_without_room(
    seaweedfs: SeaweedFs, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "WRITE_PATIENCE_S", 20.0)  # SeaweedFS says 500, as in a passing fault
    name = f"b{uuid.uuid4().hex}"
    seaweedfs.client().create_bucket(Bucket=name)
    service = Service.open(read_settings(data=tmp_path / "data", storage_url=f"s3://{name}", rate_limit="0"))
    key = service.keys.create("alice", credits_hundredths=10_000)
    bench = Bench(service, service.keys.authenticate(key.key), SeparationHandler(service))
    try:
        track = bench.track(song(tmp_path / "song.wav", 30))
        before = bench.balance()
        seaweedfs.shell(f"s3.bucket.quota -name={name} -op=set -sizeMB=1")
        wait_until(lambda: "read only" in seaweedfs.shell("s3.bucket.quota.enforce -apply"), "the quota is used up")
        task = bench.submit(track_id=track)
        bench.work()
        failed = bench.task(task)
        assert (failed.state, bench.balance()) == ("failed", before)
        assert failed.error_message == "The server has no room for this song at the moment; try again later."
        seaweedfs.shell(f"s3.bucket.quota -name={name} -op=remove\ns3.bucket.quota.enforce -apply")
        again = bench.submit(track_id=track)
        bench.work()
        assert bench.task(again).state == "succeeded", "the song is still there"
        assert set(bench.stems(again)) == {"vocals", "instrumental"}
        assert not bench.folder(task).exists() and not bench.folder(again).exists()
    finally:
        service.close()
