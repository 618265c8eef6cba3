import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from stemwright.stems import STEMS
from training.data import features
from training.data.augmentation import UNAUGMENTED, MixSettings
from training.data.dataset import Dataset
from training.data.recording_statistics import FIXED_PITCH_STEMS, NARROW_PROBABILITY, TRANSIENT_BIAS
from training.data.songs import Corpus, SongCache, label_excluding, possible_stems

pytestmark = pytest.mark.training

FRAMES = 64


def write_song(folder: Path, stems: tuple[str, ...], seconds: float = 3.0) -> None:
    folder.mkdir(parents=True)
    time = np.arange(int(seconds * 44_100)) / 44_100
    for stem in stems:
        tone = 0.2 * np.sin(2 * np.pi * 110 * (1 + (*STEMS, stem).index(stem)) * time)
        soundfile.write(folder / f"{stem}.flac", np.stack([tone, tone / 2], 1), 44_100, subtype="PCM_16")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    # By the checksums of their names the first two train and the last is held out.
    for name, stems in (("song-1", ("vocals", "drums", "fx")), ("song-3", ("bass",)), ("song-0", ("drums", "bass"))):
        write_song(tmp_path / "corpus" / name, stems)
    write_song(tmp_path / "corpus" / ".unfinished", ("synth",))
    return tmp_path / "corpus"


def song_cache(root: Path, memory_bytes: int = 10**9) -> SongCache:
    song_cache = SongCache([Corpus(root)], memory_bytes)
    song_cache.refresh()
    return song_cache


def test_songs_are_divided_and_new_stems_join_in(root: Path) -> None:
    songs = song_cache(root)
    assert (set(songs.training), set(songs.held_out)) == ({"corpus/song-1", "corpus/song-3"}, {"corpus/song-0"})
    soundfile.write(root / "song-3" / "vocals.flac", np.zeros((44_100, 2)), 44_100)
    songs.refresh()
    assert set(songs.training["corpus/song-3"]) == {"bass", "vocals"}


def test_memory_is_bounded_and_its_songs_change(root: Path) -> None:
    for number in range(20, 36):
        write_song(root / f"song-{number}", ("guitar",))
    one_song = 3 * 44_100 * 4
    songs = song_cache(root, 10 * one_song)
    first = set(songs.training)
    songs.refresh()
    assert len(first) <= 12 and len(songs.training) <= 12
    assert set(songs.training) != first


