from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models import registry, weight_store
from stemwright.models.engine import MaskEngine
from stemwright.models.engine_loading import load_engine
from stemwright.models.runtimes.onnx import OnnxMaskEngine
from stemwright.models.runtimes.onnx_providers import PROVIDERS

MODEL = registry.find("stemwright-12")


@pytest.fixture(scope="module")
def engine() -> OnnxMaskEngine:
    return OnnxMaskEngine(MODEL, weight_store.load(MODEL), device="cpu", threads=2)


def noise(frames: int, level: float) -> np.ndarray:
    parts = np.random.default_rng(0).standard_normal((2, frames, 2, 2049)) * level
    spectrum: np.ndarray = (parts[0] + 1j * parts[1]).astype(np.complex64)
    return spectrum


@pytest.mark.parametrize("level", [0.0, 1e-6, 1.0, 1e4])
def test_masks_are_shares_that_add_up_to_one(engine: OnnxMaskEngine, level: float) -> None:
    masks = engine.masks(noise(engine.chunk.length, level))
    assert masks.shape == (engine.chunk.length, 12, 2, 384)
    assert masks.dtype == np.float32
    assert (masks >= 0).all()
    np.testing.assert_allclose(masks.sum(axis=1), 1, atol=1e-5)


def test_the_same_chunk_gives_the_same_masks(engine: OnnxMaskEngine) -> None:
    """A resumed run must give the same bytes as one that was not interrupted."""
    chunk = noise(engine.chunk.length, 1.0)
    np.testing.assert_array_equal(engine.masks(chunk), engine.masks(chunk))


def test_it_speaks_the_protocol_and_names_its_weights(engine: OnnxMaskEngine) -> None:
    assert isinstance(engine, MaskEngine)
    assert engine.name == f"stemwright-12@{MODEL.files[0].sha256[:16]}"
    assert engine.chunk.length % 64 == 0


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_told_with_the_remedy(device: str) -> None:
    import onnxruntime

    if PROVIDERS[device] in onnxruntime.get_available_providers():
        pytest.skip(f"this machine's ONNX Runtime has {device}")
    with pytest.raises(ModelUnavailableError, match="--device cpu"):
        load_engine(MODEL, device=device, threads=1)


def test_a_file_that_is_no_network_is_told() -> None:
    with pytest.raises(ModelUnavailableError, match="cannot run stemwright-12"):
        OnnxMaskEngine(MODEL, b"no network", device="cpu", threads=1)


def test_a_runtime_that_is_not_there_is_told() -> None:
    with pytest.raises(ModelUnavailableError, match="torch runtime"):
        load_engine(replace(MODEL, runtime="torch"), device="cpu", threads=1)
