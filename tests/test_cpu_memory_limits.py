"""Limits of control groups, laid out as Linux does, and those of this machine where they can be set."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemwright import cpu_memory_limits


class Machine:
    """``/proc/self`` and mounts of control groups, under a folder."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.proc.mkdir()
        self._root = root
        self._mounts: list[str] = [
            "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
            "23 1 0:20 / /proc rw - proc proc rw",
        ]
        self._groups: list[str] = []
        self._write()

    def mount(self, where: str, *, root: str = "/", controllers: str = "") -> Path:
        """Mounts version 1 with ``controllers``, else version 2."""
        folder = self._root / where
        folder.mkdir(parents=True, exist_ok=True)
        shown = str(folder).replace(" ", "\\040")
        kind = f"cgroup cgroup rw,{controllers}" if controllers else "cgroup2 cgroup2 rw,nsdelegate"
        self._mounts.append(f"{30 + len(self._mounts)} 25 0:26 {root} {shown} rw,nosuid shared:9 - {kind}")
        self._write()
        return folder

    def enter(self, line: str) -> None:
        """This process is in the group of a line of ``/proc/self/cgroup``."""
        self._groups.append(line)
        self._write()

    def _write(self) -> None:
        (self.proc / "mountinfo").write_text("\n".join(self._mounts) + "\n")
        (self.proc / "cgroup").write_text("\n".join(self._groups) + "\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def put(folder: Path, **values: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name.replace("__", ".")).write_text(value + "\n")


def test_a_container_of_version_2_sees_its_own_group_as_root(machine: Machine) -> None:
    put(machine.mount("sys/fs/cgroup"), cpu__max="150000 100000", memory__max="2000000000", memory__current="500000000")
    machine.enter("0::/")
    assert cpu_memory_limits.cpu_limit(machine.proc) == 1.5
    assert cpu_memory_limits.memory_limit(machine.proc) == 2_000_000_000
    assert cpu_memory_limits.free_memory_bytes(machine.proc) <= 1_500_000_000


def test_the_tightest_of_nested_groups_counts(machine: Machine) -> None:
    top = machine.mount("sys/fs/cgroup")
    put(top / "a", cpu__max="100000 100000", memory__max="max")
    put(top / "a/b", cpu__max="max 100000", memory__max="3000000000", memory__high="1000000000")
    put(top / "a/b/c", cpu__max="400000 100000", memory__max="4000000000")
    put(top / "other", cpu__max="1000 100000", memory__max="1")
    machine.enter("0::/a/b/c")
    assert cpu_memory_limits.cpu_limit(machine.proc) == 1.0
    assert cpu_memory_limits.memory_limit(machine.proc) == 1_000_000_000


def test_version_1_has_a_hierarchy_a_controller(machine: Machine) -> None:
    cpu = machine.mount("cgroup/cpu,cpuacct", controllers="cpu,cpuacct")
    memory = machine.mount("cgroup/memory", controllers="memory")
    machine.mount("cgroup/unified")
    put(cpu, **{"cpu__cfs_quota_us": "-1", "cpu__cfs_period_us": "100000"})
    put(cpu / "docker/x", **{"cpu__cfs_quota_us": "250000", "cpu__cfs_period_us": "100000"})
    put(memory, memory__limit_in_bytes="9223372036854771712")
    put(
        memory / "docker/x",
        memory__limit_in_bytes="1000000000",
        memory__usage_in_bytes="900000000",
        memory__stat="cache 1\ninactive_file 5\ntotal_inactive_file 700000000",
    )
    for line in ("4:memory:/docker/x", "2:cpuacct,cpu:/docker/x", "1:name=systemd:/", "0::/"):
        machine.enter(line)
    assert cpu_memory_limits.cpu_limit(machine.proc) == 2.5
    assert cpu_memory_limits.memory_limit(machine.proc) == 1_000_000_000
    assert cpu_memory_limits.free_memory_bytes(machine.proc) == 800_000_000


def test_a_container_that_sees_the_path_of_its_host(machine: Machine) -> None:
    put(machine.mount("sys/fs/cgroup", root="/docker/abc"), cpu__max="50000 100000")
    machine.enter("0::/docker/abc")
    assert cpu_memory_limits.cpu_limit(machine.proc) == 0.5
    assert cpu_memory_limits.cores(machine.proc) == 1


@pytest.mark.parametrize("path", ["/../..", "/elsewhere/entirely", "/docker"])
def test_what_lies_outside_of_the_mount_cannot_be_seen(machine: Machine, path: str) -> None:
    put(machine.mount("sys/fs/cgroup", root="/docker/abc"), cpu__max="50000 100000")
    machine.enter(f"0::{path}")
    assert cpu_memory_limits.cpu_limit(machine.proc) == 0.5


def test_a_mount_with_a_space_in_its_name(machine: Machine) -> None:
    put(machine.mount("my control_groups/cgroup"), cpu__max="50000 100000")
    machine.enter("0::/")
    assert cpu_memory_limits.cpu_limit(machine.proc) == 0.5


@pytest.mark.parametrize("text", ["", "max 100000", "rubbish", "-1 100000", "100000 0", "1 x", "\x00"])
def test_what_cannot_be_read_limits_nothing(machine: Machine, text: str) -> None:
    put(machine.mount("sys/fs/cgroup"), cpu__max=text, memory__max=text, memory__current=text)
    machine.enter("0::/")
    machine.enter("rubbish")
    assert cpu_memory_limits.memory_limit(machine.proc) is None
    assert cpu_memory_limits.cpu_limit(machine.proc) is None
    assert cpu_memory_limits.cores(machine.proc) == cpu_memory_limits.cores(machine.proc / "nowhere") >= 1


def test_no_linux_no_limit(tmp_path: Path) -> None:
    assert cpu_memory_limits.cpu_limit(tmp_path) is None
    assert cpu_memory_limits.memory_limit(tmp_path) is None
    assert cpu_memory_limits.memory_bytes(tmp_path) > cpu_memory_limits.free_memory_bytes(tmp_path) > 0


def test_quota_and_affinity_both_count(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    put(machine.mount("sys/fs/cgroup"), cpu__max="350000 100000")
    machine.enter("0::/")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert cpu_memory_limits.cores(machine.proc) == 4
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 7}, raising=False)
    assert cpu_memory_limits.cores(machine.proc) == 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_threads_follow_the_affinity_of_the_process() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from stemwright import Separator\n"
        "from tests.separation.engines import LocalMasks\n"
        "print(Separator.of_engine(LocalMasks())._threads)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert done.stdout.split() == ["1"]


