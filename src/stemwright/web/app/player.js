// @ts-check
// The player of one separation: all stems under each other, the transport below.

import { element, fill, icon } from "./dom.js";
import { downloads } from "./downloads.js";
import { Mixer } from "./mixer.js";
import { readPeaks } from "./peaks.js";
import { Playback } from "./playback.js";
import { Segments } from "./segments.js";
import { SpeedAndKeyControl } from "./speed-and-key.js";
import { SongRow } from "./song-row.js";
import { presenceOf, StemRow } from "./stem-row.js";
import { clockTime, stemName, TEXTS } from "./texts.js";
import { Timeline } from "./timeline.js";
import { Transport } from "./transport.js";
import { bindKeys } from "./shortcuts.js";
import { bindMediaSession } from "./media-session.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").Separation} Separation */
/** @typedef {import("./lane.js").Look} Look */

const SEGMENTS_KEPT = 4;
const SHORT_SEGMENTS_KEPT = 3;
/** Formats of stems that the server reads from any place. */
const SEEKABLE = ["wav", "flac", "aiff"];
const TOLD_MS = 8000;

/**
 * Opens the player in a place.
 * @param {HTMLElement} place
 * @param {{wire: Wire, separation: Separation, title: string, onError: (message: string) => void}} song
 * @returns {Promise<() => void>} closes it
 */
