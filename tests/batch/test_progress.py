"""What the user reads while a batch runs."""

from __future__ import annotations

from stemwright.batch.listing import ListedSong
from stemwright.batch.progress import INTERVAL_S, BatchProgress
from stemwright.batch.songs import BatchSongs


def test_songs_an_hour_and_the_time_left_count_from_the_first_line(songs: BatchSongs) -> None:
    now_s, told = [100.0], list[str]()
    songs.add([ListedSong(f"{number}.mp3", "1") for number in range(5)])
    progress = BatchProgress(songs, told.append, lambda: now_s[0])

    def end_one() -> None:
        lease = songs.claim("one")
        assert lease is not None and songs.finish(lease, {}, lambda: None)

    end_one()
    progress.turn()
    progress.turn()
    assert told == ["1 song done, 0 failed, 4 left"]
    end_one()
    end_one()
    now_s[0] += INTERVAL_S
    progress.turn()
    assert told[1:] == ["3 songs done, 0 failed, 2 left, 720 songs an hour, 0:10 left"]
