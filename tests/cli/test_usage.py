from pathlib import Path

import pytest

from tests.cli.conftest import files_below, run, write_song


@pytest.mark.parametrize(
    "arguments",
    [
        "--start -1",
        "--start nan",
        "--start inf",
        "--start 1:30",
        "--duration 0",
        "--duration -3",
        "--duration nan",
        "--threads 0",
        "--threads two",
        "--bitrate abc",
        "--bitrate 0",
        "--bitrate -128",
        "--bit-depth 20",
        "--format midi",
        "--device abacus",
        "--no-such-option",
        "--stems banjo",
        "--stems drums,drums",
        "--stems ,",
    ],
)
def test_nonsense_is_a_usage_error_and_writes_nothing(arguments: str) -> None:
    write_song("song.wav", seconds=0.1)
    done = run("separate", "song.wav", *arguments.split())
    assert done.code == 2
    assert arguments.split()[0] in done.err or "stem" in done.err
    assert "Traceback" not in done.err
    assert not Path("stems").exists()


@pytest.mark.parametrize(
    "arguments, remedy",
    [
        ("--format flac --bit-depth 32", "wav"),
        ("--format mp3 --bit-depth 16", "--bit-depth"),
        ("--format wav --bitrate 128", "--bitrate"),
        ("--format mp3 --bitrate 9999", "32 to 320"),
        ("--start 60", "beyond the end"),
    ],
)
def test_what_a_format_or_song_has_not_got_is_told_with_a_remedy(arguments: str, remedy: str) -> None:
    write_song("song.wav", seconds=0.5)
    done = run("separate", "song.wav", *arguments.split())
    assert done.code == 2
    assert remedy in done.err
    assert files_below(".") == ["song.wav"]


def test_an_unknown_plan_names_the_known_ones() -> None:
    write_song("song.wav", seconds=0.1)
    done = run("separate", "song.wav", "--plan", "best-of-all")
    assert done.code == 4
    assert "fast" in done.err


def test_standard_input_is_named_once() -> None:
    assert run("separate", "-", "-").code == 2


@pytest.mark.parametrize("command", [[], ["separate"], ["models"], ["doctor"], ["evaluate"], ["plot"]])
def test_help_says_the_exit_codes(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.code == 0
    assert "130" in done.out and "Exit codes" in done.out


def test_help_gives_every_option_of_separate_with_units_and_defaults() -> None:
    out = " ".join(run("separate", "--help").out.split())  # a line may break within a default
    options = "--stems --out --format --bit-depth --bitrate --plan --device --threads --start --duration --resume"
    for word in [*options.split(), "--overwrite", "--json", "--quiet", "KBPS", "default: two", "Examples", "seconds"]:
        assert word in out


def test_the_version_is_printed() -> None:
    assert run("--version").out.startswith("stemwright 0.")
