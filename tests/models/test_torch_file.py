"""Files of torch.save are read without PyTorch: files here are written with it, and compared with what it reads."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from stemwright.errors import ModelUnavailableError
from stemwright.models.torch_file import ForeignCodeError, StoredTensor, read_torch_file
from stemwright.models.weight_arrays import WeightArrays

MAPS = Path("/proc/self/maps")

TENSORS = {
    "float32": torch.arange(6.0).reshape(2, 3) - 2.5,
    "half": torch.linspace(-3, 3, 7).half(),
    "bfloat16": torch.linspace(-3, 3, 8).bfloat16().reshape(2, 2, 2),
    "double": torch.tensor([1.0, 1e-3], dtype=torch.float64),
    "long": torch.tensor(7),
    "bool": torch.tensor([True, False]),
    "transposed": torch.arange(12.0).reshape(3, 4).T,
    "part": torch.arange(20.0)[3:9:2],
    "none": torch.zeros(0, 4),
    "scalar": torch.tensor(0.5),
}


def in_numpy(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    return tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()


def shapes(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


class Call:
    """Pickles as a call of something."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", TENSORS)
def test_tensors_are_those_that_were_saved(name: str, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "network.th"
    torch.save({"before": torch.ones(3), name: TENSORS[name]}, path, _use_new_zipfile_serialization=zipped)
    content = read_torch_file(path)
    assert isinstance(content, dict)
    found = content[name].array()
    wanted = in_numpy(TENSORS[name])
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(content["before"].array(), np.ones(3, np.float32))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_of_parameters_is_read(zipped: bool, tmp_path: Path) -> None:
    """With its metadata, which are an attribute of an ordered dictionary, and storages that tensors share."""
    network = torch.nn.Linear(3, 2)
    state: dict[str, Any] = network.state_dict(keep_vars=True)
    state["again"] = state["weight"][0]
    path = tmp_path / "network.th"
    torch.save({"state": state, "epoch": 3, "history": [{"loss": 0.5}]}, path, _use_new_zipfile_serialization=zipped)
    arrays = WeightArrays(path).fitting({"weight": (2, 3), "bias": (2,), "again": (3,)})
    for name, tensor in state.items():
        np.testing.assert_array_equal(arrays[name], tensor.detach().numpy())


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux tells what is mapped")
def test_float32_is_mapped_and_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "network.th"
    torch.save({"weight": torch.zeros(1000)}, path)
    arrays = WeightArrays(path).fitting({"weight": (1000,)})
    assert str(path) in MAPS.read_text() and not arrays["weight"].flags.writeable
    del arrays
    assert str(path) not in MAPS.read_text()


def test_safetensors_are_read_without_their_package(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    saved = {name: tensor.contiguous() for name, tensor in TENSORS.items()}
    save_file(saved, path, {"format": "pt"})
    for name, array in WeightArrays(path).fitting(shapes(saved)).items():
        np.testing.assert_array_equal(array, in_numpy(saved[name]))
    content = path.read_bytes()
    for damage in (content[:-4], content[:20], b"", struct.pack("<Q", 2**62) + content[8:]):
        path.write_bytes(damage)
        with pytest.raises(ModelUnavailableError, match=rf"{path} .*(give|download)"):
            WeightArrays(path)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"weight": (3,), "bias": (2,)}, "bias is missing"),
        ({"weight": (4,)}, r"weight has shape \(3,\) where \(4,\) is expected"),
        ({}, "weight is not a tensor of this network"),
    ],
)
def test_what_does_not_fit_is_named(wanted: dict[str, tuple[int, ...]], problem: str, tmp_path: Path) -> None:
    path = tmp_path / "network.th"
    torch.save({"weight": torch.ones(3)}, path)
    with pytest.raises(ModelUnavailableError, match=f"{path} does not fit its network: {problem}"):
        WeightArrays(path).fitting(wanted)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "code",
    [
        Call(os.system, "touch ran"),
        Call(eval, "open('ran', 'w')"),
        Call(getattr, "text", "upper"),
        Call(torch.nn.Linear, 3, 2),
        np.ones(3),
    ],
)
def test_code_is_named_and_not_run(code: object, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "network.th"
    torch.save({"state": {"weight": torch.ones(3)}, "more": code}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ModelUnavailableError, match=r"contains code besides its weights \(.*\), which was not run; give"
    ):
        WeightArrays(path)
    assert not Path("ran").exists()


def pickled_by_hand(folder: Path, pickled: bytes, storage: bytes = bytes(12)) -> Path:
    """An archive with a pickle of its own, and one storage."""
    path = folder / "network.th"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("network/data.pkl", pickled)
        archive.writestr("network/data/0", storage)
    return path


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x03tQ"
"""The tuple of a storage of three numbers, and the operation that makes a storage of it."""

REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def tensor_of(offset: bytes = b"K\x00", shape: bytes = b"K\x03\x85", strides: bytes = b"K\x01\x85") -> bytes:
    """The operations that make a tensor of that storage."""
    return REBUILD + b"(" + STORAGE + offset + shape + strides + b"\x89}tR"


def test_a_pickle_by_hand_is_read(tmp_path: Path) -> None:
    """So that what the next tests refuse is refused for what it changes."""
    content = read_torch_file(pickled_by_hand(tmp_path, b"\x80\x02" + tensor_of() + b"."))
    assert isinstance(content, StoredTensor)
    np.testing.assert_array_equal(content.array(), np.zeros(3))


@pytest.mark.parametrize(
    "operations",
    [
        tensor_of(shape=b"K\x04\x85"),  # more than the storage has
        tensor_of(offset=b"K\x01"),
        tensor_of(strides=b"K\x02\x85"),
        tensor_of(strides=b"J\xff\xff\xff\xff\x85"),  # backwards
        tensor_of(offset=b"J\xff\xff\xff\xff"),
        tensor_of(shape=b"K\x03K\x01\x86"),  # two axes with one stride
        tensor_of(shape=b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01\x85"),  # an axis of 2^64
        STORAGE.replace(b"K\x03", b"K\x04"),  # a storage of another size
        STORAGE.replace(b"\x000X", b"\x009X"),  # one that is not there
        b"(X\x07\x00\x00\x00storageNNNNtQ",
        b"ctorch\nFloatStorage\n(tR",  # a type that is called
        REBUILD + b"(NNNNtR",
        # attributes of what the pickle may name are not to be set: a rebuilding function, a tensor, a type
        REBUILD + b"N}X\x04\x00\x00\x00callNs\x86b",
        tensor_of() + b"N}X\x06\x00\x00\x00offsetK\x07s\x86b",
        tensor_of() + b"(NK\x07K\x07\x85K\x07\x85tb",
        b"ctorch\nFloatStorage\nN}X\x04\x00\x00\x00typeNs\x86b",
        b"Nr\xff\xff\xff\x7f",  # a place in the memo for which 32 GB would be taken
        b"\x8a\x01",  # cut
        b"",
    ],
)
def test_a_pickle_that_means_harm_is_no_checkpoint(operations: bytes, tmp_path: Path) -> None:
    path = pickled_by_hand(tmp_path, b"\x80\x02" + operations + b".")
    with pytest.raises(
        ModelUnavailableError, match=f"{path} is truncated or not a PyTorch checkpoint; download it again"
    ):
        read_torch_file(path)


def test_extensions_of_pickle_are_not_looked_up(tmp_path: Path) -> None:
    path = pickled_by_hand(tmp_path, b"\x80\x02\x82\x01.")
    with pytest.raises(ModelUnavailableError, match="not a PyTorch checkpoint"):
        read_torch_file(path)


def test_names_that_are_allowed_are_not_imported(tmp_path: Path) -> None:
    pickled = b"\x80\x02cno.such.module\nThing\n(K\x01tR."
    path = pickled_by_hand(tmp_path, pickled)
    with pytest.raises(ForeignCodeError, match=r"no\.such\.module\.Thing"):
        read_torch_file(path)
    found = read_torch_file(path, frozenset({"no.such.module.Thing"}))
    assert (found.name, found.parts) == ("no.such.module.Thing", (1,))  # type: ignore[attr-defined]
    assert "no" not in sys.modules


def test_compressed_storages_and_other_orders_of_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.th"
    torch.save({"weight": torch.ones(300)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for packed, changed in ((True, {}), (False, {"network/byteorder": b"big"})):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
            for name, content in (members | changed).items():
                archive.writestr(name, content)
        with pytest.raises(ModelUnavailableError, match="not a PyTorch checkpoint"):
            read_torch_file(path)


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "network.th"
    for zipped in (True, False):
        torch.save({"weight": torch.ones(64)}, path, _use_new_zipfile_serialization=zipped)
        content = path.read_bytes()
        for end in range(0, len(content), 23):
            path.write_bytes(content[:end])
            with pytest.raises(ModelUnavailableError, match=f"{path} "):
                WeightArrays(path)


def test_nothing_of_pytorch_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "network.th"
    torch.save({"weight": torch.ones(3)}, path)
    script = f"""
import sys
sys.modules["torch"] = sys.modules["safetensors"] = None
from pathlib import Path
from stemwright.models.weight_arrays import WeightArrays
print(WeightArrays(Path({str(path)!r})).fitting({{"weight": (3,)}})["weight"].sum())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) == 3.0


def test_the_operations_of_the_tests_are_those_of_pickle() -> None:
    assert [one.name for one, _, _ in pickletools.genops(b"\x80\x02" + tensor_of() + b".")][-2:] == ["REDUCE", "STOP"]
    assert pickle.loads(b"\x80\x02K\x03\x85.") == (3,)
