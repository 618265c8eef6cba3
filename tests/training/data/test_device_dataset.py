import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from stemwright.stems import STEMS
from training.data import device_dataset
from training.data.augmentation import UNAUGMENTED, MixSettings
from training.data.dataset import Dataset
from training.data.device_dataset import DeviceDataset
from training.data.device_songs import DeviceSongs
from training.data.songs import Corpus, SongCache
from training.data.spectrogram import Batch

pytestmark = pytest.mark.training

FRAMES = 32
CPU = torch.device("cpu")


def music(seed: int, seconds: float) -> NDArray[np.float64]:
    """Noise below 8 kHz, in which what is played between samples can be told from what is not; ``(samples, 2)``."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * 44_100)
    spectrum = np.fft.rfft(rng.normal(0, 1, (samples, 2)), axis=0)
    spectrum[round(8000 * seconds) :] = 0
    noise = np.fft.irfft(spectrum, samples, axis=0)
    return np.asarray(0.3 * noise / np.abs(noise).max())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset") / "corpus"
    # By the checksums of their names all train but song-0.
    songs = {
        "song-0": STEMS[:3],
        "song-1": STEMS[:8],
        "song-3": STEMS[4:],
        "song-4": ("vocals", "fx"),
        "song-5": ("guitar", "not-guitar-fx"),
        "song-6": ("not-vocals-backing_vocals",),
    }
    for number, (name, stems) in enumerate(songs.items()):
        (root / name).mkdir(parents=True)
        for stem in stems:
            audio = music(100 * number + (*STEMS, stem).index(stem), 1.5)  # often shorter than what is read
            soundfile.write(root / name / f"{stem}.flac", audio, 44_100, subtype="PCM_16")
    return root


def both(root: Path, mix_settings: MixSettings, seed: int = 1) -> tuple[Dataset, DeviceDataset]:
    song_cache = SongCache([Corpus(root)], 10**9)
    song_cache.refresh()
    device_songs = DeviceSongs([Corpus(root)], 2 * 10**7, CPU)
    device_songs.refresh()
    # A song cache shuffles its songs, songs on a device are not shuffled; drawing depends on their order.
    song_cache.training = {name: song_cache.training[name] for name in device_songs.training}
    return Dataset(song_cache, FRAMES, mix_settings, seed), DeviceDataset(
        device_songs, FRAMES, mix_settings, seed, at_once=3
    )


def assert_alike(expected: Batch, actual: Batch, tolerance: float) -> None:
    for field in dataclasses.fields(Batch):
        wanted, got = getattr(expected, field.name), getattr(actual, field.name)
        if field.name == "cues":  # only trials, on a CPU, have any
            assert wanted.shape == got.shape and wanted.shape[1] == 0
            continue
        assert wanted.abs().max() > 0
        # Each mix is as loud as the others, but not each stem: relative to the loudest of the mix.
        scale = wanted.flatten(1).abs().amax(1).clamp_min(1e-3)  # a mix may be empty
        assert float(((wanted - got).flatten(1).abs().amax(1) / scale).max()) < tolerance, field.name


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.long), 2])
def test_the_same_draw_gives_the_mixes_of_the_dataset(root: Path, seed: int) -> None:
    mix_settings = MixSettings(p_speed=0, p_part_speed=0, p_drive=0.5, p_width=0.6, p_pan=0.6, p_stem_dropped=0.5)
    dataset, on_device = both(root, mix_settings, seed)
    assert_alike(dataset.batch(8), on_device.batch(8), 2e-5)


def test_faster_and_slower_stems_are_those_of_the_dataset(root: Path) -> None:
    # No codec: a point beside its threshold is a hole in one and none in the other.
    dataset, on_device = both(root, MixSettings(p_augmented=1, p_speed=1, p_part_speed=0.5, p_drive=0, p_codec=0))
    assert_alike(dataset.batch(8), on_device.batch(8), 2e-2)  # they differ where cuts begin and end


def test_songs_as_they_are_come_out_as_they_were(root: Path) -> None:
    _, dataset = both(root, UNAUGMENTED)
    songs, plans = dataset.draw(4)
    audio = iter(dataset.play(songs, plans))
    for plan in plans:
        stems = [next(audio).numpy() for _ in plan.parts]
        whole = [
            soundfile.read(root.parent / part.song / f"{part.stem}.flac", dtype="float32")[0].T for part in plan.parts
        ]
        cuts = [song[:, part.start : part.start + part.read] for song, part in zip(whole, plan.parts, strict=True)]
        length = cuts[0].shape[1]
        gain = (
            plan.peak / np.abs(np.sum([part.gain * cut for part, cut in zip(plan.parts, cuts, strict=True)], 0)).max()
        )
        for part, stem, cut in zip(plan.parts, stems, cuts, strict=True):
            turned = cut[::-1] if plan.swapped else cut
            assert np.abs(stem[:, :length] - gain * part.gain * turned).max() < 1e-6
            assert np.abs(stem[:, length:]).max(initial=0) == 0


def test_mono_mixes_have_a_silent_side(root: Path) -> None:
    _, dataset = both(root, MixSettings(p_augmented=1, p_mono=1, p_stem_dropped=0))
    powers = dataset.batch(6).powers
    assert powers[:, 3].max() == 0 and powers[:, 2].max() > 0


def test_a_pool_takes_new_stems_and_says_when_it_is_full(root: Path, tmp_path: Path) -> None:
    names = sorted(folder.name for folder in root.iterdir())
    first = tmp_path / "first" / root.name
    for name in names[:2]:
        (first / name).mkdir(parents=True)
        for path in itertools.islice(sorted((root / name).iterdir()), 2):
            (first / name / path.name).symlink_to(path)
    device_songs = DeviceSongs([Corpus(first)], 5 * round(1.5 * 44_100) * 4, CPU)
    device_songs.refresh()
    assert (
        sorted({*device_songs.training, *device_songs.held_out}) == ["corpus/song-0", "corpus/song-1"]
        and not device_songs.full
    )
    drawn_from, before = device_songs.training, device_songs.seconds
    (first / names[1] / "fx.flac").symlink_to(root / "song-3" / "fx.flac")
    device_songs.refresh()
    assert "fx" in device_songs.training["corpus/song-1"] and "fx" not in drawn_from["corpus/song-1"]
    assert device_songs.seconds == pytest.approx(before + 1.5) and not device_songs.full
    (first / names[1] / "synth.flac").symlink_to(root / "song-3" / "synth.flac")
    device_songs.refresh()
    assert [device_songs.full, "synth" in device_songs.training["corpus/song-1"]] == [True, False]


def test_a_feed_goes_on_and_hands_on_what_went_wrong(root: Path, tmp_path: Path) -> None:
    _, dataset = both(root, MixSettings())
    feed = device_dataset.DeviceFeed(dataset, 2, 60)
    assert [len(batch.powers) for batch in itertools.islice(feed, 6)] == [2] * 6
    feed.close()
    with pytest.raises(LookupError, match=r"training\.rendering\.corpus"):
        next(
            device_dataset.DeviceFeed(
                DeviceDataset(DeviceSongs([Corpus(tmp_path)], 4000, CPU), FRAMES, MixSettings(), 0), 2, 60
            )
        )
