from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stemwright.errors import ModelUnavailableError, StorageError
from stemwright.models import registry, weight_store
from stemwright.models.weight_file import WeightFile

CONTENT = bytes(range(256)) * 20
FILE = WeightFile("net.ckpt", "https://weights.example/net.ckpt", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheel"
    folder.mkdir()
    monkeypatch.setattr(weight_store, "WHEEL_FOLDER", folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(folder))
    return folder


def test_downloaded_weights_lie_among_the_users_data_or_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEMWRIGHT_MODELS_DIR", raising=False)
    assert weight_store.weights_folder().parts[-2:] == ("stemwright", "models")
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", "~/weights")
    assert weight_store.weights_folder() == Path.home() / "weights"


def test_the_wheels_weights_are_whole() -> None:
    model = registry.find("stemwright-12")
    assert weight_store.is_available(model)
    weight_store.verify(model.files[0])
    assert len(weight_store.load(model)) == model.size_bytes
    assert {path.suffix for path in weight_store.WHEEL_FOLDER.iterdir()} == {".onnx"}


def test_a_missing_file_is_told(folder: Path) -> None:
    model = registry.find("stemwright-12")
    assert not weight_store.is_available(model)
    with pytest.raises(ModelUnavailableError, match="missing; install Stemwright again"):
        weight_store.load(model)
    assert weight_store.find(FILE) is None
    with pytest.raises(ModelUnavailableError, match=r"models/net\.ckpt are missing; .*by hand from https://weights"):
        weight_store.verify(FILE)


@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_damaged_file_is_never_run(wheel: Path, folder: Path, harm: str) -> None:
    model = registry.find("stemwright-12")
    whole = Path(weight_store.__file__).with_name("weights").joinpath(model.files[0].name).read_bytes()
    damaged = whole[:-1] if harm == "cut" else whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:]
    (wheel / model.files[0].name).write_bytes(damaged)
    with pytest.raises(ModelUnavailableError, match="damaged; install Stemwright again"):
        weight_store.load(model)
    with pytest.raises(ModelUnavailableError, match="damaged; install Stemwright again"):
        weight_store.verify(model.files[0])


def test_a_file_of_another_version_is_not_installed(folder: Path) -> None:
    FILE.path_in(folder).write_bytes(b"old")
    assert not weight_store.is_available(FILE)
    with pytest.raises(ModelUnavailableError, match="damaged; run `stemwright models download`"):
        weight_store.verify(FILE)


def test_what_cannot_be_read_is_told(folder: Path) -> None:
    FILE.path_in(folder).mkdir()
    assert not weight_store.is_available(FILE)
    with pytest.raises(ModelUnavailableError, match="missing"):
        weight_store.load(FILE)


def test_the_wheel_comes_first(wheel: Path, folder: Path) -> None:
    FILE.path_in(folder).write_bytes(CONTENT)
    assert weight_store.find(FILE) == folder / "net.ckpt"
    FILE.path_in(wheel).write_bytes(CONTENT)
    assert weight_store.find(FILE) == wheel / "net.ckpt"
    FILE.path_in(wheel).write_bytes(b"old")
    assert weight_store.find(FILE) == folder / "net.ckpt"
    assert weight_store.load(FILE) == CONTENT


def test_a_verified_file_is_read_again_only_when_it_changed(folder: Path) -> None:
    path, read = FILE.path_in(folder), list[int]()
    path.write_bytes(CONTENT)
    weight_store.verify(FILE, read.append)
    assert read == [len(CONTENT)]
    weight_store.verify(FILE, read.append)
    assert read == [len(CONTENT)]
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(0, 0))
    with pytest.raises(ModelUnavailableError, match="damaged"):
        weight_store.verify(FILE, read.append)
    assert read == [len(CONTENT)] * 2
    path.write_bytes(CONTENT)
    os.utime(path, ns=(1, 1))
    FILE.mark_in(folder).write_text('{"size_by')
    weight_store.verify(FILE, read.append)
    assert len(read) == 3


def test_a_mark_of_another_file_counts_for_nothing(folder: Path) -> None:
    FILE.path_in(folder).write_bytes(CONTENT)
    weight_store.verify(FILE)
    other = WeightFile(FILE.name, FILE.url, FILE.size_bytes, "0" * 64)
    with pytest.raises(ModelUnavailableError, match="damaged"):
        weight_store.verify(other)


def test_removing_leaves_nothing_but_the_wheel(wheel: Path, folder: Path) -> None:
    assert not weight_store.remove(FILE)
    for path in (FILE.path_in(folder), FILE.path_in(wheel)):
        path.write_bytes(CONTENT)
    FILE.part_in(folder).write_bytes(b"part")
    weight_store.verify(FILE)
    assert weight_store.remove(FILE)
    assert {path.name for path in folder.iterdir()} <= {".net.ckpt.lock"}
    assert not weight_store.remove(FILE)
    assert weight_store.is_available(FILE)


def test_a_file_in_the_making_is_not_removed(folder: Path) -> None:
    FILE.part_in(folder).write_bytes(b"part")
    with FILE.locked(folder, lambda: None), pytest.raises(StorageError, match="being downloaded right now"):
        weight_store.remove(FILE)
    assert FILE.part_in(folder).exists()


def test_the_lock_keeps_out_threads_and_is_let_go_of_by_the_dead(folder: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from stemwright.models.weight_file import WeightFile\n"
        "with WeightFile('net.ckpt', '', 1, '0' * 64).locked(Path(sys.argv[1]), lambda: None):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waited, entered = threading.Event(), threading.Event()

        def enter() -> None:
            with FILE.locked(folder, waited.set):
                entered.set()

        newcomer = threading.Thread(target=enter)
        newcomer.start()
        assert waited.wait(240)
        assert not entered.is_set()
        holder.kill()
        newcomer.join(240)
        assert entered.is_set()


@pytest.mark.parametrize(
    ("name", "size_bytes", "sha256", "message"),
    [
        ("../net.ckpt", 1, "0" * 64, "without folders"),
        ("/net.ckpt", 1, "0" * 64, "without folders"),
        ("a\\net.ckpt", 1, "0" * 64, "without folders"),
        (".net", 1, "0" * 64, "without folders"),
        ("", 1, "0" * 64, "without folders"),
        ("net.ckpt", 0, "0" * 64, "cannot have 0 bytes"),
        ("net.ckpt", 1, "0" * 63, "64 hexadecimal digits"),
        ("net.ckpt", 1, "A" * 64, "64 hexadecimal digits"),
    ],
)
def test_what_describes_no_file_is_refused(name: str, size_bytes: int, sha256: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WeightFile(name, "", size_bytes, sha256)
