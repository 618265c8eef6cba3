"""Speed and memory of the player in a real browser: ``make bench-web``.

The example song, repeated to 3 and to 10 minutes, is separated into twelve stems by a server with one worker; Chromium
without a window or a GPU opens, plays, seeks and scrolls them. Prints rows for a table; ``--document`` puts them into
docs/benchmarks.md. Times need a machine that does nothing else; bytes, memory and processor time do not.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import soundfile

from benchmarks.peaks_cost import peaks_share
from benchmarks.serve import REAL, Server, serving
from benchmarks.web_page import Tab, open_tab
from tests.web.browser import Browser, browsing

EXAMPLE = Path(__file__).parent.parent / "examples" / "song.mp3"
SHORT_MIN, LONG_MIN = 3, 10
TURNS = 5
SEEKS = (0.8, 0.3, 0.6, 0.1, 0.9, 0.45, 0.7, 0.2)
JUMPS = 40
BEGIN, END = "<!-- bench-web: begin -->", "<!-- bench-web: end -->"
HEAD = "| | | goal |\n|---|---|---|\n"
DEADLINE_S = 3600.0


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    goal: str

    def __str__(self) -> str:
        return f"| {self.what} | {self.measured} | {self.goal} |"


class Bench:
    """What is measured: a server and a browser, with songs that are separated when they are first needed."""

    def __init__(self, server: Server, browser: Browser, folder: Path) -> None:
        self.server = server
        self._browser = browser
        self._folder = folder
        self._separations: dict[int, str] = {}

    def open_tab(self) -> Tab:
        """A tab that is signed in."""
        return open_tab(self._browser, f"http://127.0.0.1:{self.server.port}", self.server.key)

    def song(self, minutes: int) -> Path:
        """The example song of that length."""
        path = self._folder / f"{minutes} minutes.wav"
        return path if path.exists() else write_repeated(path, minutes)

    def separation(self, minutes: int) -> str:
        """The id of its separation."""
        if minutes not in self._separations:
            self._separations[minutes] = self._separate(self.song(minutes))
        return self._separations[minutes]

    def _separate(self, song: Path) -> str:
        with self.server.client() as client:
            with song.open("rb") as file:
                track = client.post("/v1/tracks", files={"file": (song.name, file)}).raise_for_status().json()
            body = {"track_id": track["id"], "stems": "twelve", "format": "flac", "plan": "fast"}
            made = str(client.post("/v1/separations", json=body).raise_for_status().json()["id"])
            with client.stream("GET", f"/v1/separations/{made}/events", timeout=DEADLINE_S) as events:
                for _ in events.iter_lines():
                    pass
            state = client.get(f"/v1/separations/{made}").json()["state"]
        if state != "succeeded":
            raise SystemExit(f"The separation of {song.name} ended as {state}.")
        return made


def size(bench: Bench) -> Iterator[Row]:
    """The page of songs from nothing: what comes over the wire."""
    kb = bench.open_tab().load().wire_bytes / 1000
    yield Row("the page from nothing, over the wire", f"{kb:.0f} kB", "under 100 kB")


def load(bench: Bench) -> Iterator[Row]:
    """The same: first paint, and until it can be used."""
    loads = [bench.open_tab().load() for _ in range(TURNS)]
    paint, usable = (
        statistics.median(times) for times in zip(*((one.paint_ms, one.usable_ms) for one in loads), strict=True)
    )
    yield Row("first paint; can be used", f"{paint:.0f} ms; {usable:.0f} ms", "under 1 s")


def sound(bench: Bench) -> Iterator[Row]:
    """From Play, and from a click in the song, until the first sample is heard."""
    at_once, later = [], []
    for _ in range(TURNS):
        tab = bench.open_tab()
        tab.open_song(bench.separation(SHORT_MIN))
        at_once.append(tab.play_ms())
        tab.page.press(" ", "Space", " ")
        later.append(tab.play_ms())
        tab.close()
    tab = bench.open_tab()
    tab.open_song(bench.separation(SHORT_MIN))
    tab.play_ms()
    before = processor_s(bench.server)
    seeks = [tab.seek_ms(share) for share in SEEKS]
    used = (processor_s(bench.server) - before) / len(SEEKS)
    tab.close()
    yield Row(
        f"{SHORT_MIN} minutes, twelve stems: Play until sound, pressed when the player opens; again",
        f"{statistics.median(at_once):.0f} ms; {statistics.median(later):.0f} ms",
        "under 1 s",
    )
    yield Row(
        "the same, a seek to where nothing was fetched yet until sound",
        f"median {statistics.median(seeks):.0f} ms, slowest {max(seeks):.0f} ms",
        "under 300 ms",
    )
    yield Row("the same, processor time of the server", f"{1000 * used:.0f} ms", "")


def memory(bench: Bench) -> Iterator[Row]:
    """The tab's process while a long song plays, is jumped about in, and shows all its pictures."""
    tab = bench.open_tab()
    tab.open_song(bench.separation(LONG_MIN))
    most = tab.memory_of_jumps(JUMPS)
    tab.close()
    yield Row(
        f"the tab's process with {LONG_MIN} minutes, twelve stems, {JUMPS} jumps, all pictures; without shared libraries",
        f"{most.resident_mb:.0f} MB; {most.own_mb:.0f} MB",
        "under 400 MB",
    )


