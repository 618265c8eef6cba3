import itertools

import numpy as np
import pytest
import torch

from stemwright.models.bands import BANDS_384
from stemwright.models.features import planes as numpy_planes
from training.data import features

pytestmark = pytest.mark.training


def test_features_equal_a_plain_computation() -> None:
    audio = np.random.default_rng(1).normal(0, 0.1, (2, features.frames_to_samples(3))).astype(np.float32)
    seen = features.features(features.planes(features.spectrum(torch.from_numpy(audio)))).numpy()
    assert seen.shape == (4, 384, 3)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4096) / 4096)
    edges = np.concatenate([[0], np.cumsum(BANDS_384.widths)])
    for frame in range(3):
        left, right = np.fft.rfft(audio[:, frame * 1024 : frame * 1024 + 4096] * window)
        for plane, view in enumerate((left, right, (left + right) / 2, (left - right) / 2)):
            power = [np.mean(np.abs(view[a:b]) ** 2) for a, b in itertools.pairwise(edges)]
            assert np.allclose(seen[plane, :, frame], np.log(1e-4 + 10 * np.sqrt(power)), atol=2e-4)


def test_the_separator_sees_the_same() -> None:
    audio = torch.randn(2, features.frames_to_samples(5), generator=torch.Generator().manual_seed(2))
    spectrum = features.spectrum(audio)  # (2, frames, bins)
    trained = features.features(features.planes(spectrum)).numpy()
    separated = numpy_planes(spectrum.permute(1, 0, 2).numpy(), BANDS_384)  # (frames, 2, bins)
    assert np.allclose(trained, separated, atol=1e-4)
