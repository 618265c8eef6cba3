"""Files that their authors have replaced: taken when the user accepts the new digest, and remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stemwright.errors import ModelUnavailableError, StorageError
from stemwright.models import accepted_digests, registry, replaced_file, weight_store
from stemwright.models.registry import Model
from stemwright.models.weight_file import WeightFile
from tests.cli.conftest import one_error, run
from tests.models.downloads.client import CONTENT, DIGEST, NAME, weights_at
from tests.models.downloads.weight_server import Act, WeightServer, answers, chunked, without_length

NEW = CONTENT[::-1] + b"and more"
NEW_DIGEST = hashlib.sha256(NEW).hexdigest()


@pytest.fixture(autouse=True)
def weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(folder))
    return folder


@pytest.fixture
def server() -> Iterator[WeightServer]:
    with WeightServer(NEW) as server:
        yield server


@pytest.fixture
def file(server: WeightServer) -> WeightFile:
    return weights_at(f"{server.url}/gone", f"{server.url}/net")


@pytest.fixture
def model(file: WeightFile, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model of the registry with that file."""
    model = replace(registry.find("scnet-large"), name="net", files=(file,))
    monkeypatch.setattr(registry, "_shipped", lambda: (model,))
    return model


def test_a_new_file_of_another_size_is_taken_and_remembered(
    server: WeightServer, file: WeightFile, folder: Path
) -> None:
    server.acts.extend([answers(404)] * 2)
    found = replaced_file.fetch(file, folder, NEW_DIGEST, model_name="net")
    assert (folder / NAME).read_bytes() == NEW
    assert (found.size_bytes, found.sha256, found.registry_sha256) == (len(NEW), NEW_DIGEST, DIGEST)
    assert accepted_digests.applied(file) == found
    assert accepted_digests.applied(found) == found
    weight_store.verify(found)
    assert replaced_file.fetch(file, folder, NEW_DIGEST, model_name="net") == found


def test_a_file_put_there_by_hand_is_taken(server: WeightServer, file: WeightFile, folder: Path) -> None:
    folder.mkdir()
    (folder / NAME).write_bytes(NEW)
    assert replaced_file.fetch(file, folder, NEW_DIGEST, model_name="net").size_bytes == len(NEW)
    assert server.requests == []


def test_a_file_of_a_third_digest_is_not_taken(server: WeightServer, file: WeightFile, folder: Path) -> None:
    told = rf"SHA-256 there is {NEW_DIGEST} where you accepted {'0' * 64}, .*--accept-digest {NEW_DIGEST}"
    with pytest.raises(ModelUnavailableError, match=told):
        replaced_file.fetch(file, folder, "0" * 64, model_name="net")
    assert accepted_digests.applied(file) == file
    assert not (folder / NAME).exists()


@pytest.mark.parametrize(
    ("acts", "told"),
    [
        ([answers(404)] * 4, r"from http\S+/gone, since .* no longer has it .*; from http\S+/net, since .* no longer"),
        ([answers(405), chunked(NEW)] * 2, "its host does not state the size"),
        ([answers(405), without_length(b"<html>log in</html>")] * 2, "answers with a web page"),
    ],
    ids=["gone", "no size", "page"],
)
def test_a_size_that_cannot_be_had_is_told(
    server: WeightServer, file: WeightFile, folder: Path, acts: list[Act], told: str
) -> None:
    server.acts.extend(acts)
    with pytest.raises(
        ModelUnavailableError, match=rf"{told}.*put the file by hand into {folder} under the name {NAME}"
    ):
        replaced_file.fetch(file, folder, NEW_DIGEST, model_name="net")


def test_nothing_is_asked_offline(
    server: WeightServer, file: WeightFile, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError, match="STEMWRIGHT_OFFLINE prevents its download"):
        replaced_file.fetch(file, folder, NEW_DIGEST, model_name="net")
    assert server.requests == []


