from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from stemwright.errors import ModelUnavailableError
from stemwright.models.checkpoint import load_into, read_checkpoint
from stemwright.models.msst_config import read_config
from stemwright.models.networks import build
from tests.models.published import LABELS, NETWORKS, TUPLE, demucs_package, msst_config, msst_pair, options

Change = Callable[[dict[str, Any]], object]


def written(folder: Path, architecture: str, change: Change) -> Path:
    """A configuration with something changed."""
    tables = msst_config(architecture)
    change(tables)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tables).replace("'@tuple'", TUPLE))
    return path


@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_published_pair_becomes_a_network(tmp_path: Path, architecture: str) -> None:
    pair = msst_pair(tmp_path, architecture)
    config = read_config(pair.config)
    assert (config.architecture, config.labels, config.sample_rate_hz) == (architecture, LABELS, 44_100)
    assert config.chunk_samples == 44_100
    assert config.overlap == 0.5
    assert dict(config.options) == options(architecture)
    network = build(config.architecture, config.options)
    load_into(network, read_checkpoint(pair.checkpoint), pair.checkpoint)
    with torch.inference_mode():
        assert network(torch.zeros(1, 2, 4096)).shape == (1, 4, 2, 4096)


def test_a_demucs_package_fits_the_configuration_of_its_network(tmp_path: Path) -> None:
    config = read_config(msst_pair(tmp_path, "htdemucs").config)
    path = demucs_package(tmp_path)
    load_into(build("htdemucs", config.options), read_checkpoint(path), path)


def test_a_target_is_all_that_the_network_gives(tmp_path: Path) -> None:
    pair = msst_pair(tmp_path, "bs_roformer", labels=("vocals", "other"), target="other")
    assert read_config(pair.config).not_separated == ("vocals",)
    config = read_config(msst_pair(tmp_path, "bs_roformer", labels=("Vocals", "Instrumental"), target="Vocals").config)
    assert config.labels == ("Vocals",)
    assert config.options["num_stems"] == 1


def test_tuples_of_python_are_read_and_nothing_else_of_python_is(tmp_path: Path) -> None:
    path = msst_pair(tmp_path, "bs_roformer").config
    assert "!!python/tuple" in path.read_text()
    trace = tmp_path / "it-ran"
    path.write_text(f"{path.read_text()}\nextra: !!python/object/apply:os.system ['touch {trace}']\n")
    with pytest.raises(
        ModelUnavailableError, match=r"bs_roformer\.yaml has YAML tags other than plain data and tuples .*os\.system"
    ):
        read_config(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("change", "chunk_samples"),
    [
        (lambda t: t["inference"].update(chunk_size=88_200), 88_200),
        (lambda t: t["audio"].pop("chunk_size") and t["audio"].update(hop_length=441), 344 * 441),
        (lambda t: t["audio"].pop("chunk_size"), 344 * 128),
    ],
)
def test_the_chunk_is_what_the_inference_says_or_the_training_or_older_frames(
    tmp_path: Path, change: Change, chunk_samples: int
) -> None:
    assert read_config(written(tmp_path, "bs_roformer", change)).chunk_samples == chunk_samples


@pytest.mark.parametrize(("num_overlap", "overlap"), [(1, 0.0), (2, 0.5), (4, 0.5), (8, 0.5)])
def test_chunks_overlap_by_a_half_at_most(tmp_path: Path, num_overlap: int, overlap: float) -> None:
    path = written(tmp_path, "scnet", lambda t: t["inference"].update(num_overlap=num_overlap))
    assert read_config(path).overlap == overlap


def test_a_masked_scnet_is_told_by_its_architecture(tmp_path: Path) -> None:
    config = read_config(msst_pair(tmp_path, "scnet").config, "scnet_masked")
    assert (config.architecture, config.options["masked"]) == ("scnet", True)


def test_an_scnet_that_wants_normalised_music_gets_it(tmp_path: Path) -> None:
    path = written(tmp_path, "scnet", lambda t: t["inference"].update(normalize=True))
    assert read_config(path).options["normalize_spectrum"] is True


def test_what_an_mdx23c_is_made_of_stands_in_three_tables(tmp_path: Path) -> None:
    path = msst_pair(tmp_path, "mdx23c", labels=("Vocals", "Instrumental"), target="Vocals").config
    config = read_config(path, "mdx23c")
    wanted = {"num_stems": 1, "n_fft": 512, "hop_length": 128, "dim_f": 192, "scale": [2, 2], "norm": "InstanceNorm"}
    assert wanted.items() <= config.options.items()
    assert (config.labels, config.not_separated) == (("Vocals",), ("Instrumental",))


@pytest.mark.parametrize(("normalize", "found"), [(True, True), (False, None)])
def test_an_mdx23c_that_wants_normalised_music_gets_it(tmp_path: Path, normalize: bool, found: bool | None) -> None:
    path = written(tmp_path, "mdx23c", lambda t: t["inference"].update(normalize=normalize))
    assert read_config(path).options.get("normalize") is found


