from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w

from stemwright.errors import ModelUnavailableError
from stemwright.models.onnx_config import OnnxConfig
from tests.models.onnx_contracts import CONTRACTS

TEXT = """
sample_rate_hz = 44100
labels = ["vocals", "instrumental"]
chunk_samples = 44100

[[onnx.inputs]]
name = "mix"
kind = "waveform"
layout = "1 channel sample"

[[onnx.outputs]]
name = "stems"
kind = "waveform"
layout = "1 source channel sample"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "x.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_description_is_written_as_it_was_read(name: str, tmp_path: Path) -> None:
    table = {
        "sample_rate_hz": 44_100,
        "labels": ["vocals"],
        "chunk_samples": 200_000,
        "overlap": 0.125,
        "overlapping": True,
        "gflop_per_s": 12.5,
        "memory_mb": 300,
        "sources": {"backing_vocals": ["vocals"]},
        "onnx": tomllib.loads(CONTRACTS[name]),
    }
    config = OnnxConfig.read(write(tmp_path, tomli_w.dumps(table)))
    assert config.sources == {"backing_vocals": ("vocals",)}
    assert OnnxConfig.read(write(tmp_path, config.to_toml().decode())) == config


def test_stems_come_from_the_labels_unless_it_names_them(tmp_path: Path) -> None:
    config = OnnxConfig.read(write(tmp_path, TEXT))
    assert config.stem_sources({}, "x.toml") == {"vocals": ("vocals",)}
    named = OnnxConfig.read(write(tmp_path, 'sources = { fx = ["instrumental"] }' + TEXT))
    assert named.stem_sources({}, "x.toml") == {"fx": ("instrumental",)}
    assert named.stem_sources({"vocals": "backing_vocals"}, "x.toml") == {"backing_vocals": ("vocals",)}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("sample_rate_hz = 44100", "", "does not set 'sample_rate_hz'"),
        ("sample_rate_hz = 44100", "sample_rate_hz = 441", "sets 'sample_rate_hz' to 441"),
        ("sample_rate_hz = 44100", "sample_rate = 44100", "has the unknown key 'sample_rate'; it can have"),
        ("chunk_samples = 44100", "chunk_samples = true", "sets 'chunk_samples' to True"),
        ("chunk_samples = 44100", "chunk_samples = 0", "a chunk of 0 samples"),
        (
            "chunk_samples = 44100",
            "chunk_samples = 44100\noverlap = 0.75",
            "an overlap of 0.75, where 0 to 0.5 is valid",
        ),
        ('["vocals", "instrumental"]', "[]", "sets 'labels' to none"),
        ('["vocals", "instrumental"]', '["vocals", "vocals"]', "the same one twice"),
        (
            "chunk_samples = 44100",
            'chunk_samples = 44100\nsources = { voice = ["vocals"] }',
            "the unknown stem 'voice'",
        ),
        ("chunk_samples = 44100", 'chunk_samples = 44100\nsources = { drums = ["kit"] }', "the label 'kit' for drums"),
        ("1 source channel sample", "channel sample", "contradicts itself: the output 'stems' has no source axis"),
        ("1 source channel sample", "1 source sample", "'stems' has other axes"),
        ("labels", "labels = [", r"is not valid TOML \("),
    ],
)
def test_what_is_wrong_is_told_with_the_file_and_the_key(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in TEXT
    with pytest.raises(ModelUnavailableError, match=rf"x\.toml .*{words}"):
        OnnxConfig.read(write(tmp_path, TEXT.replace(old, new)))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"x\.toml cannot be read \(No such file"):
        OnnxConfig.read(tmp_path / "x.toml")