def test_what_the_user_said_of_blas_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in cpu_memory_limits.BLAS_VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    cpu_memory_limits.limit_blas(2)
    assert (os.environ["OPENBLAS_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) == ("7", "2")


def test_workers_share_the_memory_of_their_group() -> None:
    assert cpu_memory_limits.memory_per_worker(6e9, 2, None) == 6e9
    assert cpu_memory_limits.memory_per_worker(6e9, 2, 4_000_000_000) == pytest.approx(0.85 * 2e9)
    assert cpu_memory_limits.memory_per_worker(6e9, 2, 10**12) == 6e9


IN_A_GROUP = """
import os, sys
from pathlib import Path
from stemwright import cpu_memory_limits
from stemwright.cpu_memory_limits import cores
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
print(cores())
"""


@pytest.fixture
def half_a_processor() -> Iterator[Path]:
    """A real group of half a processor: needs root, and version 1 or a version 2 that hands processors on."""
    for top, values in [
        (Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}),
        (Path("/sys/fs/cgroup"), {"cpu.max": "50000 100000"}),
    ]:
        group = top / f"stemwright-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if all((group / name).exists() for name in values):
                for name, value in values.items():
                    (group / name).write_text(value)
                yield group
                return
        finally:
            group.rmdir()
    pytest.skip("no control group can be made here")


def test_a_real_group_of_half_a_processor_is_one_core(half_a_processor: Path) -> None:
    command = [sys.executable, "-c", IN_A_GROUP, str(half_a_processor)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]


@pytest.mark.parametrize(
    ("workers", "n_cores", "threads"),
    [(1, 1, 1), (1, 2, 1), (1, 8, 7), (2, 8, 3), (3, 8, 2), (8, 8, 1), (20, 8, 1), (0, 8, 7)],
)
def test_workers_share_the_cores_and_leave_one_to_the_server(workers: int, n_cores: int, threads: int) -> None:
    found = cpu_memory_limits.threads_per_worker(workers, n_cores)
    assert found == threads
    assert n_cores == 1 or workers >= n_cores or workers * found < n_cores
