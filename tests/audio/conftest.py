from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.audio.signals import noise, write_av


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Two seconds of 16-bit stereo WAV."""
    path = tmp_path / "song.wav"
    write_av(path, (noise(2, 88200) * 32767).astype(np.int16), "pcm_s16le", sample_format="s16")
    return path
