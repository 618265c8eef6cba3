from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models import registry, weight_store
from stemwright.models.graph_templates import template_of
from stemwright.models.networks import build
from stemwright.models.registry import REMAINDER_LABEL, Model
from stemwright.models.runtimes.onnx_waveform import OnnxWaveformEngine
from stemwright.separation.plan import plan_of
from stemwright.stems import STEMS
from tests.models.runtimes.onnx_graphs import Graph, write_identity

PUBLISHED = [model for model in registry.models() if model.files[0].url]
TORCH = [model for model in PUBLISHED if model.runtime == "pytorch"]
ONNX = [model for model in PUBLISHED if model.runtime == "onnx"]


def test_the_network_in_the_wheel_is_the_one_that_the_registry_means() -> None:
    model = registry.find("stemwright-12")
    content = weight_store.load(model)
    assert len(content) == model.size_bytes
    assert hashlib.sha256(content).hexdigest() == model.files[0].sha256
    assert weight_store.is_available(model)


def test_it_is_small_free_and_knows_the_twelve_stems() -> None:
    model = registry.find("stemwright-12")
    assert model.size_bytes <= 25_000_000
    assert (model.licence, model.licence_code) == ("MIT", "MIT")
    assert model.stems == STEMS


@pytest.mark.parametrize("ask", [registry.find, plan_of], ids=["model", "plan"])
def test_who_asks_for_an_unknown_model_is_told_which_it_may_be(ask: Callable[[str], object]) -> None:
    with pytest.raises(ModelUnavailableError, match="`stemwright models` lists all, among them htdemucs"):
        ask("demucs")
    with pytest.raises(ModelUnavailableError, match="mdx-net-kim-vocal-2"):
        ask("Kim_Vocal_2")
    with pytest.raises(ModelUnavailableError, match=r"`stemwright models` lists all\.$"):
        ask("?" * 100_000)


@pytest.mark.parametrize("ask", [registry.find, plan_of], ids=["model", "plan"])
@pytest.mark.parametrize("old", registry.retired(), ids=lambda old: old.name)
def test_whoever_asks_for_a_retired_model_is_told_its_successor(
    ask: Callable[[str], object], old: registry.RetiredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path))
    assert registry.find(old.successor)
    told = rf"^{old.name} was retired, since .*: take {old.successor} in its place"
    with pytest.raises(ModelUnavailableError, match=rf"{told}\.$"):
        ask(old.name)
    (tmp_path / old.files[0]).touch()
    with pytest.raises(
        ModelUnavailableError, match=rf"{told}; its weights {tmp_path}/{old.files[0]} may be deleted\.$"
    ):
        ask(old.name)


def test_retired_names_and_their_files_are_not_in_use() -> None:
    used = {file.name for model in registry.models() for file in model.files}
    names = {model.name for model in registry.models()}
    for old in registry.retired():
        assert old.name not in names
        assert not used & set(old.files)


def test_names_are_plain_and_are_not_given_twice() -> None:
    names = [model.name for model in registry.models()]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and " " not in name for name in names)


def test_every_file_has_a_name_of_its_own_and_a_digest_of_its_own() -> None:
    files = [file for model in registry.models() for file in model.files]
    assert len({file.name for file in files}) == len({file.sha256 for file in files}) == len(files)


@pytest.mark.parametrize("model", PUBLISHED, ids=lambda model: model.name)
def test_a_published_model_says_all_that_running_it_takes(model: Model) -> None:
    for file in model.files:
        assert all(url.startswith("https://") for url in (file.url, *file.mirrors))
        assert len({file.url, *file.mirrors}) == 1 + len(file.mirrors)
        assert file.digest_reports >= 1, "an entry whose digest nobody has stated is not added"
        assert file.digest_source.startswith("https://") or file.digest_reports > 1
        if "//huggingface.co/" in file.url:
            assert re.search("/resolve/[0-9a-f]{40}/", file.url), "a branch can change, a revision cannot"
    assert len(model.files) in (1, len(model.labels))  # a bag has a network for each label
    assert model.stems
    assert set(model.sources) <= set(STEMS)
    assert {label for labels in model.sources.values() for label in labels} <= {*model.labels, REMAINDER_LABEL}
    assert model.chunk_samples > model.sample_rate_hz
    assert 0 <= model.overlap <= 0.5
    if model.runtime == "pytorch":
        assert model.gflop_per_s > 0 and model.memory_mb > 0
        assert (model.onnx_memory_mb > 0) == (template_of(model) is not None)
    assert model.page.startswith("https://")
    assert model.licence_note or model.licence == "MIT"
    for score in model.scores:
        assert score.stem in model.stems and score.protocol and score.source.startswith("https://")


