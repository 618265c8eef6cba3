"""Checkpoints of Demucs are read as data: files here are written as Demucs writes them, with classes it would have."""

import os
import pickle
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from stemwright.errors import ModelUnavailableError
from stemwright.models.architectures.htdemucs import FIXED, UNUSED, HTDemucs, HTDemucsOptions
from stemwright.models.demucs_package import read_package

SETTINGS: Mapping[str, Any] = {
    "sources": ["drums", "bass"],
    "audio_channels": 2,
    "channels": 8,
    "channels_time": None,
    "growth": 2,
    "nfft": 512,
    "wiener_iters": 0,
    "cac": True,
    "depth": 3,
    "multi_freqs": [],
    "dconv_mode": 3,
    "dconv_comp": 4,
    "bottom_channels": 16,
    "t_layers": 2,
    "t_heads": 2,
    "t_dropout": 0.02,
    "t_cape_glob_loc_scale": [5000.0, 1.0, 1.4],
    "t_lr": None,
    "samplerate": 8000,
    "segment": Fraction(1, 8),
}


class TextFraction:
    """Pickles as a fraction did before Python 3.11: by its text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __reduce__(self) -> tuple[type[Fraction], tuple[str]]:
        return Fraction, (self.text,)


class Touch:
    """Pickles as a call: whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def named(path: str) -> type:
    """A class that pickles under the name ``path``."""
    module, _, name = path.rpartition(".")
    return type(name, (), {"__module__": module})


@pytest.fixture
def demucs(monkeypatch: pytest.MonkeyPatch) -> type:
    """The class of the network, importable while a file is written."""
    for path in ("demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs"):
        module, _, name = path.rpartition(".")
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        setattr(sys.modules[module], name, named(path))
    monkeypatch.setitem(sys.modules, "demucs", ModuleType("demucs"))
    network: type = sys.modules["demucs.htdemucs"].HTDemucs
    return network


@pytest.fixture
def network() -> HTDemucs:
    torch.manual_seed(0)
    return HTDemucs(options({**SETTINGS}))


def options(kwargs: Mapping[str, Any]) -> HTDemucsOptions:
    known = {field.name for field in fields(HTDemucsOptions)}
    assert kwargs.keys() <= known | UNUSED | FIXED.keys()
    given: dict[str, Any] = {name: value for name, value in kwargs.items() if name in known}
    return HTDemucsOptions(**given | {"sources": tuple(given["sources"])})


def package(network_class: type, network: HTDemucs, **changes: Any) -> dict[str, Any]:
    content = {
        "klass": network_class,
        "args": (),
        "kwargs": dict(SETTINGS),
        "state": {name: weight.data.half() for name, weight in network.state_dict().items()},
        "training_args": {"optim": {"lr": 3e-4, "best": np.float64(5.5)}, "dset": {"musdb": "/data"}},
    }
    return content | changes


@pytest.mark.parametrize("segment", [Fraction(1, 8), TextFraction("1/8"), 0.125])
def test_a_network_comes_out_as_it_went_in(tmp_path: Path, demucs: type, network: HTDemucs, segment: Any) -> None:
    path = tmp_path / "955717e8-8726e21a.th"
    torch.save(package(demucs, network, kwargs={**SETTINGS, "segment": segment}), path)
    del sys.modules["demucs.htdemucs"]  # reading does without

    state, kwargs = read_package(path)

    assert kwargs == SETTINGS
    arrays = {name: weight.array() for name, weight in state.items()}
    assert all(array.dtype == np.float32 for array in arrays.values())
    made = HTDemucs(options(kwargs))
    made.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
    for weight in network.parameters():
        weight.data = weight.data.half().float()
    mix = torch.randn(1, 2, 1000)
    with torch.inference_mode():
        assert torch.equal(made(mix), network(mix))
    assert made.options.segment_samples == 1000


def test_numbers_of_older_numpy_are_passed_over(tmp_path: Path, demucs: type, network: HTDemucs) -> None:
    new, old = tmp_path / "new.th", tmp_path / "old.th"
    torch.save(package(demucs, network), new)
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                assert b"cnumpy._core.multiarray\nscalar\n" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            target.writestr(name, content)
    state, kwargs = read_package(old)
    assert kwargs == SETTINGS
    assert state.keys() == network.state_dict().keys()