def test_another_digest_in_the_registry_makes_the_acceptance_void(file: WeightFile) -> None:
    accepted_digests.accept(file, NEW_DIGEST, len(NEW))
    newer = replace(file, sha256="1" * 64)
    assert accepted_digests.applied(newer) == newer


@pytest.mark.parametrize("record", ["{", "[]", f'{{"registry_sha256": "{DIGEST}"}}'])
def test_a_record_that_cannot_be_read_counts_for_nothing(file: WeightFile, folder: Path, record: str) -> None:
    accepted_digests.accept(file, NEW_DIGEST, len(NEW))
    (folder / "accepted" / f"{NAME}.json").write_text(record)
    assert accepted_digests.applied(file) == file


def test_a_record_that_cannot_be_written_is_told(file: WeightFile, folder: Path) -> None:
    folder.mkdir()
    (folder / "accepted").write_text("a file")
    with pytest.raises(StorageError, match="accepted"):
        accepted_digests.accept(file, NEW_DIGEST, 1)


def test_the_command_takes_shows_and_forgets_it(server: WeightServer, model: Model, folder: Path) -> None:
    done = run("models", "download", "net")
    assert done.code == 4
    one_error(done, words=["net v1.ckpt", "300008 bytes", "accept its new SHA-256 with"])
    done = run("models", "download", "net", "--accept-digest", NEW_DIGEST.upper())
    assert done.code == 0, done.err
    assert "net: installed. The SHA-256 of net v1.ckpt is accepted by you in place of the registry's" in done.out
    accepted = registry.find("net")
    assert accepted.files[0].sha256 == NEW_DIGEST
    assert accepted.identity != model.identity
    assert registry.models() == (accepted,)
    shown = run("models", "show", "net").out
    assert NEW_DIGEST in shown and f"accepted by you in place of the registry's {DIGEST}" in shown
    assert run("models", "verify", "net").out == "net: verified.\n"
    assert run("models", "download", "net").code == 0
    assert run("models", "remove", "net").out == "net: removed.\n"
    assert registry.find("net") == model
    assert not list(folder.rglob("*.json"))


def test_of_several_files_the_first_that_is_not_installed_is_meant(
    server: WeightServer, model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(model.files[0], name="first.ckpt", size_bytes=3, sha256=hashlib.sha256(b"abc").hexdigest())
    monkeypatch.setattr(registry, "_shipped", lambda: (replace(model, files=(first, *model.files)),))
    folder.mkdir()
    (folder / "first.ckpt").write_bytes(b"abc")
    assert run("models", "download", "net", "--accept-digest", NEW_DIGEST).code == 0
    assert [file.registry_sha256 for file in registry.find("net").files] == ["", DIGEST]


@pytest.mark.parametrize(
    ("names", "digest", "words"),
    [
        (["net"], "abc", ["--accept-digest is 'abc'", "64 hexadecimal digits"]),
        (["net", "net"], "0" * 64, ["name that model alone"]),
        (["fast"], "0" * 64, ["name that model alone"]),
    ],
)
def test_a_digest_that_can_be_for_nothing_is_refused(
    model: Model, monkeypatch: pytest.MonkeyPatch, names: list[str], digest: str, words: list[str]
) -> None:
    wheel = registry.Model(**{**model.__dict__, "name": "stemwright-12"})
    monkeypatch.setattr(registry, "_shipped", lambda: (model, wheel))
    done = run("models", "download", *names, "--accept-digest", digest)
    assert done.code == 2
    one_error(done, words=words)


def test_there_is_nothing_to_accept_for_what_is_installed(model: Model, folder: Path) -> None:
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    done = run("models", "download", "net", "--accept-digest", "0" * 64)
    assert done.code == 2
    one_error(done, words=["is installed", "stemwright models remove net"])
    (folder / NAME).unlink()


def test_what_ships_with_stemwright_is_not_accepted_otherwise() -> None:
    done = run("models", "download", "stemwright-12", "--accept-digest", "0" * 64)
    assert done.code == 2
    one_error(done, words=["stemwright-12 is not downloaded"])