def test_a_model_type_in_the_file_is_believed(tmp_path: Path) -> None:
    path = written(tmp_path, "bs_roformer", lambda t: t["training"].update(model_type="mel_band_conformer"))
    with pytest.raises(ModelUnavailableError, match=r"config\.yaml is for 'mel_band_conformer', which"):
        read_config(path)


def test_settings_that_change_nothing_are_left_aside(tmp_path: Path) -> None:
    neutral = {"use_torch_checkpoint": True, "sage_attention": True, "num_residual_streams": 1}
    read_config(written(tmp_path, "bs_roformer", lambda t: t["model"].update(neutral)))


@pytest.mark.parametrize(
    ("architecture", "change", "words"),
    [
        (
            "bs_roformer",
            lambda t: t["model"].update(num_residual_streams=4),
            "sets 'num_residual_streams' to 4, which this",
        ),
        (
            "bs_roformer",
            lambda t: t["model"].update(spline_order=3),
            "sets 'spline_order', which bs_roformer does not support",
        ),
        ("bs_roformer", lambda t: t["model"].update(dim="big"), "sets 'dim' to 'big', which is invalid"),
        ("bs_roformer", lambda t: t["model"].pop("dim"), "does not set 'dim'"),
        (
            "bs_roformer",
            lambda t: t["model"].update(freqs_per_bands=[3, 4]),
            "describes an invalid network: .*freqs_per_bands",
        ),
        ("bs_roformer", lambda t: t["model"].update(num_stems=2), "sets 'num_stems' to 2 outputs, .* 4 instruments"),
        ("scnet", lambda t: t["model"].update(sources=["a"]), "sets 'sources' to 1 outputs, .* 4 instruments"),
        ("scnet", lambda t: t["model"].update(tran_depth=2), "is for SCNet Tran, as its 'tran_depth' shows"),
        (
            "scnet",
            lambda t: t["model"].pop("band_SR"),
            "does not say which network it is for; give it with --architecture",
        ),
        ("htdemucs", lambda t: t["htdemucs"].update(cac=False), "sets 'cac' to False, which this version cannot run"),
        (
            "mdx23c",
            lambda t: t["audio"].update(num_channels=1),
            "sets 'num_channels' of its 'audio' to 1, where only 2",
        ),
        ("mdx23c", lambda t: t["audio"].pop("dim_f"), "does not set 'dim_f', which its network needs"),
        ("mdx23c", lambda t: t["audio"].update(dim_f=200), "describes an invalid network: dim_f = 200 cannot be cut"),
        ("mdx23c", lambda t: t["model"].update(scale=2), "sets 'scale' to 2, which is invalid"),
        ("mdx23c", lambda t: t["model"].update(act="silu"), "describes an invalid network: act = silu is unknown"),
        ("mdx23c", lambda t: t["model"].update(attention=True), "sets 'attention', which mdx23c does not support"),
        ("mdx23c", lambda t: t.pop("audio"), "has no table 'audio'"),
        (
            "mdx23c",
            lambda t: t["training"].update(model_type="experimental_mdx23c_stht"),
            "is for 'experimental_mdx23c_stht', which",
        ),
        ("htdemucs", lambda t: t.update(model="hdemucs"), "is for 'hdemucs', which Stemwright does not support"),
        (
            "bs_roformer",
            lambda t: t.update(cls="Bandit", kwargs=t.pop("model")),
            "has no table 'model'",
        ),
        (
            "bs_roformer",
            lambda t: t.update(model={"embed_dim": 512, "depth": 8, "conv_expansion_factor": 2}),
            "is for a conformer, as its 'conv_expansion_factor' shows",
        ),
        (
            "mdx23c",
            lambda t: t.update(model={"act": "gelu", "num_channels": 16, "num_subbands": 8}),
            "is not for a network that Stemwright supports, by the settings of its 'model'",
        ),
        ("scnet", lambda t: t["training"].pop("instruments"), "does not name the 'instruments'"),
        ("scnet", lambda t: t["audio"].update(chunk_size="11 s"), "sets 'chunk_size' to '11 s'"),
        ("scnet", lambda t: t.pop("training"), "has no table 'training'"),
    ],
)
def test_what_cannot_be_run_is_told_with_the_file_and_the_setting(
    tmp_path: Path, architecture: str, change: Change, words: str
) -> None:
    with pytest.raises(ModelUnavailableError, match=rf"config\.yaml {words}") as caught:
        read_config(written(tmp_path, architecture, change))
    assert str(caught.value).count(". ") == 0  # one sentence


def test_a_configuration_of_another_architecture_than_named_is_told(tmp_path: Path) -> None:
    path = msst_pair(tmp_path, "scnet").config
    with pytest.raises(ModelUnavailableError, match=r"scnet\.yaml is for scnet, not for bs_roformer"):
        read_config(path, "bs_roformer")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00", "is not valid YAML"),
        (b"model: [", "is not valid YAML"),
        (b"just text", "contains no tables"),
        (b"", "contains no tables"),
        (b"{}", "has no table 'model'"),
    ],
)
def test_what_is_no_configuration_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ModelUnavailableError, match=rf"config\.yaml {words}"):
        read_config(path)


def test_a_missing_configuration_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"none\.yaml cannot be read"):
        read_config(tmp_path / "none.yaml")
