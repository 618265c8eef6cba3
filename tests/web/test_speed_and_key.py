"""Speed and key in the page: the song plays on until the stems are there, and then from the same place."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.service.errors import PreviewUnavailable
from stemwright.service.preview_reader import PreviewReader
from tests.api.conftest import Server
from tests.waiting import wait_until
from tests.web.browser import Page
from tests.web.conftest import RATE, Finished
from tests.web.test_page import open_song

CATCH_PLAYBACK = """
import("./web/app/playback.js").then(({ Playback }) => {
  const play = Playback.prototype.play;
  Playback.prototype.play = function () { window.playback = this; return play.call(this); };
})
"""

CHANGE = """
(() => {
  const spans = window.playback.clock.spans;
  const number = spans.findIndex((span) => span.speed !== 1);
  if (number < 1) return null;
  const [before, after] = [spans[number - 1], spans[number]];
  return {
    gap: after.contextFrame - before.contextFrame - before.length,
    moved: after.songFrame - before.songFrame - (after.contextFrame - before.contextFrame),
    speed: after.speed,
  };
})()
"""

RENDER = """
(async () => {
  const [{ Mixer }, { Playback }, { Segments }, { Version }, { Wire }] = await Promise.all(
    ["mixer", "playback", "segments", "version", "wire"].map((name) => import(`./web/app/${name}.js`)));
  const { id, names, rate, length, rendered, speed, start, frames, loop } = %s;
  const segmentLength = 5 * rate;
  const wire = new Wire();
  const base = `v1/separations/${id}`;
  const context = new OfflineAudioContext(2, frames, rate);
  const parts = names.map((name) => `stems/${name}`);
  const playback = new Playback(context, new Segments(wire, context, base), new Mixer(context, names),
    { length, segmentLength, parts });
  const segments = new Segments(wire, context, base, 4, `?speed=${speed}&semitones=0`);
  await playback.switchTo(new Version(segments, { length: rendered, segmentLength, speed }));
  if (loop) { playback.loop = loop; playback.isLooping = true; }
  await playback.scheduleOffline(start, frames);
  const output = await context.startRendering();
  const values = new Float32Array(2 * frames);
  for (let channel = 0; channel < 2; channel += 1) values.set(output.getChannelData(channel), channel * frames);
  let text = "";
  const bytes = new Uint8Array(values.buffer);
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
})()
"""


def choose(page: Page, speed: float) -> None:
    page.evaluate(
        f"(() => {{ const list = document.querySelector('.speed-and-key select'); list.value = '{speed}';"
        "list.dispatchEvent(new Event('change')); })()"
    )


def chosen(page: Page) -> list[str]:
    found: list[str] = page.evaluate("[...document.querySelectorAll('.speed-and-key select')].map((one) => one.value)")
    return found


def made(server: Server, finished: Finished, query: dict[str, float]) -> NDArray[np.float32]:
    """The sum of the server's stems ``(samples, channels)``."""
    path = f"/v1/separations/{finished.id}"
    server.client.put(f"{path}/rendering", params=query)
    wait_until(lambda: server.client.get(f"{path}/rendering", params=query).json()["state"] == "succeeded")
    mixed = server.client.get(f"{path}/mixdown", params=query).content
    samples: NDArray[np.float32] = soundfile.read(io.BytesIO(mixed), dtype="float32")[0]
    return samples


def heard(
    page: Page, finished: Finished, expected: NDArray[np.float32], start: int, frames: int, loop: object = None
) -> NDArray[np.float32]:
    """``(samples, channels)`` as the browser renders them at 0.8 times the speed."""
    facts = {"id": finished.id, "names": list(finished.parts), "rate": RATE, "speed": 0.8}
    place = {"start": start, "frames": frames, "loop": loop}
    lengths = {"length": len(finished.song), "rendered": len(expected)}
    content = base64.b64decode(page.evaluate(RENDER % json.dumps({**facts, **place, **lengths})))
    return np.frombuffer(content, np.float32).reshape(2, -1).T


