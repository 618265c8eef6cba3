from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemwright.errors import StorageError
from stemwright.separation.working_files import RowFile, StepFiles, WorkingFiles


def open_work(folder: Path, key: dict[str, object], *, resume: bool) -> WorkingFiles:
    return WorkingFiles(folder, key, resume=resume)


def open_step(work: WorkingFiles) -> StepFiles:
    return work.step("1 vocals", (2, 3), np.float16)


def add(step: StepFiles, value: float, *, is_last: bool = False) -> None:
    step.add(np.full((4, 2, 3), value), np.full((1, 4), value), is_last=is_last)


def test_rows_come_back_as_they_were_appended(tmp_path: Path) -> None:
    file = RowFile(tmp_path / "rows", (2,), np.float32)
    file.append(np.arange(10).reshape(5, 2))
    np.testing.assert_array_equal(file.read(1, 3), [[2, 3], [4, 5]])
    assert len(file.read(4, 9)) == 1
    assert len(file.read(9, 12)) == 0
    file.close()


def test_a_resumed_run_finds_whole_chunks_and_drops_torn_rows(tmp_path: Path) -> None:
    with open_work(tmp_path / "w", {"a": 1}, resume=False) as work:
        step = open_step(work)
        add(step, 1)
        step.outputs.append(np.zeros((2, 2, 3)))  # as if killed before the state was written
    with open_work(tmp_path / "w", {"a": 1}, resume=True) as work:
        step = open_step(work)
        assert (step.state.n_chunks, step.outputs.n_rows, step.levels.n_rows) == (1, 4, 1)
        add(step, 2, is_last=True)
        np.testing.assert_array_equal(step.outputs.read(0, 9)[:, 0, 0], [1, 1, 1, 1, 2, 2, 2, 2])
        assert step.state.complete


@pytest.mark.parametrize(("key", "resume"), [({"a": 2}, True), ({"a": 1}, False)])
def test_another_key_or_no_resume_begins_anew(tmp_path: Path, key: dict[str, object], resume: bool) -> None:
    with open_work(tmp_path / "w", {"a": 1}, resume=False) as work:
        add(open_step(work), 1)
    with open_work(tmp_path / "w", key, resume=resume) as work:
        step = open_step(work)
        assert step.state.n_chunks == 0
        assert step.outputs.n_rows == 0


def test_a_damaged_key_begins_anew(tmp_path: Path) -> None:
    with open_work(tmp_path / "w", {"a": 1}, resume=False) as work:
        add(open_step(work), 1)
    (tmp_path / "w" / "recipe.json").write_text("{")
    with open_work(tmp_path / "w", {"a": 1}, resume=True) as work:
        assert open_step(work).state.n_chunks == 0


def test_two_runs_cannot_work_in_one_folder(tmp_path: Path) -> None:
    with open_work(tmp_path / "w", {}, resume=False), pytest.raises(StorageError, match="Another run"):
        open_work(tmp_path / "w", {}, resume=True)
    open_work(tmp_path / "w", {}, resume=True).remove()
    assert not (tmp_path / "w").exists()


def test_facts_of_a_song_outlast_its_run_but_not_its_recipe(tmp_path: Path) -> None:
    with open_work(tmp_path / "w", {"a": 1}, resume=False) as work:
        assert work.load_facts("presence_scan") is None
        assert work.save_facts("presence_scan", {"drums": -3.0}) == {"drums": -3.0}
    with open_work(tmp_path / "w", {"a": 1}, resume=True) as work:
        assert work.load_facts("presence_scan") == {"drums": -3.0}
    with open_work(tmp_path / "w", {"a": 2}, resume=True) as work:
        assert work.load_facts("presence_scan") is None
