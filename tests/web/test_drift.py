"""Twelve stems of ten minutes do not drift apart: each click of each stem is heard at its very sample.

The page's own playback plays on an OfflineAudioContext that stands still every few seconds, until what comes next is
scheduled. So it works as it does live: by its timer, with segments that come and go around the playhead. Ten minutes
take as long as the machine needs.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.stems import STEMS
from tests.api.conftest import Server
from tests.waiting import wait_until
from tests.web.browser import Page
from tests.web.conftest import RATE, finished_song
from tests.web.test_playback import LSB

pytestmark = pytest.mark.long

MINUTES = 10
CLICK = 8192

PLAY = """
(async () => {
  const [{ Mixer }, { Playback }, { Segments }, { readPeaks }, { Wire }] = await Promise.all(
    ["mixer", "playback", "segments", "peaks", "wire"].map((name) => import(`./web/app/${name}.js`)));
  const { id, names } = %s;
  const wire = new Wire();
  const base = `v1/separations/${id}`;
  const peaks = readPeaks(await wire.bytes(`${base}/stems/${names[0]}/peaks`));
  const rate = peaks.sampleRate;
  const context = new OfflineAudioContext(1, peaks.length + rate, rate);
  const segments = new Segments(wire, context, base);
  const song = { length: peaks.length, segmentLength: peaks.segmentLength, parts: names.map((name) => `stems/${name}`) };
  const short = { segments: new Segments(wire, context, base, 3, "?short=true"), length: rate }; // sound begins with them
  const playback = new Playback(context, segments, new Mixer(context, names), song, short);
  window.seconds = window.kept = 0;
  const isAhead = () =>
    playback.nextContextFrame >= (context.currentTime + 4) * rate || playback.nextFrame >= song.length;
  const pause = async () => {
    while (!isAhead()) await new Promise((resolve) => setTimeout(resolve, 20));
    window.seconds = context.currentTime;
    window.kept = Math.max(window.kept, ...[...segments.parts.values()].map((part) => part.size));
    window.opened ??= [...short.segments.parts.values()].map((part) => part.size);
    if (window.seconds + 4 < peaks.length / rate) void context.suspend(window.seconds + 3).then(pause);
    if (window.seconds > 0) await context.resume();
  };
  playback.play();
  await pause();
  const values = (await context.startRendering()).getChannelData(0);
  const heard = [];
  values.forEach((value, frame) => value !== 0 && heard.push([frame, value]));
  window.heard = heard;
})().catch((error) => (window.failed = String(error))); 0
"""


def clicks(stem: int) -> NDArray[np.int64]:
    """Where a stem clicks: once a second, never together with another stem, nor always at the same place of a block."""
    seconds = np.arange(60 * MINUTES)
    return RATE * seconds + 3000 * stem + 997 * seconds % 2900


@pytest.fixture
def parts() -> dict[str, NDArray[np.int16]]:
    made = {name: np.zeros((60 * MINUTES * RATE, 1), np.int16) for name in STEMS}
    for stem, samples in enumerate(made.values()):
        samples[clicks(stem)] = CLICK
    return made


def test_stems_do_not_drift_in_ten_minutes(page: Page, server: Server, parts: dict[str, NDArray[np.int16]]) -> None:
    song = finished_song(server, parts)
    page.evaluate(PLAY % json.dumps({"id": song.id, "names": list(parts)}))
    for seconds in range(0, 60 * MINUTES - 10, 10):  # each has the patience of a test
        _wait_for(page, f"window.seconds > {seconds}")
    _wait_for(page, "window.heard !== undefined")
    assert page.evaluate("window.failed ?? ''") == ""
    frames, values = np.array(page.evaluate("window.heard")).T
    is_click = values > CLICK / 32_768 / 2
    expected = np.sort(np.concatenate([clicks(stem) for stem in range(len(parts))]))
    assert is_click.sum() == len(expected)
    late = frames[is_click] - expected
    assert set(late) == {late[0]} and late[0] < RATE, "every click is as late as the first: by the start's delay"
    # Times are in seconds, so the browser may place a sample some billionths of a frame beside its place.
    rest = np.concatenate([np.abs(values[is_click] - CLICK / 32_768), np.abs(values[~is_click])])
    assert rest.max() < LSB / 10
    assert page.evaluate("window.opened") == [1] * len(parts)
    assert page.evaluate("window.kept") <= 6, "segments that were played are forgotten"


def _wait_for(page: Page, condition: str) -> None:
    wait_until(lambda: page.evaluate(f"window.failed !== undefined || {condition}"), condition)
