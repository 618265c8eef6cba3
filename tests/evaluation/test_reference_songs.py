from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.errors import UnreadableInputError
from stemwright.evaluation.reference_songs import aligned_blocks, find_estimates, find_songs
from tests.evaluation.sounds import RATE_HZ, noise, write


def test_a_folder_of_songs_is_read_in_order(tmp_path: Path) -> None:
    write(tmp_path / "b", {"drums": noise(1), "vocals": noise(2)})
    write(tmp_path / "a", {"bass": noise(3)})
    (tmp_path / "manifest.json").write_text("[]")
    (tmp_path / "empty").mkdir()
    songs = find_songs(tmp_path)
    assert [song.name for song in songs] == ["a", "b"]
    assert tuple(songs[1].stems) == ("vocals", "drums")
    assert songs[0].is_one_stem and not songs[1].is_one_stem
    assert (songs[0].sample_rate, songs[0].channels) == (RATE_HZ, 2)


def test_the_folder_of_one_song_is_one_song(tmp_path: Path) -> None:
    write(tmp_path / "only", {"drums": noise(1), "unlabelled": noise(2)})
    (song,) = find_songs(tmp_path / "only")
    assert song.name == "only"
    assert not song.is_fully_labelled


def test_files_of_any_format_come_side_by_side(tmp_path: Path) -> None:
    one, other = noise(1, samples=200_000), noise(2, samples=200_000)
    write(tmp_path, {"bass": one})
    soundfile.write(tmp_path / "drums.flac", other.T, RATE_HZ, "PCM_24")
    blocks = list(aligned_blocks([tmp_path / "bass.wav", tmp_path / "drums.flac"]))
    assert len({block.shape[-1] for block in blocks[:-1]}) == 1
    whole = np.concatenate(blocks, axis=-1)
    np.testing.assert_array_equal(whole[0], one)
    np.testing.assert_allclose(whole[1], other, atol=2**-23)


@pytest.mark.parametrize(
    "odd, said",
    [
        ({"signal": noise(1, samples=15_999)}, "ends after 15999 samples"),
        ({"signal": noise(1), "rate_hz": 16_000}, "sample rate of '.*' is 16000"),
        ({"signal": noise(1)[:1]}, "number of channels of '.*' is 1"),
    ],
)
def test_files_of_a_song_must_agree(tmp_path: Path, odd: dict, said: str) -> None:  # type: ignore[type-arg]
    write(tmp_path, {"drums": noise(2)})
    write(tmp_path, {"bass": odd["signal"]}, odd.get("rate_hz", RATE_HZ))
    with pytest.raises(UnreadableInputError, match=said):
        list(aligned_blocks([tmp_path / "drums.wav", tmp_path / "bass.wav"]))


def test_a_folder_without_songs_says_how_to_lay_it_out(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="contains no song"):
        find_songs(tmp_path)
    with pytest.raises(UnreadableInputError, match="is not a folder"):
        find_songs(tmp_path / "missing")


@pytest.mark.parametrize("name", ["banjo", "mixture", "Drums"])
def test_an_unknown_name_is_told(tmp_path: Path, name: str) -> None:
    write(tmp_path / "song", {"drums": noise(1), name: noise(2)})
    with pytest.raises(UnreadableInputError, match=f"{name}.wav' is not named after a stem"):
        find_songs(tmp_path)


def test_two_files_of_one_stem_are_told(tmp_path: Path) -> None:
    write(tmp_path / "song", {"drums": noise(1)})
    soundfile.write(tmp_path / "song" / "drums.flac", noise(1).T, RATE_HZ)
    with pytest.raises(UnreadableInputError, match="the same stem"):
        find_songs(tmp_path)


def test_estimates_lie_by_song_or_beside_each_other_for_one_song(tmp_path: Path) -> None:
    write(tmp_path / "truth" / "song", {"drums": noise(1), "bass": noise(2)})
    (song,) = find_songs(tmp_path / "truth")
    write(tmp_path / "flat", {"drums": noise(1)})
    write(tmp_path / "deep" / "song", {"bass": noise(1), "residual": noise(2)})
    assert tuple(find_estimates(tmp_path / "flat", song, is_only_song=True)) == ("drums",)
    assert tuple(find_estimates(tmp_path / "deep", song, is_only_song=True)) == ("bass", "residual")
    with pytest.raises(UnreadableInputError, match="no estimates of 'song'"):
        find_estimates(tmp_path / "flat", song, is_only_song=False)


def test_a_data_set_of_others_is_sent_to_its_layout(tmp_path: Path) -> None:
    write(tmp_path / "song", {"drums": noise(1), "mixture": noise(2)})
    with pytest.raises(UnreadableInputError, match="have a --layout"):
        find_songs(tmp_path)


def test_several_files_are_added_up_and_may_end_early_where_allowed(tmp_path: Path) -> None:
    write(tmp_path, {"a": noise(1, samples=100_000), "b": noise(2, samples=70_000), "c": noise(3, samples=100_000)})
    a, b, c = (tmp_path / f"{name}.wav" for name in "abc")
    whole = np.concatenate(list(aligned_blocks([(a, b), c], uneven=1)), axis=-1)
    summed = noise(1, samples=100_000)
    summed[:, :70_000] += noise(2, samples=70_000)
    np.testing.assert_array_equal(whole, np.stack([summed, noise(3, samples=100_000)]))
    with pytest.raises(UnreadableInputError, match=r"b.wav' ends after 70000 samples, before '.*a.wav'"):
        list(aligned_blocks([(a, b), c]))
    with pytest.raises(UnreadableInputError, match=r"b.wav' ends after 70000 samples"):
        list(aligned_blocks([a, b], uneven=1))