def frames(bench: Bench) -> Iterator[Row]:
    """Frames while twelve stems play and the view scrolls."""
    tab = bench.open_tab()
    tab.open_song(bench.separation(SHORT_MIN))
    for picture in ("waveform", "spectrogram"):
        tab.page.wait_for(
            f"document.querySelector('.row[data-stem]:not([hidden]) canvas').dataset.look === '{picture}'"
        )
        shown = tab.scroll(seconds=10)
        yield Row(
            f"twelve stems play and scroll, {picture}s: frames a second; frames later than two",
            f"{shown.per_second:.1f}; {shown.late} of {shown.count}",
            "60",
        )
        yield Row(
            f"the same, {picture}s: processor time of the main thread for a frame; of the whole process",
            f"{shown.main_ms:.1f} ms; {shown.process_ms:.1f} ms",
            "under 16.7 ms",
        )
        tab.page.press("v", "KeyV", "v")
    tab.close()


def peaks(bench: Bench) -> Iterator[Row]:
    """What peaks add to a separation."""
    share = peaks_share(bench.song(SHORT_MIN))
    yield Row("peaks of twelve stems, of a separation's processor time", f"{100 * share:.1f} %", "under 5 %")


PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "size": size,
    "load": load,
    "sound": sound,
    "memory": memory,
    "frames": frames,
    "peaks": peaks,
}


def processor_s(server: Server) -> float:
    """Processor time of the server and its processes so far."""
    every = [server.process, *server.process.children(recursive=True)]
    return float(sum(sum(process.cpu_times()[:2]) for process in every))


def write_repeated(path: Path, minutes: float) -> Path:
    """The example song, again and again."""
    once, rate = soundfile.read(EXAMPLE, dtype="int16")  # (samples, channels)
    count = round(60 * minutes * rate)
    soundfile.write(path, np.tile(once, (-(-count // len(once)), 1))[:count], rate)
    return path


def put_into(document: Path, rows: list[Row]) -> None:
    """Replaces the rows of the table in a document; those that were not measured stay as they are."""
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    known = [line for line in table.partition(HEAD)[2].splitlines() if line]
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in known} | {row.what: str(row) for row in rows}
    text = "\n".join(lines.values())
    document.write_text(f"{before}{BEGIN}\n\n{HEAD}{text}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Measures the player in a real browser.")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS), help="what to measure")
    parser.add_argument("--document", type=Path, help="a document whose table gets the rows")
    options = parser.parse_args()
    rows: list[Row] = []
    load_before = psutil.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="bench") as name,
        serving(Path(name) / "data", REAL) as server,
        browsing(Path(name) / "profile") as browser,
    ):
        print(browser.call("Browser.getVersion")["product"], f"a load of {load_before:.0f} before", sep=", ")
        bench = Bench(server, browser, Path(name))
        for part in options.only:
            for row in PARTS[part](bench):
                print(row, flush=True)
                rows.append(row)
        browser.close_pages()
    if options.document is not None:
        put_into(options.document, rows)


if __name__ == "__main__":
    main()