LEAVING = """
import sys
from pathlib import Path
import numpy as np
from training.optimise.malloc import keep_freed_memory
from training.data.songs import StemAudio

def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

keep_freed_memory()
path = Path(sys.argv[1])
songs, others = [], []
for _ in range(40):
    songs.append(StemAudio.read(path))
    others.append(np.ones(100_000))  # what a run allocates between songs, and keeps
full = resident()
songs.clear()
print((full - resident()) / (40 * 2 * 2 * 10 * 44_100))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says what a process has in memory")
def test_songs_that_leave_give_their_memory_back(tmp_path: Path) -> None:
    write_song(tmp_path / "song", ("bass",), seconds=10)
    command = [sys.executable, "-c", LEAVING, str(tmp_path / "song" / "bass.flac")]
    assert float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) > 0.95


@pytest.mark.parametrize("p_coherent", [0.0, 1.0])
def test_a_batch_has_the_networks_shapes_and_silent_absent_stems(root: Path, p_coherent: float) -> None:
    batch = Dataset(song_cache(root), FRAMES, MixSettings(p_coherent=p_coherent), seed=3).batch(4)
    assert batch.powers.shape == (4, 4, 384, FRAMES)
    assert batch.magnitudes.shape == (4, 12, 2, 384, FRAMES)
    assert batch.powers.isfinite().all() and batch.magnitudes.isfinite().all()
    playing = batch.magnitudes.amax((0, 2, 3, 4)) > 0
    assert {stem for stem, plays in zip(STEMS, playing, strict=True) if plays} <= {"vocals", "drums", "bass", "fx"}
    assert playing.any()


def test_the_stems_of_a_mix_add_up_to_it(root: Path) -> None:
    dataset = Dataset(song_cache(root), FRAMES, UNAUGMENTED, seed=4)
    stems = dataset.mix()
    mixture = torch.from_numpy(np.sum(list(stems.values()), axis=0))
    powers = features.planes(features.spectrum(mixture))
    again = Dataset(dataset.song_cache, FRAMES, UNAUGMENTED, seed=4).batch(1)
    assert np.abs(mixture.numpy()).max() == pytest.approx(10 ** (-6 / 20), rel=1e-3)
    assert torch.allclose(again.powers[0], powers, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("absent", [("vocals", "backing_vocals"), ("fx",), STEMS[1:]])
def test_a_label_of_unknown_stems_says_which_are_not_heard(absent: tuple[str, ...]) -> None:
    assert set(possible_stems(label_excluding(absent))) == set(STEMS) - set(absent)


@pytest.mark.parametrize("label", ["", "mixture", "not-", "not-banjo", "not", label_excluding(STEMS)])
def test_other_names_are_no_labels(label: str) -> None:
    assert possible_stems(label) == ()


def test_composed_stems_join_a_recording_of_unknown_ones_if_they_cannot_be_in_it(root: Path) -> None:
    write_song(root / "song-7", ("not-vocals-backing_vocals",))
    write_song(root / "song-8", ("mixture",))  # no label: not taken
    dataset = Dataset(song_cache(root), FRAMES, MixSettings(p_coherent=0, p_unlabelled=1), seed=3)
    batch = dataset.batch(8)
    assert (batch.unlabelled.amax((1, 2, 3)) > 0).all()
    assert {tuple(row) for row in batch.possible.tolist()} == {(0, 0, *[1] * 10)}
    playing = batch.magnitudes.amax((0, 2, 3, 4)) > 0
    assert {stem for stem, plays in zip(STEMS, playing, strict=True) if plays} == {"vocals"}
    again = Dataset(dataset.song_cache, FRAMES, MixSettings(p_coherent=0, p_unlabelled=1), seed=3)
    for index in range(8):
        stems = again.mix()
        assert ("not-vocals-backing_vocals" in stems, bool(batch.magnitudes[index].any())) == (True, "vocals" in stems)


def test_without_songs_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"training\.rendering\.corpus"):
        Dataset(song_cache(tmp_path), FRAMES, MixSettings(), seed=0).batch(1)


def test_mono_mixes_have_a_silent_side(root: Path) -> None:
    mix_settings = MixSettings(
        p_augmented=1, p_mono=1, p_equaliser=0, p_compressed=0, p_low_pass=0, p_coherent=1, p_stem_dropped=0
    )
    batch = Dataset(song_cache(root), FRAMES, mix_settings, seed=5).batch(2)
    left, right, middle, side = batch.powers.unbind(1)
    assert side.max() == 0
    assert torch.equal(left, right) and torch.allclose(left, middle)
    assert left.max() > 0


def test_stems_lean_towards_recordings_and_what_is_steady_does_not_waver(root: Path) -> None:
    dataset = Dataset(
        song_cache(root), 32, MixSettings(p_augmented=1, p_transient_shaping=1, p_pitch_modulation=1, p_width=0), 3
    )
    parts = [part for _ in range(300) for part in dataset.plan().parts]
    lows = {
        stem: np.array([part.transient_shaping[0] for part in parts if part.stem == stem and part.transient_shaping])
        for stem in {part.stem for part in parts}
    }
    for stem, low in lows.items():
        lean = TRANSIENT_BIAS.get(stem, (0.0, 0.0, 0.0))[0] / 2
        assert abs(low.mean() - lean) < 5 * low.std() / len(low) ** 0.5, stem
    for part in parts:
        assert (part.pitch_modulation is None) == (part.stem in FIXED_PITCH_STEMS)
        assert part.width == 1 or (part.width < 0.4 and part.stem in NARROW_PROBABILITY)
    narrow = {stem: np.mean([part.width < 1 for part in parts if part.stem == stem]) for stem in lows}
    assert set(lows) & set(NARROW_PROBABILITY) and set(lows) & set(TRANSIENT_BIAS)
    for stem, share in narrow.items():
        assert share == pytest.approx(NARROW_PROBABILITY.get(stem, 0.0), abs=0.15), stem