@pytest.mark.parametrize("model", TORCH, ids=lambda model: model.name)
def test_the_options_describe_a_network_of_the_size_of_its_file(model: Model) -> None:
    tensors = build(model.architecture, model.options).state_dict().values()
    n_numbers = sum(tensor.numel() for tensor in tensors)
    bytes_each = model.size_bytes / len(model.files) / n_numbers
    # float32, or float16 and what is about it; a few hundred bytes for the name of each tensor
    assert any(width <= bytes_each <= 1.02 * width + 400 * len(tensors) / n_numbers for width in (2, 4))


@pytest.mark.parametrize("model", TORCH, ids=lambda model: model.name)
def test_a_network_gives_as_much_as_the_model_has_labels(model: Model) -> None:
    outputs = model.options.get("num_stems") or len(model.options["sources"])
    assert outputs == len(model.labels)


@pytest.mark.parametrize("model", ONNX, ids=lambda model: model.name)
def test_a_graph_that_its_contract_describes_runs(model: Model, tmp_path: Path) -> None:
    """A graph that copies the mix, of the tensors and shapes that the published file is said to have."""
    assert model.onnx is not None
    graph = Graph(model.onnx, model.chunk_samples, len(model.labels))
    engine = OnnxWaveformEngine(model, [write_identity(tmp_path, graph)], device="cpu", threads=2)
    low = np.sin(2 * np.pi * 441 * np.arange(model.chunk_samples) / model.sample_rate_hz)  # a bin that no graph lacks
    mix = np.stack([low, -low]).astype(np.float32)
    (stems,) = engine.separate(mix[np.newaxis])
    for stem, samples in zip(engine.stems, stems, strict=True):
        gain = 1 - len(model.labels) * model.onnx.compensate if model.sources[stem] == (REMAINDER_LABEL,) else 1
        inside = slice(8192, -8192)  # frames at the ends have more bins, of their reflection
        np.testing.assert_allclose(samples[:, inside], gain * mix[:, inside], atol=2e-4)


def test_the_heads_of_mega_stand_where_others_have_counted_them() -> None:
    labels = registry.find("mega-53").labels
    heads = {1: "acoustic-guitar", 7: "bowed_strings", 8: "brass", 16: "electric-guitar", 37: "strings", 38: "synth"}
    assert len(labels) == 53
    assert list(labels) == sorted(labels)
    assert {place: labels[place] for place in heads} == heads


def test_a_model_that_the_user_added_is_found_after_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path))
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "mine.toml").write_text(
        """name = "mine"\ntitle = "Mine"\nruntime = "pytorch"\nkind = "waveform"\nlicence = "MIT"\nlicence_code = "MIT"
        sample_rate_hz = 44100\nlabels = ["a"]\nsources = { drums = ["a"] }\n
        [[files]]\nname = "mine.ckpt"\nurl = ""\nsize_bytes = 3\nsha256 = "%s"\n"""
        % ("0" * 64)
    )
    model = registry.models()[-1]
    assert (model.name, model.added, model.stems) == ("mine", True, ("drums",))


def test_a_description_that_is_none_is_told_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path))
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "mine.toml").write_text("name = 'mine'\n")
    with pytest.raises(ModelUnavailableError, match=r"mine\.toml does not describe a model"):
        registry.models()
    assert registry.find("stemwright-12").stems == STEMS, "others are as they were"


def test_other_weights_make_another_model_and_so_do_other_stems_of_what_was_added() -> None:
    model = registry.find("htdemucs-ft")
    assert replace(model, files=model.files[:2]).identity != model.identity
    mine = replace(registry.find("bs-roformer-sw"), added=True)
    swapped = {**mine.sources, "drums": mine.sources["bass"], "bass": mine.sources["drums"]}
    assert replace(mine).identity == mine.identity
    assert replace(mine, sources=swapped).identity != mine.identity
    assert replace(mine, overlap=0.1).identity != mine.identity
