"""The benchmark of the player: its songs, and the table that it keeps in a document."""

from pathlib import Path

import soundfile

from benchmarks.web import BEGIN, END, Row, put_into, write_repeated


def test_the_example_song_is_repeated_to_the_sample(tmp_path: Path) -> None:
    facts = soundfile.info(write_repeated(tmp_path / "song.wav", 1.5))
    assert (facts.frames, facts.samplerate, facts.channels) == (90 * 44_100, 44_100, 2)


def test_rows_replace_those_of_the_same_name_and_leave_the_others(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"# Speed\n\n{BEGIN}\n{END}\n\nMore.\n")
    put_into(document, [Row("memory", "300 MB", "under 400 MB"), Row("seek", "90 ms", "under 300 ms")])
    put_into(document, [Row("memory", "200 MB", "under 400 MB")])
    assert document.read_text() == (
        f"# Speed\n\n{BEGIN}\n\n| | | goal |\n|---|---|---|\n"
        f"| memory | 200 MB | under 400 MB |\n| seek | 90 ms | under 300 ms |\n\n{END}\n\nMore.\n"
    )
