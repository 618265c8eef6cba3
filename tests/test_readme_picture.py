"""The README's picture: the script that drew it draws any song with its stems, and what is in the repository is small."""

from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from examples import draw_stems

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "stems.png"


def test_a_song_and_its_stems_are_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    stems = {name: 0.1 * rng.standard_normal((20_000, 2)) for name in ("vocals", "drums")}
    (tmp_path / "stems").mkdir()
    for name, samples in stems.items():
        soundfile.write(tmp_path / "stems" / f"{name}.wav", samples, 44_100)
    soundfile.write(tmp_path / "song.wav", stems["vocals"] + stems["drums"], 44_100)
    draw_stems.draw(tmp_path / "song.wav", tmp_path / "stems", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as drawn, Image.open(PICTURE) as kept:
        assert drawn.size == kept.size
        assert len(drawn.convert("RGB").getcolors(1 << 20) or []) > 10


def test_the_picture_loads_fast() -> None:
    assert PICTURE.stat().st_size < 150_000
