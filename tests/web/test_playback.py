"""What is heard, to the sample: the page's own modules render in an OfflineAudioContext."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.stems import select
from tests.api.conftest import Server
from tests.web.browser import Page
from tests.web.conftest import RATE, Finished, finished_song, sounds

LSB = 1 / 32_768

RENDER = """
(async () => {
  const [{ Mixer }, { Playback }, { Segments }, { readPeaks }, { Wire }] = await Promise.all(
    ["mixer", "playback", "segments", "peaks", "wire"].map((name) => import(`./web/app/${name}.js`)));
  const { id, names, parts, start, frames, loop, change } = %s;
  const wire = new Wire();
  const base = `v1/separations/${id}`;
  const peaks = readPeaks(await wire.bytes(`${base}/stems/${names[0]}/peaks`));
  const context = new OfflineAudioContext(2, frames, peaks.sampleRate);
  const mixer = new Mixer(context, names);
  if (change.solo) mixer.soloOnly(change.solo);
  if (change.mute) mixer.set(change.mute, { muted: true });
  for (const [name, strip] of Object.entries(change.strips ?? {})) mixer.set(name, strip);
  if (change.original) mixer.hearOriginal(true);
  const segments = new Segments(wire, context, base);
  const song = { length: peaks.length, segmentLength: peaks.segmentLength, parts };
  const playback = new Playback(context, segments, mixer, song);
  if (loop) { playback.loop = loop; playback.isLooping = true; }
  await playback.scheduleOffline(start, frames);
  const rendered = await context.startRendering();
  const values = new Float32Array(2 * frames);
  for (let channel = 0; channel < 2; channel += 1) values.set(rendered.getChannelData(channel), channel * frames);
  let text = "";
  const bytes = new Uint8Array(values.buffer);
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
})()
"""


def rendered(
    page: Page,
    server: Server,
    finished: Finished,
    *,
    start: int = 0,
    frames: int | None = None,
    loop: tuple[int, int] | None = None,
    parts: list[str] | None = None,
    change: dict[str, object] | None = None,
) -> NDArray[np.float32]:
    """``(samples, channels)`` as the browser renders them."""
    facts = {
        "id": finished.id,
        "names": list(finished.parts),
        "parts": parts or [f"stems/{name}" for name in finished.parts],
        "start": start,
        "frames": frames or len(finished.song),
        "loop": None if loop is None else {"start": loop[0], "end": loop[1]},
        "change": change or {},
    }
    content = base64.b64decode(page.evaluate(RENDER % json.dumps(facts)))
    return np.frombuffer(content, np.float32).reshape(2, -1).T


@pytest.fixture(scope="module", params=[2, 1], ids=["stereo", "mono"])
def finished(server: Server, request: pytest.FixtureRequest) -> Finished:
    """Drums, bass and a silent rest."""
    return finished_song(server, sounds(select("drums,bass").names, request.param))


def heard(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Samples of a file as two channels of floats."""
    stereo = np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else samples
    return stereo / 32_768


def test_with_all_faders_at_unity_the_output_is_the_song(page: Page, server: Server, finished: Finished) -> None:
    assert np.abs(rendered(page, server, finished) - heard(finished.song)).max() < LSB / 100


def test_the_original_is_the_song_too(page: Page, server: Server, finished: Finished) -> None:
    fade = RATE // 50
    output = rendered(page, server, finished, parts=["stems/drums", "mix"], change={"original": True})
    assert np.abs(output - heard(finished.song))[fade:].max() < LSB / 100


def test_solo_and_mute_silence_the_others(page: Page, server: Server, finished: Finished) -> None:
    fade = RATE // 50
    changes: list[dict[str, object]] = [{"solo": "bass"}, {"mute": "drums"}]
    for change in changes:
        output = rendered(page, server, finished, change=change)
        assert np.abs(output - heard(finished.parts["bass"]))[fade:].max() < LSB / 100


@pytest.mark.parametrize("start", [1, 123_457, 220_499, 220_500, 400_001])
def test_a_seek_begins_at_the_very_sample(page: Page, server: Server, finished: Finished, start: int) -> None:
    frames = len(finished.song) - start
    output = rendered(page, server, finished, start=start, frames=frames)
    assert np.abs(output - heard(finished.song)[start:]).max() < LSB / 10


@pytest.mark.parametrize("loop", [(50_001, 90_003), (200_000, 240_123), (440_999, 460_000)])
def test_a_loop_comes_round_without_a_gap(
    page: Page, server: Server, finished: Finished, loop: tuple[int, int]
) -> None:
    frames = 3 * (loop[1] - loop[0])
    output = rendered(page, server, finished, start=loop[0], frames=frames, loop=loop)
    once = heard(finished.song)[loop[0] : loop[1]]
    assert np.abs(output - np.tile(once, (3, 1))).max() < LSB / 10


