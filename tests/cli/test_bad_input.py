import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import (
    RATE_HZ,
    files_below,
    music,
    one_error,
    run,
    spawn,
    without_privileges,
    write_song,
)

CACHE_REMEDY = "set STEMWRIGHT_CACHE_DIR to a folder that you can write to"


def nothing_is_left() -> bool:
    """No stem, no working file."""
    return not Path("stems").exists() or files_below("stems") == []


@pytest.mark.parametrize("content", [b"This is a text file.\n" * 50, b"", b"\0" * 5000, b"ID3\x04\0\0\0\0\0\0"])
def test_what_is_not_sound(content: bytes) -> None:
    Path("song.mp3").write_bytes(content)
    done = run("separate", "song.mp3")
    assert done.code == 3
    one_error(done, words=["song.mp3"])
    assert nothing_is_left()


def test_zero_samples() -> None:
    soundfile.write("song.wav", np.zeros((0, 2)), RATE_HZ)
    done = run("separate", "song.wav")
    assert done.code == 3
    one_error(done, words=["song.wav"])
    assert nothing_is_left()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(value: float) -> None:
    signal = music(1.0)
    signal[30_000, 1] = value
    soundfile.write("song.wav", signal, RATE_HZ, "FLOAT")
    done = run("separate", "song.wav")
    assert done.code == 3
    one_error(done, words=["song.wav"])
    assert nothing_is_left()


@pytest.mark.parametrize("suffix", ["mp3", "wav", "flac"])
def test_half_a_file_is_separated_as_far_as_it_goes_and_says_so(suffix: str) -> None:
    whole = write_song(f"song.{suffix}", seconds=3)
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])
    done = run("separate", f"song.{suffix}", "--json")
    assert done.code == 0, done.err
    (facts,) = done.objects
    assert 0.5 < facts["seconds"] < 2.5
    assert facts["notes"]
    assert "note: " in run("separate", f"song.{suffix}").out


def test_one_sample() -> None:
    soundfile.write("song.wav", np.full((1, 2), 0.25), RATE_HZ)
    (facts,) = run("separate", "song.wav", "--json").objects
    assert (facts["samples"], facts["residual_db"]) == (1, -200.0)


def test_twenty_seconds_of_silence() -> None:
    soundfile.write("song.wav", np.zeros((20 * RATE_HZ, 2)), RATE_HZ)
    done = run("separate", "song.wav", "--json")
    (facts,) = done.objects
    assert [stem["present"] for stem in facts["stems"]] == [False, False]
    assert [stem["peak_dbfs"] for stem in facts["stems"]] == [None, None]
    assert run("separate", "song.wav").code == 0  # the table has words for no level


def test_a_telephone_and_a_cinema() -> None:
    write_song("low.wav", rate_hz=8000, channels=1)
    write_song("high.wav", seconds=0.5, rate_hz=192_000, channels=8, subtype="PCM_24")
    done = run("separate", "low.wav", "high.wav", "--json")
    assert done.code == 0
    low, high = done.objects
    assert (low["sample_rate"], low["channels"], low["samples"]) == (8000, 1, 16_000)
    assert (high["sample_rate"], high["channels"], high["samples"]) == (192_000, 2, 96_000)
    assert high["notes"]


def test_a_name_with_spaces_emoji_and_newlines() -> None:
    name = "my song 🎵\nand\tmore"
    write_song(f"{name}.wav", seconds=0.2)
    done = run("separate", f"{name}.wav")
    assert done.code == 0
    assert files_below("stems") == [
        f"my song 🎵_and_more/{file}" for file in (".stemwright.json", "instrumental.wav", "vocals.wav")
    ]
    assert "my song 🎵_and_more" in done.out


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_a_name_that_is_no_unicode_in_any_terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    name = os.fsdecode(b"caf\xe9 \xf0\x9f\x8e\xb5.wav")
    write_song("song.wav", seconds=0.2).rename(name)
    done = spawn("separate", name)
    assert done.code == 0, done.err
    assert [folder.name for folder in Path("stems").iterdir()] == ["caf_ 🎵"]
    assert "vocals.wav" in done.out


def test_a_missing_file_and_an_empty_folder() -> None:
    Path("empty").mkdir()
    done = run("separate", "missing.wav")
    assert done.code == 3
    one_error(done, words=["missing.wav", "does not exist"])
    done = run("separate", "empty")
    assert done.code == 3
    one_error(done, words=["empty", "no audio file"])


