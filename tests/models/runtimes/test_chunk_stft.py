from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stemwright.models.onnx_contract import GraphTransform
from stemwright.models.runtimes.chunk_stft import ChunkStft


def noise(n_samples: int) -> NDArray[np.float32]:
    return np.random.default_rng(n_samples).uniform(-1, 1, (2, n_samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("transform", "n_samples"),
    [
        (GraphTransform(2048, 512), 44_100),
        (GraphTransform(2048, 441), 35_280),
        (GraphTransform(7680, 1024, bins=3072), 30_720),
        (GraphTransform(512, 128, window_length=400, normalised=True), 5000),
        (GraphTransform(512, 100, padding="zero"), 5000),
        (GraphTransform(512, 128, window="rectangular"), 5000),
    ],
    ids=["hop-512", "hop-441", "mdx-net", "short-window", "zero-padding", "rectangular"],
)
def test_it_equals_torch(transform: GraphTransform, n_samples: int) -> None:
    stft, samples = ChunkStft(transform, n_samples), noise(n_samples)
    mode = "constant" if transform.padding == "zero" else "reflect"
    length = transform.window_samples
    window = torch.hann_window(length) if transform.window == "hann" else torch.ones(length)
    sizes = (transform.n_fft, transform.hop, length)
    wanted = torch.stft(
        torch.from_numpy(samples), *sizes, window, normalized=transform.normalised, return_complex=True, pad_mode=mode
    )
    spectrum = stft.forward(samples)
    np.testing.assert_allclose(spectrum, wanted.transpose(1, 2).numpy(), atol=2e-6 * np.abs(spectrum).max())
    gains = np.random.default_rng(0).uniform(0, 1, spectrum.shape[1:]).astype(np.float32)
    gained = torch.from_numpy(gains).T * wanted
    back = torch.istft(gained, *sizes, window, normalized=transform.normalised, length=n_samples)
    np.testing.assert_allclose(stft.inverse(spectrum * gains), back.numpy(), atol=2e-6)


@settings(deadline=None, max_examples=40)
@given(
    half=st.integers(8, 300),
    hop=st.integers(1, 150),
    more=st.integers(0, 3000),
    centred=st.booleans(),
    padding=st.sampled_from(["reflect", "zero"]),
)
def test_the_inverse_gives_the_samples_back(half: int, hop: int, more: int, centred: bool, padding: str) -> None:
    transform = GraphTransform(2 * half, min(hop, half), centred=centred, padding=padding)  # type: ignore[arg-type]
    n_samples = 2 * half + more
    stft, samples = ChunkStft(transform, n_samples), noise(n_samples)
    spectrum = stft.forward(samples)  # (channels, frames, bins)
    back = stft.inverse(spectrum)
    # Rounding grows by the windows over a sample, divided by their squares: towards the ends a window is near zero.
    window = np.hanning(2 * half + 1)[:-1]
    windows, squares = np.zeros((2, n_samples + 4 * half))
    for frame in range(spectrum.shape[1]):
        place = slice(frame * transform.hop, frame * transform.hop + 2 * half)
        windows[place] += window
        squares[place] += window**2
    first = half if centred else 0
    growth = (windows / np.maximum(squares, 1e-12))[first : first + n_samples]
    inside = slice(None) if centred else slice(2 * half, -2 * half)
    assert (np.abs(back - samples) <= 3e-6 * growth)[:, inside].all()


def test_bins_that_are_missing_are_zero() -> None:
    stft = ChunkStft(GraphTransform(256, 64, bins=100), 2000)
    spectrum = stft.forward(noise(2000))
    cut = spectrum.copy()
    cut[..., 100:] = 0
    np.testing.assert_array_equal(stft.inverse(spectrum[..., :100]), stft.inverse(cut))
