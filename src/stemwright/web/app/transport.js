// @ts-check
// The bar below the stems: play, loop, time, speed and key, what is shown, the master and its meter.

import { element, fill, icon } from "./dom.js";
import { Meter } from "./meter.js";
import { showShortcuts } from "./shortcuts.js";
import { clockTime, TEXTS } from "./texts.js";

/** @typedef {import("./playback.js").Playback} Playback @typedef {import("./mixer.js").Mixer} Mixer */
/** @typedef {{toggle: () => void, zoom: (factor: number) => void, switchOriginal: () => Promise<void>,
 *   switchFollow: () => void}} Actions */

const LOUDEST = 1.5;

export class Transport {
  /**
   * @param {{playback: Playback, mixer: Mixer, seconds: number, speedAndKey: HTMLElement, actions: Actions}} player
   */
  constructor({ playback, mixer, seconds, speedAndKey, actions }) {
    this.playback = playback;
    this.mixer = mixer;
    this.seconds = seconds;
    this.play = element("button", { class: "play", "aria-label": TEXTS.play, onclick: actions.toggle }, icon("play"));
    this.time = element("output", { class: "time", "aria-live": "off" }, clockTime(0, true));
    this.loop = tool("loop", TEXTS.loop, `${TEXTS.loopHint} (L)`, () => playback.setLooping(!playback.isLooping));
    this.original = toggle(TEXTS.original, `${TEXTS.originalHint} (A)`, () => void actions.switchOriginal());
    this.original.classList.add("original");
    this.follow = toggle(TEXTS.follow, `${TEXTS.follow} (F)`, actions.switchFollow);
    this.master = element("input", {
      type: "range",
      class: "volume",
      min: "0",
      max: String(LOUDEST),
      step: "0.01",
      value: "1",
      "aria-label": TEXTS.volumeOf(TEXTS.master),
      oninput: () => mixer.setMaster(Math.abs(Number(this.master.value) - 1) < 0.03 ? 1 : Number(this.master.value)),
      ondblclick: () => mixer.setMaster(1),
    });
    const meterCanvas = element("canvas", { class: "meter", "aria-hidden": "true" });
    this.meter = new Meter(meterCanvas, mixer.master);
    this.root = element(
      "div",
      { class: "transport", role: "toolbar", "aria-label": TEXTS.play },
      element(
        "div",
        { class: "left" },
        tool("start", TEXTS.toStart, `${TEXTS.toStart} (Home)`, () => playback.seek(0)),
        this.play,
        this.loop,
        this.time,
      ),
      element(
        "div",
        { class: "middle" },
        speedAndKey,
        this.original,
        this.follow,
        tool("out", TEXTS.zoomOut, `${TEXTS.zoomOut} (-)`, () => actions.zoom(2)),
        tool("in", TEXTS.zoomIn, `${TEXTS.zoomIn} (+)`, () => actions.zoom(0.5)),
        element("button", { class: "toggle", title: `${TEXTS.reset} (R)`, onclick: () => mixer.reset() }, TEXTS.reset),
        element("button", { class: "toggle", title: "?", onclick: () => showShortcuts() }, TEXTS.keys),
      ),
      element("label", { class: "right" }, element("span", {}, TEXTS.master), this.master, meterCanvas),
    );
  }

  /** Shows what playback and mixer have. @param {boolean} follows whether the view follows the playhead */
  update(follows) {
    const { playback, mixer, play } = this;
    const label = playback.isPlaying ? TEXTS.pause : TEXTS.play;
    play.setAttribute("aria-label", label);
    play.title = `${label} (Space)`;
    play.classList.toggle("waiting", playback.isWaiting);
    fill(play, icon(playback.isPlaying ? "pause" : "play"));
    this.loop.setAttribute("aria-pressed", String(playback.isLooping));
    this.original.setAttribute("aria-pressed", String(mixer.hearsOriginal));
    this.follow.setAttribute("aria-pressed", String(follows));
    this.master.value = String(mixer.masterVolume);
    this.master.style.setProperty("--part", `${(mixer.masterVolume / LOUDEST) * 100}%`);
  }

  /**
   * Shows the place in the song and the level.
   * @param {number} position in seconds @param {number} now in ms @param {boolean} isStale the meter has to be drawn
   */
  draw(position, now, isStale) {
    const told = `${clockTime(position, true)} / ${clockTime(this.seconds)}`;
    if (this.time.textContent !== told) this.time.textContent = told;
    if (isStale || this.playback.isPlaying || this.meter.isFalling) this.meter.draw(now);
  }
}

/** @param {string} name of the icon @param {string} label @param {string} title @param {() => void} onclick */
function tool(name, label, title, onclick) {
  return element("button", { class: "tool", title, "aria-label": label, onclick }, icon(name));
}

/** @param {string} text @param {string} title @param {() => void} onclick */
function toggle(text, title, onclick) {
  return element("button", { class: "toggle", title, "aria-pressed": "false", onclick }, text);
}