def test_an_address_as_a_song_is_told_what_to_do_and_stops_no_other() -> None:
    address = "https://example.org/a/song.mp3?token=1"
    write_song("song.wav", seconds=0.2)
    done = run("separate", address, "song.wav", "--json")
    assert done.code == 2
    sentence = one_error(done, words=[address, "download it first", "curl"])
    assert "https:/e" not in sentence
    assert [facts["input"] for facts in done.objects] == [address, "song.wav"]


def test_an_address_as_a_folder_is_no_folder() -> None:
    write_song("song.wav", seconds=0.2)
    done = run("separate", "song.wav", "--out", "s3://bucket/stems")
    assert done.code == 2
    one_error(done, words=["s3://bucket/stems"])
    one_error(run("plot", "https://example.org/stems"), words=["https://example.org/stems"])
    assert files_below(".") == ["song.wav"]


@pytest.mark.parametrize("rate_hz", [1, 7, 999])
def test_a_rate_that_no_sound_has(rate_hz: int) -> None:
    soundfile.write("song.wav", np.zeros((5000, 2)), rate_hz)
    done = run("separate", "song.wav")
    assert done.code == 3
    one_error(done, words=["song.wav", f"{rate_hz} Hz"])
    assert nothing_is_left()


def test_an_output_folder_without_permission() -> None:
    write_song("song.wav", seconds=0.2)
    Path("stems").mkdir(mode=0o500)
    done = spawn("separate", "song.wav", before=without_privileges)
    assert done.code == 5, done.err
    one_error(done, words=["stems", "another folder"])
    assert nothing_is_left()


def test_an_input_without_permission() -> None:
    write_song("song.wav", seconds=0.2).chmod(0)
    write_song("closed/song.wav", seconds=0.2).parent.chmod(0)
    for song in ("song.wav", "closed"):
        done = spawn("separate", song, before=without_privileges)
        assert done.code == 3, done.err
        one_error(done, words=[song])
    Path("closed").chmod(0o700)


def test_a_file_where_the_output_folder_should_be() -> None:
    write_song("song.wav", seconds=0.2)
    Path("stems").write_text("in the way")
    done = run("separate", "song.wav")
    assert done.code == 5
    one_error(done, words=["stems"])
    assert Path("stems").read_text() == "in the way"


def limited_files() -> None:
    """No file may grow past 200 kB: what is written beyond fails, as on a disk that fills up."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


@pytest.mark.parametrize("options", ["--format wav", "--format flac", "--format ogg --bitrate 500", "--stems twelve"])
def test_a_disk_that_fills_up_on_the_way(options: str) -> None:
    write_song("song.wav", seconds=5)
    done = spawn("separate", "song.wav", *options.split(), before=limited_files)
    assert done.code == 5, done.err
    one_error(done, words=["room"])
    assert nothing_is_left()


def test_a_full_disk(tmp_path: Path) -> None:
    write_song("song.wav", seconds=5)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        done = run("separate", "song.wav", "--out", str(disk / "stems"))
        assert done.code == 5
        one_error(done, words=["MB free", "make room"])
        assert files_below(disk) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_standard_input_goes_through_the_cache_and_leaves_nothing_there(tmp_path: Path) -> None:
    content = write_song("song.flac").read_bytes()
    done = spawn("separate", "-", "--json", stdin=content)
    assert done.code == 0, done.err
    (facts,) = done.objects
    assert (facts["input"], facts["output_dir"], facts["samples"]) == ("-", "stems/stdin", 88_200)
    assert files_below(tmp_path / "cache") == []


def test_empty_standard_input() -> None:
    done = spawn("separate", "-")
    assert done.code == 3
    one_error(done, words=["Standard input is empty"])


def test_an_unwritable_cache_matters_only_where_it_is_needed(tmp_path: Path) -> None:
    content = write_song("song.wav", seconds=0.2).read_bytes()
    (tmp_path / "cache").mkdir(mode=0o500)
    done = spawn("separate", "-", stdin=content, before=without_privileges)
    assert done.code == 5, done.err
    one_error(done, words=[CACHE_REMEDY])
    assert nothing_is_left()
    assert spawn("separate", "song.wav", before=without_privileges).code == 0


def test_a_cache_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    done = spawn("separate", "-", stdin=b"RIFF")
    assert done.code == 5
    one_error(done, words=[CACHE_REMEDY])
