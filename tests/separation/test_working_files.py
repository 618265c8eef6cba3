from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemwright.errors import StorageError
from stemwright.separation.working_files import RowFile, WorkingFiles


def open_work(folder: Path, recipe: dict[str, object], *, resume: bool) -> WorkingFiles:
    return WorkingFiles(folder, recipe, part_shape=(2, 3), part_dtype=np.float16, resume=resume)


def add(work: WorkingFiles, value: float, *, is_last: bool = False) -> None:
    work.add(np.full((4, 2, 3), value), np.full((1, 4), value), is_last=is_last)


def test_rows_come_back_as_they_were_appended(tmp_path: Path) -> None:
    file = RowFile(tmp_path / "rows", (2,), np.float32)
    file.append(np.arange(10).reshape(5, 2))
    np.testing.assert_array_equal(file.read(1, 3), [[2, 3], [4, 5]])
    assert len(file.read(4, 9)) == 1
    assert len(file.read(9, 12)) == 0
    file.close()


def test_a_resumed_run_finds_whole_chunks_and_drops_torn_rows(tmp_path: Path) -> None:
    with open_work(tmp_path / "w", {"a": 1}, resume=False) as work:
        add(work, 1)
        work.parts.append(np.zeros((2, 2, 3)))  # as if killed before the state was written
    with open_work(tmp_path / "w", {"a": 1}, resume=True) as work:
        assert (work.state.n_chunks, work.parts.n_rows, work.levels.n_rows) == (1, 4, 1)
        add(work, 2, is_last=True)
        np.testing.assert_array_equal(work.parts.read(0, 9)[:, 0, 0], [1, 1, 1, 1, 2, 2, 2, 2])
        assert work.state.complete


@pytest.mark.parametrize(("recipe", "resume"), [({"a": 2}, True), ({"a": 1}, False)])
def test_another_recipe_or_no_resume_begins_anew(tmp_path: Path, recipe: dict[str, object], resume: bool) -> None:
    with open_work(tmp_path / "w", {"a": 1}, resume=False) as work:
        add(work, 1)
    with open_work(tmp_path / "w", recipe, resume=resume) as work:
        assert work.state.n_chunks == 0
        assert work.parts.n_rows == 0


def test_a_damaged_recipe_begins_anew(tmp_path: Path) -> None:
    with open_work(tmp_path / "w", {"a": 1}, resume=False) as work:
        add(work, 1)
    (tmp_path / "w" / "recipe.json").write_text("{")
    with open_work(tmp_path / "w", {"a": 1}, resume=True) as work:
        assert work.state.n_chunks == 0


def test_two_runs_cannot_work_in_one_folder(tmp_path: Path) -> None:
    with open_work(tmp_path / "w", {}, resume=False), pytest.raises(StorageError, match="Another run"):
        open_work(tmp_path / "w", {}, resume=True)
    open_work(tmp_path / "w", {}, resume=True).remove()
    assert not (tmp_path / "w").exists()
