"""The waveform engine of ONNX Runtime on small graphs with the contracts of published files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from stemwright.errors import ModelUnavailableError
from stemwright.models.engine import WaveformEngine
from stemwright.models.runtimes.chunk_stft import ChunkStft
from stemwright.models.runtimes.onnx_waveform import OnnxWaveformEngine
from stemwright.separation.options import Options
from stemwright.separation.separator import Separator
from tests.models.runtimes.onnx_graphs import SMALL, Graph, constant, model_of, save, small, write_identity

KINDS = list(SMALL)


def engine_of(folder: Path, graph: Graph, gains: list[float] | None = None, **changes: Any) -> OnnxWaveformEngine:
    path = write_identity(folder, graph, gains)
    return OnnxWaveformEngine(model_of(graph, path, **changes), [path], device="cpu", threads=2)


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(shape[-1]).uniform(-0.5, 0.5, shape).astype(np.float32)


def sources_of(kind: str) -> int:
    return 1 if kind == "mdx-net" else 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_that_copies_gives_the_mix_and_each_source_its_gain(kind: str, tmp_path: Path) -> None:
    gains = [1.0, 0.5, -0.25, 0.125][: sources_of(kind)]
    engine = engine_of(tmp_path, small(kind, len(gains)), gains)
    assert isinstance(engine, WaveformEngine)
    mix = noise(3, 2, engine.chunk.length)
    stems = engine.separate(mix)
    assert stems.shape == (3, len(gains), 2, engine.chunk.length) and stems.dtype == np.float32
    np.testing.assert_allclose(stems, mix[:, None] * np.array(gains, np.float32)[:, None, None], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_half_floats_are_cast_at_the_border(kind: str, tmp_path: Path) -> None:
    engine = engine_of(tmp_path, small(kind, sources_of(kind), "float16"))
    mix = noise(1, 2, engine.chunk.length)
    np.testing.assert_allclose(engine.separate(mix)[0, 0], mix[0], atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n_samples=st.integers(1, 9000))
def test_a_song_of_any_length_comes_back(kind: str, tmp_path: Path, n_samples: int) -> None:
    """Through chunks and overlap-add, also where the song is shorter than a chunk."""
    separator = _separator(kind, tmp_path)
    song = noise(2, n_samples)
    stems = separator.separate(song, 44_100, "vocals")
    np.testing.assert_allclose(stems["vocals"], song, atol=1e-6)
    np.testing.assert_allclose(stems["vocals"] + stems["residual"], song, atol=1e-7)


_SEPARATORS: dict[str, Separator] = {}


def _separator(kind: str, folder: Path) -> Separator:
    if kind not in _SEPARATORS:
        _SEPARATORS[kind] = Separator(engine=engine_of(folder, small(kind)))
    return _SEPARATORS[kind]


def test_a_mask_is_multiplied_as_a_complex_number_and_bins_are_zeroed(tmp_path: Path) -> None:
    """The packed features and mask of BS PolarFormer, against torch's transform."""
    graph = small("packed-mask", zeroed_output_bins=1)
    sizes = graph.sizes
    generator = np.random.default_rng(3)
    mask = generator.standard_normal((1, 1, sizes["bin"], 2, sizes["frame"], 2)).astype(np.float32)
    path = save(
        tmp_path / "mask.onnx",
        graph,
        [helper.make_node("Identity", ["value"], ["mask"])],
        [constant(mask.reshape(1, 1, -1, sizes["frame"], 2), "value")],
    )
    engine = OnnxWaveformEngine(model_of(graph, path), [path], device="cpu", threads=1)
    mix = noise(1, 2, engine.chunk.length)
    window = torch.hann_window(256)
    spectrum = torch.stft(torch.from_numpy(mix[0]), 256, 64, window=window, return_complex=True)
    masked = spectrum * torch.view_as_complex(torch.from_numpy(mask[0, 0])).transpose(0, 1)  # (2, bins, frames)
    masked[:, 0] = 0
    wanted = torch.istft(masked, 256, 64, window=window, length=mix.shape[2]).numpy()
    np.testing.assert_allclose(engine.separate(mix)[0, 0], wanted, atol=1e-4 * np.abs(wanted).max())


def test_mdx_net_gets_no_lowest_bins_and_gives_none_above_its_own(tmp_path: Path) -> None:
    graph = small("mdx-net", bins=150, zeroed_input_bins=3)
    path = write_identity(tmp_path, graph)
    model = model_of(graph, path)
    engine = OnnxWaveformEngine(model, [path], device="cpu", threads=1)
    mix = noise(1, 2, engine.chunk.length)
    transform, margin = graph.contract.transform, graph.contract.margin_samples
    assert transform is not None
    window = torch.hann_window(transform.n_fft)
    padded = torch.nn.functional.pad(torch.from_numpy(mix[0]), (margin, margin))
    spectrum = torch.stft(padded, transform.n_fft, transform.hop, window=window, return_complex=True)
    spectrum[:, :3] = 0
    spectrum[:, 150:] = 0
    back = torch.istft(spectrum, transform.n_fft, transform.hop, window=window, length=padded.shape[1])
    wanted = back[:, margin:-margin].numpy()
    np.testing.assert_allclose(engine.separate(mix)[0, 0], wanted, atol=1e-4 * np.abs(wanted).max())


