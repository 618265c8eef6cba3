"""A separator in threads, in forked and spawned processes, under an event loop; and two runs in one folder."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

import stemwright
from stemwright.errors import StorageError
from stemwright.separation.options import Options
from stemwright.separation.separator import Separator
from stemwright.separation.working_files import WorkingFiles
from tests.separation.engines import LocalMasks

SONG = np.random.default_rng(1).uniform(-0.3, 0.3, (2, 30_000)).astype(np.float32)

IN_A_PROCESS = """
import multiprocessing, sys, warnings
import numpy as np
from stemwright import Separator

SONG = np.random.default_rng(1).uniform(-0.3, 0.3, (2, 30_000)).astype(np.float32)


def work(separator, answers):
    answers.put(separator.separate(SONG, 44_100, "two")["vocals"])


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Python warns of every fork of a process with threads
    separator = Separator("fast", threads=2)
    want = separator.separate(SONG, 44_100, "two")["vocals"]
    context = multiprocessing.get_context(sys.argv[1])
    answers = context.Queue()
    process = context.Process(target=work, args=(separator, answers))
    process.start()
    try:
        made = answers.get(timeout=240)
        process.join(240)
        print(process.exitcode, np.abs(made - want).max() < 1e-4)
    finally:
        process.kill()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", pytest.param("forkserver", marks=pytest.mark.long)])
def test_a_separator_works_in_another_process(tmp_path: Path, method: str) -> None:
    if sys.platform == "win32" and method != "spawn":
        pytest.skip("Windows can only spawn")
    script = tmp_path / "script.py"
    script.write_text(IN_A_PROCESS)
    done = subprocess.run(
        [sys.executable, str(script), method], capture_output=True, text=True, timeout=480, check=False
    )
    assert done.stdout.split() == ["0", "True"], done.stderr


FORKED_TORCH = """
import os, sys, warnings
warnings.simplefilter("ignore")
import torch
from stemwright.models.runtimes import pytorch

pytorch._set_threads(2)
signal = torch.randn(4, 64, 20_000)
layer = torch.nn.Conv1d(64, 64, 9)


def run():
    with torch.inference_mode():
        return float(layer(signal).sum() + torch.fft.rfft(signal).abs().sum())


run()
if (child := os.fork()) == 0:
    pytorch._set_threads(2)
    run()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_pytorch_does_not_wait_for_threads_that_stayed_with_the_parent() -> None:
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", FORKED_TORCH], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.stdout.split() == ["0"], done.stderr


def test_a_separator_can_be_pickled() -> None:
    separator = Separator.of_engine(LocalMasks(), threads=1)
    again = pickle.loads(pickle.dumps(separator))
    assert again.plan == "custom"
    np.testing.assert_array_equal(
        again.separate(SONG, 44_100, "two")["vocals"], separator.separate(SONG, 44_100, "two")["vocals"]
    )


def test_threads_share_a_separator(tmp_path: Path) -> None:
    separator = Separator("fast", threads=1)
    want = separator.separate(SONG, 44_100, "two")["vocals"]
    songs = [tmp_path / f"{place}.wav" for place in range(4)]
    for song in songs:
        soundfile.write(song, SONG.T, 44_100, "FLOAT")
    begin = threading.Barrier(4)

    def separate(song: Path) -> Path:
        begin.wait(240)
        return separator.separate_file(song, Options(out=tmp_path / "out", bit_depth=32)).stems[0].path

    with ThreadPoolExecutor(4) as pool:
        for vocals in pool.map(separate, songs):
            np.testing.assert_allclose(soundfile.read(vocals, dtype="float32")[0].T, want, atol=1e-6)


def test_threads_that_begin_at_once_load_a_model_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from stemwright.models import registry
    from stemwright.separation import engine_cache

    loads = []
    may_go_on = threading.Event()

    def load_engine(*given: object, **named: object) -> LocalMasks:
        loads.append(given)
        may_go_on.wait(240)
        return LocalMasks()

    monkeypatch.setattr(engine_cache, "load_engine", load_engine)
    cache = engine_cache.EngineCache("cpu", 1)
    with ThreadPoolExecutor(3) as pool:
        found = [pool.submit(cache.engine, registry.find(engine_cache.SCAN_MODEL)) for _ in range(3)]
        may_go_on.set()
        assert len({id(engine.result()) for engine in found}) == 1
    assert len(loads) == 1


def test_it_works_under_a_running_event_loop(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    soundfile.write(song, SONG.T, 44_100)
    separator = Separator.of_engine(LocalMasks(), threads=1)

    async def main() -> list[int]:
        at_once = [asyncio.to_thread(separator.separate, SONG, 44_100, "two") for _ in range(3)]
        here = separator.separate_file(song, Options(out=tmp_path / "out"))
        return [here.samples, *(stems["vocals"].shape[1] for stems in await asyncio.gather(*at_once))]

    assert asyncio.run(main()) == [30_000] * 4


def test_imports_in_many_threads_at_once_are_whole() -> None:
    code = (
        "import stemwright, threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(len(set(pool.map(lambda name: getattr(stemwright, name), stemwright.__all__ * 4))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.split() == [str(len(stemwright.__all__))]


def test_a_run_that_ends_takes_nothing_from_the_one_that_begins(tmp_path: Path) -> None:
    """The first lets go of the folder while the second waits at its door: what is deleted is the first one's alone."""
    folder = tmp_path / ".song.stemwright"
    begin, n_runs = threading.Barrier(2), 60
    lost: list[BaseException] = []

    def run() -> None:
        for _ in range(n_runs):
            begin.wait(240)
            try:
                work = WorkingFiles(folder, {"a": 1}, resume=True)
            except StorageError as error:
                if "Another run" not in str(error):
                    lost.append(error)
                continue
            try:
                work.save_facts("facts", {"b": 2})
                if work.load_facts("facts") != {"b": 2}:
                    lost.append(AssertionError("facts are gone"))
            except StorageError as error:
                lost.append(error)
            finally:
                work.remove()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def flock(*given: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    work = WorkingFiles(tmp_path / "work", {}, resume=False)
    work.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_half_deleted_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / ".song.stemwright.12-ab.removed" / "stems").mkdir(parents=True)
    (tmp_path / ".song.stemwright.1-2.stemwright").mkdir()  # of a song with an odd name
    WorkingFiles(tmp_path / ".song.stemwright", {}, resume=False).remove()
    assert [path.name for path in tmp_path.iterdir()] == [".song.stemwright.1-2.stemwright"]