def test_files_in_the_form_from_before_zip_are_read(tmp_path: Path, demucs: type, network: HTDemucs) -> None:
    path = tmp_path / "old.th"
    torch.save(package(demucs, network), path, _use_new_zipfile_serialization=False)
    assert read_package(path).kwargs == SETTINGS


@pytest.mark.parametrize("where", ["klass", "args", "kwargs", "state", "training_args", "everything"])
@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_not_run(tmp_path: Path, demucs: type, network: HTDemucs, where: str, zipped: bool) -> None:
    path, proof = tmp_path / "evil.th", tmp_path / "proof"
    bomb = Touch(proof)
    content: Any = bomb if where == "everything" else package(demucs, network, **{where: {"a": bomb}})
    torch.save(content, path, _use_new_zipfile_serialization=zipped)

    with pytest.raises(ModelUnavailableError, match=rf"{path} refers to code .*mkdir.*not run"):
        read_package(path)

    assert not proof.exists()
    torch.load(path, weights_only=False)  # the file does what it is said to do
    assert proof.exists()


def test_a_bare_pickle_is_not_run(tmp_path: Path) -> None:
    path, proof = tmp_path / "evil.th", tmp_path / "proof"
    path.write_bytes(pickle.dumps(Touch(proof), protocol=2))
    with pytest.raises(ModelUnavailableError, match=str(path)):
        read_package(path)
    assert not proof.exists()


def test_fractions_that_would_take_for_ever_are_refused(tmp_path: Path, demucs: type, network: HTDemucs) -> None:
    path = tmp_path / "slow.th"
    torch.save(package(demucs, network, kwargs={**SETTINGS, "segment": TextFraction("1e999999999")}), path)
    with pytest.raises(ModelUnavailableError, match=rf"The settings in {path} are not plain"):
        read_package(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"klass": "demucs.htdemucs.HTDemucs"}, "is not a checkpoint of HTDemucs"),
        ({"state": {"__quantized": True, "quantized": {}}}, "contains no plain weights"),
        ({"state": {}}, "contains no plain weights"),
        ({"state": {"a": torch.ones(2, dtype=torch.int8)}}, "contains no plain weights"),
        ({"args": (["drums"],)}, "are not plain ones"),
        ({"kwargs": {"segment": {"a": 1}}}, "are not plain ones"),
        ({"kwargs": {"segment": TextFraction("1/0")}}, "are not plain ones"),
    ],
)
def test_other_content_is_told(
    tmp_path: Path, demucs: type, network: HTDemucs, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "other.th"
    torch.save(package(demucs, network, **changes), path)
    with pytest.raises(ModelUnavailableError, match=message) as caught:
        read_package(path)
    assert str(path) in str(caught.value)


def test_another_network_is_named(tmp_path: Path, demucs: type, network: HTDemucs) -> None:
    path = tmp_path / "75fc33f5.th"
    torch.save(package(sys.modules["demucs.hdemucs"].HDemucs, network), path)
    with pytest.raises(ModelUnavailableError, match=r"demucs\.hdemucs\.HDemucs.*not run"):
        read_package(path)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_checkpoint_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.th"
    path.write_bytes(content)
    with pytest.raises(ModelUnavailableError, match=f"{path} is truncated or not a PyTorch checkpoint"):
        read_package(path)


def test_a_cut_file_and_a_missing_one_are_told(tmp_path: Path, demucs: type, network: HTDemucs) -> None:
    path = tmp_path / "cut.th"
    torch.save(package(demucs, network), path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ModelUnavailableError, match=f"{path} is truncated"):
        read_package(path)
    with pytest.raises(ModelUnavailableError, match=r"There is no .*none\.th"):
        read_package(tmp_path / "none.th")
    torch.save(network.state_dict(), path)
    with pytest.raises(ModelUnavailableError, match=f"{path} is not a checkpoint in Demucs' format"):
        read_package(path)
