from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.byte_files import after, put
from tests.audio.containers.test_wave import SAMPLES, check
from tests.audio.signals import noise, read


def caf(path: Path, subtype: str, samples: int = SAMPLES) -> Path:
    soundfile.write(path, noise(2, samples).T, 44100, format="CAF", subtype=subtype)
    return path


@pytest.mark.parametrize("samples", [1, 4095, 4096, 4097, 30001])
@pytest.mark.parametrize("subtype", ["ALAC_16", "ALAC_24"])
def test_the_last_packet_of_alac_is_short(tmp_path: Path, subtype: str, samples: int) -> None:
    path = caf(tmp_path / "in.caf", subtype, samples)
    expected = soundfile.read(path, dtype="float32")[0].T
    assert np.array_equal(read(path)[0], expected)
    check(path, samples)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_a_size_that_was_left_open(tmp_path: Path, subtype: str) -> None:
    path = caf(tmp_path / "in.caf", subtype)
    put(path, after(path, b"data"), b"\xff" * 8)
    check(path)
    put(path, after(path, b"data"), struct.pack(">q", 3 * path.stat().st_size))
    check(path, notes=1)


@pytest.mark.parametrize("table", [(5, 0, 0), (SAMPLES, 2**31 - 1, 0), (SAMPLES, 0, 2**31 - 1), (2**40, 0, 0)])
def test_a_packet_table_that_lies_drops_no_sound(tmp_path: Path, table: tuple[int, int, int]) -> None:
    path = caf(tmp_path / "in.caf", "ALAC_16")
    put(path, after(path, b"pakt") + 16, struct.pack(">qii", *table))
    assert read(path)[0].shape[1] == SAMPLES
