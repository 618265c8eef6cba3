import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.stems import STEMS
from tests.cli.conftest import files_below, run, write_song

KEYS = {
    *("input", "output_dir", "plan", "sample_rate", "channels", "samples", "seconds", "residual_db", "gain_db"),
    *("stems", "elapsed_s", "realtime_factor", "peak_rss_mb"),
}
STEM_KEYS = {"name", "path", "present", "presence", "peak_dbfs", "rms_dbfs"}


def test_two_stems_by_default_that_add_up_bit_for_bit() -> None:
    write_song("song.wav")
    done = run("separate", "song.wav")
    assert done.code == 0
    assert files_below("stems/song") == [".stemwright.json", "instrumental.wav", "vocals.wav"]
    for word in ("vocals.wav", "instrumental.wav", "bit for bit", "x real time", "no gain", "stems/song"):
        assert word in done.out
    assert "Traceback" not in done.err
    parts = [
        soundfile.read(f"stems/song/{name}.wav", dtype="int16")[0].astype(int) for name in ("vocals", "instrumental")
    ]
    np.testing.assert_array_equal(sum(parts), soundfile.read("song.wav", dtype="int16")[0])


def test_json_is_one_object_a_song_with_the_promised_keys() -> None:
    write_song("song.wav")
    done = run("separate", "song.wav", "--stems", "twelve", "--json")
    (facts,) = done.objects
    assert set(facts) >= KEYS
    assert [stem["name"] for stem in facts["stems"]] == list(STEMS)
    assert all(set(stem) == STEM_KEYS and Path(stem["path"]).is_file() for stem in facts["stems"])
    assert (facts["input"], facts["sample_rate"], facts["channels"], facts["samples"]) == ("song.wav", 44100, 2, 88200)
    assert facts["residual_db"] == -200.0
    assert "song: started" in done.err


def test_a_list_brings_the_residual_in_the_format_asked_for() -> None:
    write_song("song.flac", subtype="PCM_24")
    done = run("separate", "song.flac", "--stems", "drums,bass", "--format", "flac", "--out", "parts", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert files_below("parts/song") == [".stemwright.json", "bass.flac", "drums.flac", "residual.flac"]
    assert soundfile.info("parts/song/residual.flac").subtype == "PCM_24"


def test_depth_bit_rate_and_stretch_are_taken() -> None:
    write_song("song.wav", seconds=4)
    assert run("separate", "song.wav", "--bit-depth", "32", "--start", "1", "--duration", "1.5").code == 0
    info = soundfile.info("stems/song/vocals.wav")
    assert (info.subtype, info.frames) == ("FLOAT", 66_150)
    done = run("separate", "song.wav", "--format", "mp3", "--bitrate", "96", "--json")
    assert done.objects[0]["residual_db"] is None
    assert Path("stems/song/vocals.mp3").stat().st_size == pytest.approx(4 * 12_000, rel=0.25)


def test_songs_of_one_name_get_numbers() -> None:
    for folder in ("a", "b", "c"):
        write_song(f"{folder}/Song.wav", seconds=0.2)
    done = run("separate", "a/Song.wav", "b", "c/Song.wav", "--json")
    assert [facts["output_dir"] for facts in done.objects] == ["stems/Song", "stems/Song (2)", "stems/Song (3)"]


def test_a_folder_is_searched_in_order_and_its_stems_are_no_songs() -> None:
    write_song("album/2 last.wav", seconds=0.2)
    write_song("album/1 first/song.flac", seconds=0.2)
    write_song("album/.hidden/song.wav", seconds=0.2)
    Path("album/cover.jpg").write_bytes(b"no sound")
    for _ in range(2):
        done = run("separate", "album", "--out", "album/stems", "--json")
        assert [facts["input"] for facts in done.objects] == ["album/1 first/song.flac", "album/2 last.wav"]
    assert [facts["skipped"] for facts in done.objects] == [True, True]


def test_whole_output_is_kept_and_told_unless_overwritten() -> None:
    write_song("song.wav", seconds=0.5)
    run("separate", "song.wav")
    before = Path("stems/song/vocals.wav").stat().st_mtime_ns
    again = run("separate", "song.wav")
    assert "kept from an earlier run" in again.out
    assert Path("stems/song/vocals.wav").stat().st_mtime_ns == before
    assert run("separate", "song.wav", "--overwrite", "--json").objects[0]["skipped"] is False
    assert Path("stems/song/vocals.wav").stat().st_mtime_ns > before


def test_one_song_that_fails_does_not_stop_the_others() -> None:
    Path("bad.mp3").write_text("no sound in here")
    write_song("good.wav", seconds=0.5)
    done = run("separate", "missing.wav", "good.wav", "bad.mp3", "--json")
    assert done.code == 3
    missing, good, bad = done.objects
    assert good["output_dir"] == "stems/good"
    assert (missing["input"], missing["exit_code"], bad["input"], bad["exit_code"]) == ("missing.wav", 3, "bad.mp3", 3)
    assert "does not exist" in missing["error"]
    assert done.err.count("error: ") == 2


def test_the_exit_code_is_that_of_the_first_failure() -> None:
    write_song("good.wav", seconds=0.5)
    Path("bad.mp3").write_text("no sound in here")
    Path("stems").mkdir()
    Path("stems/good").write_text("a file where the song's folder should be")
    assert run("separate", "bad.mp3", "good.wav").code == 3
    assert run("separate", "good.wav", "bad.mp3").code == 5


def test_progress_in_a_pipe_is_plain_lines() -> None:
    write_song("song.wav", seconds=1)
    done = run("separate", "song.wav")
    assert "\x1b" not in done.err + done.out
    assert done.err.splitlines()[0] == "song: started"
    assert done.err.splitlines()[-2].startswith("song: 100%, writing 0:01 of 0:01")
    assert done.err.splitlines()[-1].startswith("better stems: ")


def test_names_are_never_read_as_markup_or_commands() -> None:
    write_song("[red]\x1b[31mx.wav", seconds=0.2)
    done = run("separate", "[red]\x1b[31mx.wav")
    assert "\x1b" not in done.out + done.err
    assert "stems/[red]_[31mx" in done.out
    assert json.loads(Path("stems/[red]_[31mx/.stemwright.json").read_text())