def test_the_servers_mixdown_is_what_is_heard(page: Page, server: Server, finished: Finished) -> None:
    strips = {"drums": {"volume": 0.5, "pan": -0.7}, "bass": {"volume": 1.25, "pan": 0.3}}
    query = {"stem": [f"{name}:{strip['volume']}:{strip['pan']}" for name, strip in strips.items()]}
    reply = server.client.get(f"/v1/separations/{finished.id}/mixdown", params=query)
    mixed, rate = soundfile.read(io.BytesIO(reply.content), dtype="float32")
    output = rendered(page, server, finished, change={"strips": strips})
    fade = RATE // 50
    assert rate == RATE and np.abs(output - mixed)[fade:].max() < LSB / 100


def test_segments_far_from_the_playhead_are_forgotten(page: Page, server: Server, finished: Finished) -> None:
    script = """
      (async () => {
        const { Segments } = await import("./web/app/segments.js");
        const { Wire } = await import("./web/app/wire.js");
        const { id } = %s;
        const segments = new Segments(new Wire(), new OfflineAudioContext(2, 1, 44100), `v1/separations/${id}`);
        const kept = () => [...segments.parts.get("mix").keys()];
        await Promise.all([0, 1, 2].map((number) => segments.load("mix", number)));
        segments.keepAround(1);
        segments.keepAround(0, 60);
        const around = kept();
        const buffer = segments.ready("mix", 1);
        segments.keepAround(60);
        const left = kept();
        while (buffer.getChannelData(0).length) await new Promise((resolve) => setTimeout(resolve, 20)); // given back
        return [around, left];
      })()
    """
    facts = json.dumps({"id": finished.id})
    assert page.evaluate(script % facts) == [[0, 1, 2], []]


def test_what_is_far_from_the_playhead_is_fetched_no_more(page: Page) -> None:
    script = """
      (async () => {
        const { Segments } = await import("./web/app/segments.js");
        const signals = [];
        const wire = { bytes: (path, signal) => {
          signals.push(signal);
          return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        } };
        const segments = new Segments(wire, new OfflineAudioContext(2, 1, 44100), "base");
        const far = segments.load("mix", 0).catch((error) => error.name);
        const near = segments.load("mix", 60).catch((error) => error.name);
        segments.keepAround(60);
        const ended = [await far, ...signals.map((signal) => signal.aborted)];
        segments.close();
        return [...ended, await near];
      })()
    """
    assert page.evaluate(script) == ["AbortError", True, False, "AbortError"]


def test_sound_begins_with_short_segments(page: Page, finished: Finished) -> None:
    script = """
      (async () => {
        const [{ Segments }, { Version }, { Wire }] = await Promise.all(
          ["segments", "version", "wire"].map((name) => import(`./web/app/${name}.js`)));
        const { id, parts } = %s;
        const made = (query) =>
          new Segments(new Wire(), new OfflineAudioContext(2, 1, 44100), `v1/separations/${id}`, 4, query);
        const short = { segments: made("?short=true"), length: 44100 };
        const facts = { length: 11.3 * 44100, segmentLength: 5 * 44100, speed: 1 };
        const version = new Version(made(""), facts, short);
        const place = (frame) => {
          const piece = version.pieceAt(parts, frame);
          return piece && [piece.number, piece.start / 44100, piece.end / 44100, piece.segments === short.segments];
        };
        const frame = 7.6 * 44100;
        await version.open(parts, frame);
        const [first, second] = [place(frame), place(8.2 * 44100)];
        const samples = short.segments.ready(parts[0], 7).getChannelData(0);
        await version.load(parts, 1);
        const long = version.segments.ready(parts[0], 1).getChannelData(0);
        const equal = samples.every((value, at) => value === long[2 * 44100 + at]);
        const later = place(frame);
        version.closeShort();
        return [first, second, samples.length, equal, later, place(0), version.short];
      })()
    """
    facts = json.dumps({"id": finished.id, "parts": ["stems/drums", "stems/bass"]})
    first, second, length, equal, later, nowhere, short = page.evaluate(script % facts)
    assert (first, second) == ([7, 7, 8, True], [8, 8, 9, True]), "less than half a second is left of the first"
    assert length == RATE and equal
    assert later == [1, 5, 10, False] and nowhere is None and short is None


def test_what_is_forgotten_before_it_sounds_is_heard_all_the_same(page: Page, finished: Finished) -> None:
    """A loop of a long song is scheduled from its start again while the playhead is still near its end."""
    script = """
      (async () => {
        const { Segments } = await import("./web/app/segments.js");
        const { Wire } = await import("./web/app/wire.js");
        const { id } = %s;
        const context = new OfflineAudioContext(2, 3 * 44100, 44100);
        const segments = new Segments(new Wire(), context, `v1/separations/${id}`);
        const buffer = await segments.load("mix", 0);
        const expected = buffer.getChannelData(0).slice(0, 44100);
        const source = context.createBufferSource();
        source.buffer = buffer;
        source.connect(context.destination);
        source.start(2);
        segments.keepAround(60);
        while (buffer.getChannelData(0).length) await new Promise((resolve) => setTimeout(resolve, 20));
        const heard = (await context.startRendering()).getChannelData(0).slice(2 * 44100);
        return [expected.some(Boolean), expected.every((value, at) => value === heard[at])];
      })()
    """
    assert page.evaluate(script % json.dumps({"id": finished.id})) == [True, True]
