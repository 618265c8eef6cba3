from __future__ import annotations

import tomllib
from typing import Any

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models.onnx_contract import OnnxContract
from tests.models.onnx_contracts import CONTRACTS


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_is_written_as_it_was_read(name: str) -> None:
    contract = OnnxContract.from_table(tomllib.loads(CONTRACTS[name]), "x.toml")
    assert OnnxContract.from_table(contract.to_table(), "again") == contract


SHAPES: dict[str, tuple[int, int, dict[str, tuple[int, ...]]]] = {
    "waveform": (343_980, 4, {"mix": (1, 2, 343_980), "stems": (1, 4, 2, 343_980)}),
    "packed-mask": (441_000, 1, {"stft_features": (1, 862, 4100), "mask": (1, 1, 2050, 862, 2)}),
    "two-spectra": (176_400, 6, {"spec_imag": (1, 2, 1025, 345), "out_spec_real": (1, 6, 2, 1025, 345)}),
    "mdx-net": (261_120 - 7680, 1, {"input": (1, 4, 3072, 256), "output": (1, 4, 3072, 256)}),
    "both": (343_980, 4, {"mix": (1, 2, 343_980), "spectrum": (2, 2, 2049, 336), "stems": (4, 2, 343_980)}),
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_shapes_are_those_that_are_published(name: str) -> None:
    contract = OnnxContract.from_table(tomllib.loads(CONTRACTS[name]), "x.toml")
    chunk_samples, n_sources, shapes = SHAPES[name]
    sizes = contract.sizes(chunk_samples=chunk_samples, n_sources=n_sources)
    tensors = {tensor.name: tensor for tensor in (*contract.inputs, *contract.outputs)}
    for name, shape in shapes.items():
        assert tensors[name].axes.shape(sizes) == shape


TENSOR: dict[str, Any] = {"name": "mix", "kind": "waveform", "layout": "1 channel sample"}
STEMS: dict[str, Any] = {"name": "stems", "kind": "waveform", "layout": "1 source channel sample"}
SPECTRUM: dict[str, Any] = {"name": "spec", "kind": "complex_spectrum", "layout": "channel bin frame part"}
TRANSFORM: dict[str, Any] = {"n_fft": 512, "hop": 128}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inputs": None}, "no list of tables 'onnx.inputs'"),
        ({"inputs": []}, "at least one input"),
        ({"inputs": [{**TENSOR, "shape": [1, 2]}]}, r"'onnx.inputs\[0\].shape' is unknown; there are name, kind"),
        ({"inputs": [{"name": "mix", "kind": "waveform"}]}, r"'onnx.inputs\[0\].layout' is missing"),
        ({"inputs": [{**TENSOR, "kind": "samples"}]}, "is 'samples', which is none of waveform, complex_spectrum"),
        ({"inputs": [{**TENSOR, "type": "int8"}]}, "is 'int8', which is none of float32, float16"),
        ({"inputs": [{**TENSOR, "layout": "1 sample"}]}, "'1 sample' of 'mix' has other axes than channel, sample"),
        ({"inputs": [{**TENSOR, "layout": "1 channel time"}]}, "'1 channel time' of 'mix' has other axes"),
        ({"inputs": [{**TENSOR, "layout": "1, channel"}]}, "is not a list of axes"),
        ({"inputs": [{**TENSOR, "part": "real"}]}, "'mix' is a waveform, which has no part"),
        ({"inputs": [{**TENSOR, "layout": "source channel sample"}]}, "'mix' is the mix"),
        ({"inputs": [TENSOR, TENSOR]}, "'mix' is named twice"),
        ({"inputs": [TENSOR, {**TENSOR, "name": "more"}]}, "two waveforms"),
        ({"inputs": [SPECTRUM]}, "need a table 'transform'"),
        ({"transform": TRANSFORM}, "has no 'transform'"),
        ({"inputs": [{**SPECTRUM, "layout": "channel bin frame"}], "transform": TRANSFORM}, "channel, frame, part"),
        (
            {"inputs": [{**SPECTRUM, "layout": "channel bin frame", "part": "real"}], "transform": TRANSFORM},
            "'spec' are not one complex spectrum",
        ),
        ({"inputs": [SPECTRUM], "transform": {"n_fft": 511, "hop": 128}}, "n_fft is 511"),
        ({"inputs": [SPECTRUM], "transform": {"n_fft": 512, "hop": 300}}, "hop is 300"),
        ({"inputs": [SPECTRUM], "transform": {**TRANSFORM, "bins": 258}}, "bins is 258, but n_fft = 512 has 257"),
        ({"inputs": [SPECTRUM], "transform": {**TRANSFORM, "window_length": 513}}, "window_length is 513"),
        ({"inputs": [SPECTRUM], "transform": {**TRANSFORM, "zeroed_input_bins": -1}}, "zeroed_input_bins is -1"),
        ({"inputs": [SPECTRUM], "transform": {**TRANSFORM, "window": "hamming"}}, "none of hann, rectangular"),
        ({"inputs": [SPECTRUM], "transform": {**TRANSFORM, "windows": "hann"}}, "'onnx.transform.windows' is unknown"),
        ({"inputs": [SPECTRUM], "transform": {**TRANSFORM, "offset": 128}}, "offset is 128"),
        ({"inputs": [SPECTRUM], "transform": {**TRANSFORM, "frames": -1}}, "frames is -1"),
        (
            {"inputs": [SPECTRUM], "transform": {"n_fft": 512, "hop": 100, "envelope": "infinite"}},
            "multiple of the hop",
        ),
        ({"inputs": [SPECTRUM], "transform": {**TRANSFORM, "centred": False}}, "margin_samples must be n_fft = 512"),
        ({"inputs": [SPECTRUM], "transform": {**TRANSFORM, "centred": 1}}, "'onnx.transform.centred' is 1"),
        ({"margin_samples": -1}, "margin_samples is -1"),
        ({"tail_samples": -1}, "tail_samples is -1"),
        ({"compensate": 0.1}, "compensate is 0.1"),
        ({"normalization": "none"}, "'onnx.normalization' is unknown"),
    ],
)
def test_a_table_that_contradicts_itself_is_told_with_the_key(changes: dict[str, Any], words: str) -> None:
    table = {"inputs": [TENSOR], "outputs": [STEMS], **changes}
    with pytest.raises(ModelUnavailableError, match=rf"x\.toml has no valid contract of an ONNX file: .*{words}"):
        OnnxContract.from_table(table, "x.toml")


def test_sources_that_no_axis_counts_are_refused() -> None:
    contract = OnnxContract.from_table({"inputs": [TENSOR], "outputs": [{**STEMS, "layout": "channel sample"}]}, "x")
    assert contract.sizes(chunk_samples=100, n_sources=1)["sample"] == 100
    with pytest.raises(ValueError, match="no source axis for 2 labels"):
        contract.sizes(chunk_samples=100, n_sources=2)


@pytest.mark.parametrize(("frames", "fits"), [(8, True), (9, True), (7, False), (10, False)])
def test_a_stated_number_of_frames_has_to_cover_the_chunk(frames: int, fits: bool) -> None:
    stems = {**STEMS, "kind": "complex_mask", "layout": "source channel bin frame part"}
    table = {"inputs": [SPECTRUM], "outputs": [stems], "transform": {**TRANSFORM, "frames": frames}}
    contract = OnnxContract.from_table(table, "x")
    if fits:
        assert contract.sizes(chunk_samples=896, n_sources=1)["frame"] == frames
    else:
        with pytest.raises(ValueError, match=f"{frames} frames do not fit a chunk of 896 samples, which has 8"):
            contract.sizes(chunk_samples=896, n_sources=1)