def test_the_song_plays_on_and_changes_in_its_place(page: Page, server: Server, finished: Finished) -> None:
    open_song(page, server, finished)
    page.evaluate(CATCH_PLAYBACK)
    page.press("l", "KeyL", "l")  # round and round, however long the server takes
    page.press(" ", "Space", " ")
    page.wait_for("window.playback?.clock.spans.length")
    choose(page, 0.8)
    page.wait_for("!document.querySelector('.making').hidden")
    change = page.wait_for(CHANGE)
    assert change["speed"] == 0.8 and change["gap"] == 0 and abs(change["moved"]) <= 1
    page.wait_for("document.querySelector('.speed-and-key.changed') && document.querySelector('.making').hidden")
    facts = page.evaluate("({playing: playback.isPlaying, length: playback.version.length, song: playback.length})")
    assert facts == {"playing": True, "length": round(len(finished.song) / 0.8), "song": len(finished.song)}
    assert page.evaluate("document.querySelector('.time').textContent").endswith("0:11"), "the song's own time"
    page.press(" ", "Space", " ")
    page.evaluate("HTMLAnchorElement.prototype.click = function () { window.saved = this.href; }")
    page.evaluate("document.querySelector('.menu').open = true")
    page.click(".menu [data-stem=bass]")
    alone = f"{server.url}/v1/separations/{finished.id}/mixdown?stem=drums%3A0&stem=residual%3A0&speed=0.8&semitones=0"
    assert page.wait_for("window.saved") == alone, "a stem is saved as it is heard"
    choose(page, 1)
    page.wait_for("!document.querySelector('.speed-and-key.changed')")
    assert page.evaluate("playback.version.length") == len(finished.song)
    assert page.complaints == []


def test_what_sounds_is_what_the_server_made(page: Page, server: Server, finished: Finished) -> None:
    expected = made(server, finished, {"speed": 0.8})
    assert len(expected) == round(len(finished.song) / 0.8)
    output = heard(page, finished, expected, 0, len(expected))
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-6)
    start, end = 100_000, 240_000  # in the song
    once = expected[round(start / 0.8) : round(end / 0.8)]
    output = heard(page, finished, expected, start, 2 * len(once), {"start": start, "end": end})
    np.testing.assert_allclose(output, np.tile(once, (2, 1)), rtol=0, atol=1e-6)


def test_keys_choose_it_and_it_can_be_stopped(
    page: Page, server: Server, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []

    def hold(_previews: object, _parts: object, **facts: object) -> list[str]:
        begun.append((facts["wanted"], facts["on_progress"]))
        while True:
            facts["on_progress"](0.5)  # type: ignore[operator]

    monkeypatch.setattr(PreviewReader, "render", hold)
    monkeypatch.setattr("stemwright.service.rendering_work.NOTE_INTERVAL_S", 0.05)
    open_song(page, server, finished)
    for _ in range(2):
        page.press(",", "Comma", ",")
    page.press("<", "Comma", "<", modifiers=8)
    assert chosen(page) == ["0.9", "-1"]
    page.wait_for("document.querySelector('.making-share').textContent.includes('50 %')")
    assert len(begun) == 1, "only what one ends with is made"
    page.click(".making button")
    assert chosen(page) == ["1", "0"]
    page.wait_for("document.querySelector('.making').hidden")
    path = f"/v1/separations/{finished.id}/rendering?speed=0.9&semitones=-1"
    wait_until(lambda: server.client.get(path).status_code == 404)
    assert page.complaints == []


def test_what_cannot_be_made_is_said(
    page: Page, server: Server, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> list[str]:
        raise PreviewUnavailable("This file cannot be read. Separate the song again, or try another file of it.")

    monkeypatch.setattr(PreviewReader, "render", fail)
    open_song(page, server, finished)
    choose(page, 1.5)
    assert "Separate the song again" in page.wait_for("document.querySelector('#notes').innerText")
    assert chosen(page) == ["1", "0"]
    page.press(" ", "Space", " ")
    page.wait_for("document.querySelector('.play').getAttribute('aria-label') === 'Pause'")
