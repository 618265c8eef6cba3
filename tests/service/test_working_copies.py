"""A task that moves from one machine to another: two data folders that share a database and stored files alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.database import tables
from stemwright.jobs.handler import TaskInterrupted
from stemwright.jobs.queue import Lease
from stemwright.models.runtimes.onnx import OnnxMaskEngine
from stemwright.service.separation_handler import SeparationHandler
from stemwright.service.service import Service
from stemwright.settings import read_settings
from tests.service.stub_context import StubContext
from tests.service.test_separation_handler import Bench, song

SECONDS = 40.0
"""Six chunks of the network in the wheel."""

Machine = Callable[[str], Bench]


@pytest.fixture
def machine(tmp_path: Path, postgresql_url: str) -> Iterator[Machine]:
    services: list[Service] = []
    files = tmp_path / "files"
    files.mkdir()

    def machine(name: str) -> Bench:
        data = tmp_path / name
        data.mkdir()
        (data / "files").symlink_to(files)
        service = Service.open(
            read_settings(data=data, database_url=postgresql_url, rate_limit="0", copy_work_s=0.0, lease_s=60)
        )
        services.append(service)
        caller = service.keys.authenticate(service.keys.create(name).key)
        return Bench(service, caller, SeparationHandler(service))

    yield machine
    for service in services:
        service.close()


def claimed(bench: Bench) -> Lease:
    lease = bench.service.queue.claim(f"{bench.service.settings.data.name}/0", 60)
    assert lease is not None
    return lease


def parts(bench: Bench) -> int:
    with bench.service.database.read() as session:
        return session.query(tables.WorkingPart).count()


class Chunks:
    """Counts the chunks that the network is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n = 0
        masks = OnnxMaskEngine.masks

        def counting(engine: OnnxMaskEngine, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
            self.n += 1
            return masks(engine, spectrum)

        monkeypatch.setattr(OnnxMaskEngine, "masks", counting)


def test_another_machine_goes_on_from_the_store_with_the_same_bytes(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = song(tmp_path / "song.wav", SECONDS)
    first, second = machine("first"), machine("second")
    chunks = Chunks(monkeypatch)
    calm = second.submit(track_id=second.track(content))
    second.handler.run(claimed(second), StubContext())
    in_all, chunks.n = chunks.n, 0
    assert in_all >= 4 and parts(second) == 0

    task = first.submit(track_id=first.track(content))
    lease = claimed(first)
    with pytest.raises(TaskInterrupted):
        first.handler.run(lease, StubContext(stops_after=6))
    done = chunks.n
    assert 0 < done < in_all and parts(first) > 0
    first.service.queue.release(lease)
    second.handler.run(claimed(second), StubContext())
    assert chunks.n < in_all + done  # the second did not begin anew
    assert second.task(task).state == "succeeded", second.task(task).error_message
    assert second.stems(task) == second.stems(calm)
    assert parts(second) == 0


def test_a_late_worker_does_not_touch_the_copy(tmp_path: Path, machine: Machine) -> None:
    first, second = machine("first"), machine("second")
    first.submit(track_id=first.track(song(tmp_path / "song.wav", SECONDS)))
    late = claimed(first)
    first.service.queue.release(late)
    claimed(second)
    assert not first.service.working_copies.add(late, [], replace=True)


def test_a_copy_with_a_part_that_is_gone_is_left(tmp_path: Path, machine: Machine) -> None:
    first, second = machine("first"), machine("second")
    task = first.submit(track_id=first.track(song(tmp_path / "song.wav", SECONDS)))
    lease = claimed(first)
    with pytest.raises(TaskInterrupted):
        first.handler.run(lease, StubContext(stops_after=4))
    first.service.queue.release(lease)
    for part in first.service.working_copies.parts(task.id):
        first.service.store.delete(part.blob)
    second.handler.run(claimed(second), StubContext())
    assert second.task(task).state == "succeeded"


def test_a_machine_that_has_come_further_itself_replaces_the_copy(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = machine("first")
    task = first.submit(track_id=first.track(song(tmp_path / "song.wav", SECONDS)))
    for stops_after in (3, 4):
        lease = claimed(first)
        with pytest.raises(TaskInterrupted):
            first.handler.run(lease, StubContext(stops_after=stops_after))
        first.service.queue.release(lease)
    sizes: dict[str, int] = {}
    for part in first.service.working_copies.parts(task.id):
        assert part.start == sizes.get(part.path, 0)  # whole, without gaps
        sizes[part.path] = part.start + part.size_bytes
    assert sizes
    first.handler.run(claimed(first), StubContext())
    assert first.task(task).state == "succeeded" and parts(first) == 0
