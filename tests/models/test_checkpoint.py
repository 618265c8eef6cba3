from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stemwright.errors import ModelUnavailableError
from stemwright.models.checkpoint import load_into, read_checkpoint

MAPS = Path("/proc/self/maps")


class Code:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.path}'",)


def tensors() -> dict[str, torch.Tensor]:
    return {"first.weight": torch.arange(6.0).reshape(2, 3), "first.bias": torch.ones(2, dtype=torch.float16)}


def network() -> torch.nn.Module:
    with torch.device("meta"):
        return torch.nn.Sequential(torch.nn.Linear(3, 2))


def equal(path: Path, wanted: dict[str, torch.Tensor]) -> bool:
    given = read_checkpoint(path)
    return list(given) == list(wanted) and all(
        given[name].dtype == tensor.dtype and torch.equal(given[name], tensor) for name, tensor in wanted.items()
    )


@pytest.mark.parametrize("suffix", ["ckpt", "th", "pt", "pth", "bin"])
@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_is_read_in_the_precision_it_has(tmp_path: Path, suffix: str, zipped: bool) -> None:
    path = tmp_path / f"network.{suffix}"
    torch.save(tensors(), path, _use_new_zipfile_serialization=zipped)
    assert equal(path, tensors())


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "network.safetensors")
    assert set(read_checkpoint(tmp_path / "network.safetensors")) == set(tensors())


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "state", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.module."])
def test_wrappers_and_prefixes_of_training_programs_are_taken_off(tmp_path: Path, wrapper: str, prefix: str) -> None:
    content = {
        wrapper: {prefix + name: tensor for name, tensor in tensors().items()},
        "epoch": 3,
        "optimizer": {"a": 1},
    }
    torch.save(content, tmp_path / "network.ckpt")
    assert equal(tmp_path / "network.ckpt", tensors())


def test_of_two_states_the_best_one_is_taken(tmp_path: Path) -> None:
    torch.save({"state": {"first.bias": torch.zeros(2)}, "best_state": tensors()}, tmp_path / "network.th")
    assert equal(tmp_path / "network.th", tensors())


def test_a_prefix_that_only_some_have_is_part_of_the_name(tmp_path: Path) -> None:
    mixed = {"model.weight": torch.ones(1), "head.weight": torch.ones(1)}
    torch.save(mixed, tmp_path / "network.ckpt")
    assert equal(tmp_path / "network.ckpt", mixed)


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux tells what is mapped")
def test_a_large_file_is_mapped_and_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "network.ckpt"
    torch.save({"weight": torch.zeros(1000)}, path)
    held = read_checkpoint(path)
    assert str(path) in MAPS.read_text()
    held.clear()
    assert str(path) not in MAPS.read_text()


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_named_and_not_run(tmp_path: Path, zipped: bool) -> None:
    path, trace = tmp_path / "network.ckpt", tmp_path / "it-ran"
    torch.save({"state_dict": tensors(), "code": Code(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ModelUnavailableError, match=rf"network\.ckpt contains code .*\({os.name}.system\), which was not run"
    ):
        read_checkpoint(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # it would have run


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 0.9, 0.9999])
def test_a_file_that_is_cut_short_is_told(tmp_path: Path, zipped: bool, share: float) -> None:
    path = tmp_path / "network.ckpt"
    torch.save({"weight": torch.rand(1000)}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ModelUnavailableError, match=r"network\.ckpt is truncated or not a PyTorch checkpoint"):
        read_checkpoint(path)


def test_safetensors_that_are_cut_short_are_told(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    save_file(tensors(), path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ModelUnavailableError, match=r"network\.safetensors is not a complete safetensors file"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content", [b"<html>Not found</html>" * 50, b"hello", bytes(range(256)) * 4, b"\x80\x02}q\x00."]
)
def test_what_is_no_checkpoint_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "network.ckpt"
    path.write_bytes(content)
    with pytest.raises(ModelUnavailableError, match=r"network\.ckpt"):
        read_checkpoint(path)


def test_a_checkpoint_without_tensors_is_told(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "epoch": 3}, tmp_path / "network.ckpt")
    with pytest.raises(ModelUnavailableError, match="contains no tensors"):
        read_checkpoint(tmp_path / "network.ckpt")


@pytest.mark.parametrize("name", ["missing.ckpt", "folder.ckpt", "missing.safetensors"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.ckpt").mkdir()
    with pytest.raises(ModelUnavailableError, match=f"{re.escape(name)} cannot be read"):
        read_checkpoint(tmp_path / name)


def test_a_network_takes_the_tensors_themselves() -> None:
    made, given = network(), {"0.weight": torch.rand(2, 3), "0.bias": torch.rand(2)}
    load_into(made, given, Path("network.ckpt"))
    assert {name: tensor.data_ptr() for name, tensor in made.state_dict().items()} == {
        name: tensor.data_ptr() for name, tensor in given.items()
    }
    assert made(torch.ones(1, 3)).shape == (1, 2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"0.weight": (2, 3)}, r"0\.bias is missing"),
        ({"0.weight": (2, 4), "0.bias": (2,)}, r"0\.weight has shape \(2, 4\) where \(2, 3\) is expected"),
        ({"0.weight": (2, 3), "0.bias": (2,), "1.bias": (2,)}, r"1\.bias is not a tensor of this network"),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(given: dict[str, tuple[int, ...]], words: str) -> None:
    with pytest.raises(ModelUnavailableError, match=rf"^dir/network\.ckpt does not fit its network: {words}\.$"):
        load_into(network(), {name: torch.zeros(shape) for name, shape in given.items()}, Path("dir/network.ckpt"))