def test_what_is_subtracted_is_compensated_and_what_is_given_is_not(tmp_path: Path) -> None:
    graph = small("mdx-net")
    graph = replace(graph, contract=replace(graph.contract, compensate=1.02))
    path = write_identity(tmp_path, graph, [0.5])
    mix = noise(1, 2, graph.chunk_samples)
    given_itself = OnnxWaveformEngine(model_of(graph, path), [path], device="cpu", threads=1)
    np.testing.assert_allclose(given_itself.separate(mix)[0, 0], 0.5 * mix[0], atol=1e-6)
    rest = model_of(graph, path, labels=("instrumental",), sources={"vocals": ("rest",)})
    stems = OnnxWaveformEngine(rest, [path], device="cpu", threads=1).separate(mix)
    np.testing.assert_allclose(stems[0, 0], (1 - 0.51) * mix[0], atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 1e-3, 1.0, 100.0])
def test_a_normalised_chunk_reaches_the_graph_at_one_level(level: float, tmp_path: Path) -> None:
    """A graph that clips: what is clipped shows the level inside."""
    graph = small("waveform")
    graph = replace(graph, contract=replace(graph.contract, normalisation="mean_std"))
    nodes = [
        helper.make_node("Clip", ["mix", "low", "high"], ["clipped"]),
        helper.make_node("Unsqueeze", ["clipped", "first"], ["stems"]),
    ]
    values = {"low": np.array(-1, np.float32), "high": np.array(1, np.float32), "first": np.array([1])}
    limits = [constant(value, name) for name, value in values.items()]
    path = save(tmp_path / "clip.onnx", graph, nodes, limits)
    engine = OnnxWaveformEngine(model_of(graph, path), [path], device="cpu", threads=1)
    mix = level * (noise(1, 2, engine.chunk.length) + np.float32(0.1))
    mono = mix[0].mean(axis=0)
    wanted = np.clip(mix[0], mono.mean() - mono.std(), mono.mean() + mono.std())
    np.testing.assert_allclose(engine.separate(mix)[0, 0], wanted, atol=1e-5 * level)


def test_only_the_sources_that_stems_need_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = small("two-spectra", 4)
    path = write_identity(tmp_path, graph, [1.0, 2.0, 3.0, 4.0])
    model = model_of(graph, path).restricted(["bass"])
    engine = OnnxWaveformEngine(model, [path], device="cpu", threads=1)
    computed = []
    inverse = ChunkStft.inverse

    def counted(stft: ChunkStft, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
        computed.append(1)
        return inverse(stft, spectrum)

    monkeypatch.setattr(ChunkStft, "inverse", counted)
    mix = noise(1, 2, engine.chunk.length)
    np.testing.assert_allclose(engine.separate(mix)[0, 0], 3 * mix[0], atol=1e-5)
    assert computed == [1]


def test_each_file_of_a_bag_gives_its_own_label(tmp_path: Path) -> None:
    graph = small("waveform", 2)
    paths = []
    for name, gains in (("one", [0.5, 9.0]), ("other", [9.0, 0.25])):
        (tmp_path / name).mkdir()
        paths.append(write_identity(tmp_path / name, graph, gains))
    model = model_of(graph, paths[0])
    mix = noise(1, 2, graph.chunk_samples)
    stems = OnnxWaveformEngine(model, paths, device="cpu", threads=1).separate(mix)[0]
    np.testing.assert_allclose(stems, mix[0] * np.array([0.5, 0.25], np.float32)[:, None, None], atol=1e-6)
    paths[0].unlink()
    drums = OnnxWaveformEngine(model.restricted(["drums"]), paths, device="cpu", threads=1).separate(mix)
    np.testing.assert_allclose(drums[0, 0], 0.25 * mix[0], atol=1e-6, err_msg="a file that is not needed is not read")


def test_a_song_is_separated_from_file_to_files(tmp_path: Path) -> None:
    import soundfile

    graph = small("waveform", 4)
    engine = engine_of(tmp_path, graph, [0.4, 0.3, 0.2, 0.05])
    song = tmp_path / "song.wav"
    soundfile.write(song, noise(2, 30_000).T, 44_100, "PCM_16")
    result = Separator(engine=engine).separate_file(song, Options(stems="vocals,drums", out=tmp_path / "out"))
    parts = [soundfile.read(stem.path, dtype="int16")[0].astype(int) for stem in result.stems]
    np.testing.assert_array_equal(sum(parts), soundfile.read(song, dtype="int16")[0])


def test_nan_is_told_with_file_and_tensor(tmp_path: Path) -> None:
    graph = small("two-spectra")
    path = write_identity(tmp_path, graph, [float("nan")])
    engine = OnnxWaveformEngine(model_of(graph, path), [path], device="cpu", threads=1)
    with pytest.raises(ModelUnavailableError, match=r"small\.onnx gives NaN or infinity in 'out_spec_real'"):
        engine.separate(noise(1, 2, engine.chunk.length))
