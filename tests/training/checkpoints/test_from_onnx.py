import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.checkpoints import from_onnx

pytestmark = pytest.mark.training


def test_where_there_is_no_song_it_says_how_to_have_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["wheel", "--corpus", str(tmp_path), "--run", str(tmp_path / "run")])
    with pytest.raises(SystemExit, match="1"):
        from_onnx.main()
    assert "python -m training.rendering.corpus" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_design_that_the_wheel_lacks_is_named_with_those_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = ", ".join(shape.design for shape in from_onnx.shipped_shapes())
    with pytest.raises(LookupError, match=f"no network of the design 'recurrent'; it has {there}"):
        from_onnx.shipped_checkpoint([], "recurrent")
    (tmp_path / "song").mkdir()
    soundfile.write(tmp_path / "song" / "drums.flac", np.full((44_100, 2), 0.1), 44_100)
    arguments = ["--corpus", str(tmp_path), "--run", str(tmp_path / "run"), "--design", "recurrent"]
    monkeypatch.setattr(sys, "argv", ["wheel", *arguments])
    with pytest.raises(SystemExit, match="2"):
        from_onnx.main()
    assert f"'recurrent'; it has {there}" in capsys.readouterr().err
