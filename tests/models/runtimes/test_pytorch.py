from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from stemwright.errors import ModelUnavailableError
from stemwright.models import devices, networks
from stemwright.models.engine import WaveformEngine
from stemwright.models.registry import Model
from stemwright.models.runtimes import pytorch
from stemwright.models.runtimes.pytorch import TorchWaveformEngine
from stemwright.models.weight_file import WeightFile
from tests.models.architectures.filling import fill

OPTIONS = {
    "dim": 16,
    "depth": 1,
    "stereo": True,
    "num_stems": 3,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "freqs_per_bands": (2,) * 16 + (8,) * 4 + (65,),
    "dim_head": 8,
    "heads": 2,
    "stft_n_fft": 256,
    "stft_hop_length": 64,
    "stft_win_length": 256,
    "mask_estimator_depth": 1,
}
LABELS = ("drums", "vocals", "piano")
CHUNK = 4096


def checkpoint(folder: Path, name: str = "net.ckpt", seed: str = "") -> Path:
    network = networks.build("bs_roformer", OPTIONS)
    state = {key: torch.from_numpy(fill(seed + key, tuple(value.shape))) for key, value in network.state_dict().items()}
    torch.save(state, folder / name)
    return folder / name


def model(*paths: Path, sources: dict[str, tuple[str, ...]] | None = None, labels: tuple[str, ...] = LABELS) -> Model:
    files = tuple(
        WeightFile(path.name, "", path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths
    )
    return Model(
        name="small",
        title="",
        runtime="pytorch",
        kind="waveform",
        files=files,
        licence="MIT",
        licence_code="MIT",
        sample_rate_hz=44_100,
        labels=labels,
        sources=sources or {"vocals": ("vocals",), "drums": ("drums",), "keyboard": ("piano",)},
        architecture="bs_roformer",
        options=OPTIONS,
        chunk_samples=CHUNK,
        overlap=0.25,
    )


def engine(one: Model, *paths: Path) -> TorchWaveformEngine:
    return TorchWaveformEngine(one, paths, device="cpu", threads=1)


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_PRECISION", "float32")


@pytest.fixture
def chunks() -> np.ndarray:
    return np.random.default_rng(2).uniform(-1, 1, (3, 2, CHUNK)).astype(np.float32)


@torch.inference_mode()
def given(path: Path, chunks: np.ndarray) -> dict[str, np.ndarray]:
    """What the network itself gives, by label."""
    network = networks.build("bs_roformer", OPTIONS).to_empty(device="cpu").eval()
    network.load_state_dict(torch.load(path, weights_only=True), assign=True)
    outputs = network(torch.from_numpy(chunks)).numpy()
    return {label: outputs[:, place] for place, label in enumerate(LABELS)}


def test_it_speaks_the_protocol_and_gives_stems_in_the_order_of_the_vocabulary(
    tmp_path: Path, chunks: np.ndarray
) -> None:
    path = checkpoint(tmp_path)
    made = engine(model(path), path)
    assert isinstance(made, WaveformEngine)
    assert made.stems == ("vocals", "drums", "keyboard")
    assert (made.batch, made.chunk.length, made.chunk.overlap) == (1, CHUNK, CHUNK // 4)
    assert made.name == f"small@{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    labels = given(path, chunks)
    assert all(np.abs(audio).max() > 1e-3 for audio in labels.values())
    want = np.stack([labels["vocals"], labels["drums"], labels["piano"]], axis=1)
    np.testing.assert_allclose(made.separate(chunks), want, atol=1e-5)


def test_labels_are_added_up_and_the_rest_is_what_they_leave(tmp_path: Path, chunks: np.ndarray) -> None:
    path = checkpoint(tmp_path)
    sources = {"vocals": ("rest",), "drums": ("drums", "vocals", "piano")}
    made = engine(model(path, sources=sources), path).separate(chunks)
    np.testing.assert_allclose(made[:, 1], sum(given(path, chunks).values()), atol=1e-5)
    np.testing.assert_allclose(made.sum(axis=1), chunks, atol=1e-5)


def test_what_is_left_takes_every_label_also_where_no_stem_is_made_of_them(tmp_path: Path, chunks: np.ndarray) -> None:
    path = checkpoint(tmp_path)
    made = engine(model(path, sources={"vocals": ("rest",)}), path).separate(chunks)
    np.testing.assert_allclose(made[:, 0], chunks - sum(given(path, chunks).values()), atol=1e-5)


def test_only_the_heads_that_are_wanted_are_made(tmp_path: Path, chunks: np.ndarray) -> None:
    path = checkpoint(tmp_path)
    one = model(path, sources={"keyboard": ("piano",)})
    (part,) = networks.load(one, [path])
    assert part.output_indices == {"piano": 0}
    assert {key.split(".")[1] for key in part.network.state_dict() if key.startswith("mask_estimators.")} == {"0"}
    np.testing.assert_allclose(engine(one, path).separate(chunks)[:, 0], given(path, chunks)["piano"], atol=1e-5)


def test_each_network_of_a_bag_gives_the_label_of_its_place(tmp_path: Path, chunks: np.ndarray) -> None:
    paths = [checkpoint(tmp_path, f"{place}.ckpt", seed=str(place)) for place in range(3)]
    made = engine(model(*paths), *paths).separate(chunks)
    for place, (stem, label) in enumerate((("drums", "drums"), ("vocals", "vocals"), ("keyboard", "piano"))):
        found = made[:, ("vocals", "drums", "keyboard").index(stem)]
        np.testing.assert_allclose(found, given(paths[place], chunks)[label], atol=1e-5)


def test_of_a_bag_those_networks_run_alone_whose_label_is_wanted(tmp_path: Path, chunks: np.ndarray) -> None:
    paths = [checkpoint(tmp_path, f"{place}.ckpt", seed=str(place)) for place in range(3)]
    one = model(*paths, sources={"drums": ("drums",)})
    (part,) = networks.load(one, paths)
    ((_, place),) = part.output_indices.items()
    found = engine(one, *paths).separate(chunks)[:, 0]
    np.testing.assert_allclose(found, given(paths[place], chunks)["drums"], atol=1e-5)


def test_half_precision_is_close_and_answers_in_full(
    tmp_path: Path, chunks: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = checkpoint(tmp_path)
    full = engine(model(path), path).separate(chunks)
    monkeypatch.setenv("STEMWRIGHT_PRECISION", "bfloat16")
    half = engine(model(path), path).separate(chunks)
    assert half.dtype == np.float32
    error = np.square(half - full).mean() / np.square(full).mean()
    assert 0 < error < 1e-3


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.01 GiB)"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        MemoryError("Unable to allocate 5 MiB for an array"),
    ],
)
def test_a_batch_that_does_not_fit_is_halved(
    tmp_path: Path, chunks: np.ndarray, monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    path = checkpoint(tmp_path)
    made = engine(model(path), path)
    want = made.separate(chunks)
    sizes: list[int] = []
    whole = made._separate

    def small(part: np.ndarray) -> np.ndarray:
        sizes.append(len(part))
        if len(part) > 1:
            raise error
        return whole(part)

    monkeypatch.setattr(made, "_separate", small)
    np.testing.assert_array_equal(made.separate(chunks), want)
    assert sizes == [3, 1, 1, 1]
    made.separate(chunks)
    assert sizes[4:] == [1, 1, 1], "it does not try again what did not fit"

    def none(part: np.ndarray) -> np.ndarray:
        raise error

    monkeypatch.setattr(made, "_separate", none)
    with pytest.raises(ModelUnavailableError, match="does not fit into the memory of cpu; close other programs"):
        made.separate(chunks)

    def broken(part: np.ndarray) -> np.ndarray:
        raise RuntimeError("another")

    monkeypatch.setattr(made, "_separate", broken)
    with pytest.raises(RuntimeError, match="another"):
        made.separate(chunks)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_told_with_the_remedy(tmp_path: Path, device: str) -> None:
    if getattr(torch, device).is_available() if device == "cuda" else torch.backends.mps.is_available():
        pytest.skip(f"this machine has {device}")
    path = checkpoint(tmp_path)
    with pytest.raises(ModelUnavailableError, match="--device cpu"):
        TorchWaveformEngine(model(path), [path], device=device, threads=1)


def test_an_unknown_precision_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_PRECISION", "float8")
    path = checkpoint(tmp_path)
    with pytest.raises(ModelUnavailableError, match="bfloat16"):
        engine(model(path), path)


@pytest.mark.parametrize(
    ("flags", "wanted"), [("fpu avx512_bf16 sse", "bfloat16"), ("Features : fp bf16", "bfloat16"), ("avx2", "float32")]
)
def test_a_processor_gets_the_precision_that_it_is_fast_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, wanted: str
) -> None:
    monkeypatch.delenv("STEMWRIGHT_PRECISION")
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(devices, "CPU_INFO", tmp_path / "cpuinfo")
    path = checkpoint(tmp_path)
    assert engine(model(path), path).precision == wanted
    monkeypatch.setattr(pytorch, "FLOAT32_ON_CPU", ("bs_roformer",))
    assert engine(model(path), path).precision == "float32"


def test_what_is_no_option_or_no_architecture_is_told() -> None:
    with pytest.raises(ModelUnavailableError, match="'width' is not an option of bs_roformer"):
        networks.build("bs_roformer", {**OPTIONS, "width": 3})
    with pytest.raises(ModelUnavailableError, match="no architecture named 'unet'"):
        networks.build("unet", {})
    with pytest.raises(ModelUnavailableError, match="No bs_roformer can be made"):
        networks.build("bs_roformer", {**OPTIONS, "stft_n_fft": 300})
