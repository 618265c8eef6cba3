from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from stemwright.models import registry, speed, weight_store
from stemwright.models.checkpoint import load_into, read_checkpoint
from stemwright.models.licences import is_permissive
from stemwright.models.networks import build
from stemwright.models.weight_file import file_lock
from tests.cli.conftest import one_error, run
from tests.models.published import msst_pair, options, weights


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of the test's own, and no word of the environment on what is allowed."""
    for name in ("STEMWRIGHT_MODEL_MIRROR", "STEMWRIGHT_OFFLINE", "STEMWRIGHT_LICENSE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.mark.parametrize("command", [("models", "--json"), ("models", "list", "--json")])
def test_every_model_of_the_registry_is_listed(command: tuple[str, ...]) -> None:
    facts = json.loads(run(*command).out)
    assert [model["name"] for model in facts] == [model.name for model in registry.models()]
    wanted = {"name", "title", "plans", "stems", "size_bytes", "licence", "runtime", "installed", "files", "scores"}
    assert wanted <= set(facts[0])


@pytest.mark.parametrize("command", [("models",), ("models", "list")])
def test_the_table_says_what_one_wants_to_know_before_a_download(command: tuple[str, ...]) -> None:
    out = run(*command).out
    for words in ("stemwright-12", "fast", "MIT", "installed", "scnet-large", "unstated", "Multisong", "GB", "about"):
        assert words in out


def test_all_that_may_not_be_used_for_anything_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = json.loads(run("models", "list", "--json", "--license", "permissive").out)
    assert {model["licence"] for model in facts} == {"MIT"}
    monkeypatch.setenv("STEMWRIGHT_LICENSE", "permissive")
    assert json.loads(run("models", "--json").out) == facts
    assert "restrict what you may use" not in run("models").out


def test_one_model_is_shown_with_its_sources() -> None:
    out = run("models", "show", "htdemucs-ft").out
    for words in (
        "scientific purposes",
        "issues/327",
        "04573f0d-f3cf25b2.th",
        "SHA-256 f3cf25b2",
        "drums 11.13 dB",
        "MVSep",
    ):
        assert words in out
    assert json.loads(run("models", "show", "mega-53", "--json").out)["sources"]["strings"] == ["bowed_strings"]


def test_a_model_that_is_not_there_is_told() -> None:
    done = run("models", "show", "demucs")
    assert done.code == 4
    one_error(done, words=["demucs", "htdemucs-ft"])


def test_the_best_speed_that_was_measured_counts(tmp_path: Path) -> None:
    """A busy machine measures too little, and what it kept would be wrong for ever."""
    kept = tmp_path / "cache" / "speed.json"

    def minutes(known: float) -> float:
        speed.gflop_per_s.cache_clear()
        kept.write_text(json.dumps({**json.loads(kept.read_text()), "gflop_per_s": known}))
        return float(json.loads(run("models", "show", "scnet-large", "--json").out)["minutes_for_3_minutes"])

    speed.gflop_per_s.cache_clear()
    run("models", "show", "scnet-large")
    wanted = 180 * registry.find("scnet-large").gflop_per_s / speed.EFFICIENCY / 60
    assert minutes(1e6) == pytest.approx(wanted / 1e6, abs=0.1)
    assert minutes(0.001) < wanted / 0.01
    assert json.loads(kept.read_text())["gflop_per_s"] > 0.1


def test_weights_are_downloaded_verified_and_removed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = _small_model(tmp_path, monkeypatch)
    assert "was not installed" in run("models", "remove", name).out
    done = run("models", "download", name)
    assert done.code == 0, done.err
    assert f"{name}: installed." in done.out
    assert f"{name}: verified." in run("models", "verify").out
    (path,) = folder.glob("*.ckpt")
    whole, times = path.read_bytes(), path.stat()
    path.write_bytes(bytes(times.st_size))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a bad disk does it
    assert run("models", "verify", name).code == 4
    done = run("models", "download", name)
    assert done.code == 0, done.err
    assert path.read_bytes() == whole, "damaged weights are downloaded again"
    assert "removed" in run("models", "remove", name).out
    assert not list(folder.glob("*.ckpt"))


def test_a_plan_stands_for_the_best_model_of_each_step_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("stemwright.models.weight_download.download", lambda file, *_, **__: asked.append(file.name))
    monkeypatch.setattr("stemwright.models.weight_store.verify", lambda file: None)
    done = run("models", "download", "best", "--license", "permissive")
    assert done.out.splitlines()[0] == "mel-band-roformer-kim: installed."
    assert "MelBandRoformer.ckpt" in asked
    free = {file.name for model in registry.models() if is_permissive(model) for file in model.files}
    assert set(asked) <= free
    assert run("models", "download", "best").code == 0
    assert "mvsep_mega_model_bs_roformer_53_stems_v1.ckpt" in asked


def test_a_licence_that_is_not_allowed_is_refused_before_anything_is_downloaded(folder: Path) -> None:
    done = run("models", "download", "scnet-large", "bs-roformer-sw", "--license", "permissive")
    assert done.code == 4
    one_error(done, words=["bs-roformer-sw", "unstated", "--license permissive"])
    assert not folder.exists()


def test_what_ships_with_stemwright_stays() -> None:
    done = run("models", "remove", "stemwright-12")
    assert done.code == 2
    one_error(done, words=["is part of Stemwright"])


@pytest.mark.parametrize("link", [True, False])
def test_a_model_of_ones_own_is_taken_in(tmp_path: Path, folder: Path, link: bool) -> None:
    pair = msst_pair(tmp_path, "bs_roformer", labels=("Vocals", "Instrumental"), target="Vocals", half=True)
    added = ["--config", str(pair.config), "--checkpoint", str(pair.checkpoint), "--name", "mine", "--licence", "MIT"]
    done = run("models", "add", *added, *(["--link"] if link else []))
    assert done.code == 0, done.err
    assert done.out == "mine: added, bs_roformer, separates vocals.\n"
    model = registry.find("mine")
    assert (model.added, model.licence, model.stems, model.overlap) == (True, "MIT", ("vocals",), 0.5)
    assert model.gflop_per_s > 0
    path = weight_store.find(model.files[0])
    assert path is not None and path.is_symlink() == link
    load_into(build(model.architecture, model.options), read_checkpoint(path), path)
    assert "added by you" in run("models", "show", "mine").out
    assert run("models", "verify", "mine").code == 0
    assert run("models", "remove", "mine").out == "mine: removed.\n"
    assert pair.checkpoint.exists()
    assert [path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")] == []
    assert run("models", "show", "mine").code == 4


def test_a_model_whose_linked_file_is_gone_can_still_be_removed(tmp_path: Path, folder: Path) -> None:
    pair = msst_pair(tmp_path, "scnet")
    added = ["--config", str(pair.config), "--checkpoint", str(pair.checkpoint), "--name", "mine"]
    assert run("models", "add", *added, "--link").code == 0
    pair.checkpoint.unlink()
    assert run("models", "remove", "mine").out == "mine: removed.\n"
    assert not any(path.is_symlink() for path in folder.iterdir())


def test_one_name_is_not_added_twice_at_once(tmp_path: Path, folder: Path) -> None:
    pair = msst_pair(tmp_path, "scnet")
    folder.mkdir(parents=True)
    with file_lock(folder / ".mine.lock", lambda: None):
        done = run(
            "models", "add", "--config", str(pair.config), "--checkpoint", str(pair.checkpoint), "--name", "mine"
        )
    assert done.code == 2
    one_error(done, words=["'mine' is being added right now"])


def test_labels_that_are_no_stems_get_one(tmp_path: Path) -> None:
    pair = msst_pair(tmp_path, "scnet", labels=("kick", "snare"))
    added = ["models", "add", "--config", str(pair.config), "--checkpoint", str(pair.checkpoint), "--name", "kit"]
    done = run(*added)
    assert done.code == 4
    one_error(done, words=["scnet.yaml", "'kick'", "--stem kick=STEM"])
    assert run(*added, "--stem", "kick=drums", "--stem", "snare=drums").code == 0
    assert registry.find("kit").sources == {"drums": ("kick", "snare")}
    assert run(*added, "--stem", "kick").code == 2


def test_a_mask_head_that_the_configuration_does_not_name_is_found_in_the_checkpoint(tmp_path: Path) -> None:
    pair = msst_pair(tmp_path, "bs_roformer", labels=("vocals",))
    torch.save(weights("bs_roformer", {**options("bs_roformer", ("vocals",)), "hyperace": True}), pair.checkpoint)
    added = ["models", "add", "--config", str(pair.config), "--checkpoint", str(pair.checkpoint), "--name", "ace"]
    assert run(*added, "--link").code == 0
    model = registry.find("ace")
    assert model.options["hyperace"] is True
    load_into(build(model.architecture, model.options), read_checkpoint(pair.checkpoint), pair.checkpoint)


def test_a_checkpoint_of_another_network_is_refused_with_the_first_tensor_that_is_wrong(
    tmp_path: Path, folder: Path
) -> None:
    wanted, other = msst_pair(tmp_path, "bs_roformer"), msst_pair(tmp_path, "scnet")
    done = run("models", "add", "--config", str(wanted.config), "--checkpoint", str(other.checkpoint), "--name", "mine")
    assert done.code == 4
    one_error(done, words=["scnet.ckpt does not fit its network", "is missing"])
    assert not folder.exists()


@pytest.mark.parametrize("name", ["htdemucs", "best", "Mine", "../mine", ""])
def test_a_name_that_is_taken_or_none_is_refused(tmp_path: Path, folder: Path, name: str) -> None:
    pair = msst_pair(tmp_path, "scnet")
    done = run("models", "add", "--config", str(pair.config), "--checkpoint", str(pair.checkpoint), "--name", name)
    assert done.code == 2
    one_error(done, words=[f"'{name}'"])
    assert not folder.exists()


def _small_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A published model whose file lies in a folder that stands for the net."""
    import hashlib
    from dataclasses import replace

    net = tmp_path / "net"
    net.mkdir()
    content = b"weights" * 1000
    (net / "small.ckpt").write_bytes(content)
    shipped = registry.models()
    file = replace(
        registry.find("scnet-large").files[0],
        name="small.ckpt",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    small = replace(registry.find("scnet-large"), name="small", files=(file,))
    monkeypatch.setattr(registry, "_shipped", lambda: (*shipped, small))
    monkeypatch.setenv("STEMWRIGHT_MODEL_MIRROR", net.as_uri())
    return "small"