export async function openPlayer(place, { wire, separation, title, onError }) {
  const base = `v1/separations/${separation.id}`;
  const stems = separation.stems.filter((stem) => presenceOf(stem) !== "silent");
  const silent = separation.stems.filter((stem) => presenceOf(stem) === "silent");
  const audible = stems.length ? stems : separation.stems;
  const first = readPeaks(await wire.bytes(`${base}/stems/${audible[0].name}/peaks`));
  // Opus is 48 kHz whatever the song has. At the rate of the files the browser does not resample.
  const sampleRate = separation.format === "opus" ? 48_000 : first.sampleRate;
  const context = openContext(sampleRate);
  const seconds = first.length / first.sampleRate;
  const length = Math.round(seconds * context.sampleRate);
  const segmentLength = Math.round((first.segmentLength / first.sampleRate) * context.sampleRate);
  const segments = new Segments(wire, context, base, SEGMENTS_KEPT);
  const mixer = new Mixer(
    context,
    audible.map((stem) => stem.name),
    10 ** ((separation.gain_db ?? 0) / 20),
  );
  const parts = audible.map((stem) => `stems/${stem.name}`);
  const short = SEEKABLE.includes(separation.format)
    ? { segments: new Segments(wire, context, base, SHORT_SEGMENTS_KEPT, "?short=true"), length: context.sampleRate }
    : null;
  const playback = new Playback(context, segments, mixer, { length, segmentLength, parts }, short);
  const rate = context.sampleRate;

  /** Twelve pictures fail for one reason: it is said once. @param {string} message */
  function tellOnce(message) {
    if (message === told) return;
    told = message;
    setTimeout(() => (told = ""), TOLD_MS);
    onError(message);
  }
  let told = "";

  /** @param {string} part @param {boolean} canTake */
  const picture = (part, canTake) => ({
    wire,
    path: `${base}/${part}`,
    canTake,
    decoded: (/** @type {number} */ number) => (speedAndKey.query ? null : playback.segments.ready(part, number)),
    onChange: () => (isStale = true),
    onError: tellOnce,
  });
  const rows = audible.map((stem) => new StemRow(stem, mixer, picture(`stems/${stem.name}`, true)));
  const song = new SongRow(picture("mix", false));
  const lanes = [song.lane, ...rows.map((row) => row.lane)];
  let isStale = true;
  const timeline = new Timeline(seconds, {
    onSeek: (time) => playback.seek(time * rate),
    onLoop: (region) =>
      playback.setLoop(region && { start: Math.round(region.start * rate), end: Math.round(region.end * rate) }),
    onView: () => (isStale = true),
  });

  const speedAndKey = new SpeedAndKeyControl({ wire, id: separation.id, playback, kept: SEGMENTS_KEPT, onError });
  const transport = new Transport({
    playback,
    mixer,
    seconds,
    speedAndKey: speedAndKey.root,
    actions: { toggle, zoom, switchOriginal, switchFollow },
  });

  // --- pictures
  const look = element(
    "select",
    { "aria-label": TEXTS.look, title: TEXTS.lookHint, onchange: () => showLook(/** @type {Look} */ (look.value)) },
    ...Object.entries(TEXTS.looks).map(([value, text]) => element("option", { value }, text)),
  );
  const songButton = element(
    "button",
    { class: "toggle", title: TEXTS.songRow, "aria-label": TEXTS.songRow, "aria-pressed": "false", onclick: switchSong },
    TEXTS.stemNames.song,
  );

  // --- page
  const area = element(
    "div",
    { class: "stems" },
    element("div", { class: "corner" }, look, songButton),
    timeline.ruler,
    song.root,
    ...rows.map((row) => row.root),
    timeline.lanes,
  );
  area.style.setProperty("--n", String(audible.length));
  fill(
    place,
    element(
      "header",
      { class: "song-head" },
      element("a", { class: "tool", href: "#/", "aria-label": TEXTS.backToSongs, title: TEXTS.backToSongs }, icon("back")),
      element(
        "div",
        { class: "song-title" },
        element("h1", {}, title),
        element("p", { class: "quiet" }, facts(separation, seconds)),
      ),
      downloads({ wire, separation, title, mixer, speedAndKey, onError }),
    ),
    element("section", { class: "deck", "aria-label": TEXTS.stems }, area),
    silent.length
      ? element(
          "details",
          { class: "silent" },
          element("summary", {}, TEXTS.nSilent(silent.length)),
          element("p", {}, silent.map((stem) => stemName(stem.name)).join(", ")),
        )
      : null,
    transport.root,
  );

  // --- behaviour
  let frame = 0;

  function toggle() {
    if (playback.isPlaying) playback.pause();
    else playback.play();
  }

  /** @param {number} factor */
  function zoom(factor) {
    const now = playback.frame / rate;
    const isSeen = now >= timeline.view.start && now <= timeline.view.end;
    timeline.zoom(factor, isSeen ? now : (timeline.view.start + timeline.view.end) / 2);
  }

  /** @param {Look} wanted */
  function showLook(wanted) {
    look.value = wanted;
    for (const lane of lanes) lane.show(wanted === "taken" && lane === song.lane ? "spectrogram" : wanted);
  }

  function switchLook() {
    const all = /** @type {Look[]} */ (Object.keys(TEXTS.looks));
    showLook(all[(all.indexOf(/** @type {Look} */ (look.value)) + 1) % all.length]);
  }

  async function switchSong() {
    song.root.hidden = !song.root.hidden;
    songButton.setAttribute("aria-pressed", String(!song.root.hidden));
    area.style.setProperty("--n", String(audible.length + (song.root.hidden ? 0 : 1)));
    isStale = true;
    if (song.root.hidden || song.lane.waveform.peaks) return;
    try {
      song.lane.waveform.peaks = readPeaks(await wire.bytes(`${base}/mix/peaks`));
      isStale = true;
    } catch (error) {
      song.root.hidden = true;
      songButton.setAttribute("aria-pressed", "false");
      tellMissing(error);
    }
  }

  function switchFollow() {
    timeline.follows = !timeline.follows;
    transport.update(timeline.follows);
  }

  async function switchOriginal() {
    const on = !mixer.hearsOriginal;
    transport.original.disabled = true;
    try {
      if (on) await playback.add("mix");
      mixer.hearOriginal(on);
    } catch (error) {
      tellMissing(error);
    } finally {
      transport.original.disabled = false;
    }
  }

  /** Why the song cannot be shown or heard. @param {unknown} error */
  function tellMissing(error) {
    const isGone = /** @type {{status?: number}} */ (error).status === 404;
    onError(isGone ? TEXTS.noOriginal : String(/** @type {Error} */ (error).message));
  }

  function update() {
    transport.update(timeline.follows);
    area.classList.toggle("original", mixer.hearsOriginal);
    for (const row of rows) row.update();
    isStale = true;
    media.update(playback.isPlaying, playback.frame / rate);
  }

  /** @param {number} now */
  function draw(now) {
    frame = requestAnimationFrame(draw);
    const position = playback.frame / rate;
    timeline.move(position, playback.isPlaying);
    transport.draw(position, now, isStale);
    if (!isStale) return;
    isStale = false;
    const region = playback.loop && { start: playback.loop.start / rate, end: playback.loop.end / rate };
    timeline.showLoop(region, playback.isLooping);
    timeline.draw();
    for (const lane of lanes) lane.draw(timeline.view);
  }

  const media = bindMediaSession({ title, seconds, playback, rate });
  playback.onChange = update;
  playback.onError = (error) => {
    if (speedAndKey.query && "status" in error && error.status === 404) speedAndKey.giveUp();
    else onError(error.message);
  };
  mixer.onChange = update;
  const actions = { toggle, zoom, switchOriginal, switchFollow, switchLook };
  const unbind = bindKeys({ playback, mixer, rows, rate, seconds, speedAndKey, ...actions });
  const observer = new ResizeObserver(() => (isStale = true));
  observer.observe(area);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const restyle = () => (isStale = true);
  scheme.addEventListener("change", restyle);
  document.addEventListener("stemwright-theme", restyle);
  update();
  frame = requestAnimationFrame(draw);

  await Promise.all(
    rows.map(async (row) => {
      row.lane.waveform.peaks = readPeaks(await wire.bytes(`${base}/stems/${row.stem.name}/peaks`));
      isStale = true;
    }),
  );
  for (const { waveform } of lanes) waveform.gain = displayGain(rows);
  isStale = true;
  // The first segments are there when Play is pressed.
  Promise.all(parts.map((part) => segments.load(part, 0))).catch(() => {});

  return () => {
    cancelAnimationFrame(frame);
    observer.disconnect();
    scheme.removeEventListener("change", restyle);
    document.removeEventListener("stemwright-theme", restyle);
    unbind();
    media.close();
    for (const lane of lanes) lane.close();
    speedAndKey.close();
    playback.close();
    void context.close();
  };
}

/** A context at the song's rate; browsers refuse rates that are far off. @param {number} sampleRate */
function openContext(sampleRate) {
  if (!("AudioContext" in window)) throw new Error(TEXTS.noAudioContext);
  try {
    return new AudioContext({ sampleRate });
  } catch {
    return new AudioContext();
  }
}

/** One factor for all waveforms, so that the loudest fills its row and levels can be compared. @param {StemRow[]} rows */
function displayGain(rows) {
  let highest = 1;
  for (const { waveform } of rows.map((row) => row.lane)) {
    for (const value of waveform.peaks?.levels.at(-1)?.values ?? []) highest = Math.max(highest, Math.abs(value));
  }
  return 128 / highest;
}

/** @param {Separation} separation @param {number} seconds */
function facts(separation, seconds) {
  const rate = separation.sample_rate ? `${(separation.sample_rate / 1000).toFixed(1)} kHz` : null;
  return [clockTime(seconds), TEXTS.formats[separation.format]?.split(",")[0], rate, separation.plan]
    .filter(Boolean)
    .join(" · ");
}
