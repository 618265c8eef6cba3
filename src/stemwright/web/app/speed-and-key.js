// @ts-check
// Chooses speed and key. The server makes all stems anew, once; until they are there the song plays on as it is.

import { element, icon } from "./dom.js";
import { Segments } from "./segments.js";
import { TEXTS } from "./texts.js";
import { Version } from "./version.js";
import { renderingQuery } from "./wire.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").SpeedAndKey} Choice */
/** @typedef {import("./wire.js").Rendering} Rendering @typedef {import("./playback.js").Playback} Playback */

const SLOWEST = 0.5;
const FASTEST = 2;
const SPEED_STEP = 0.05;
const MOST_SEMITONES = 12;
/** @type {Choice} */
const ORIGINAL = { speed: 1, semitones: 0 };

/** A key is pressed several times in a row; only what one ends with is made. */
const SETTLE_MS = 400;
const POLL_MS = 700;

export class SpeedAndKeyControl {
  /**
   * @param {{wire: Wire, id: string, playback: Playback, kept: number, onError: (message: string) => void}} song id of
   *   the separation; how many segments of a part stay decoded
   */
  constructor({ wire, id, playback, kept, onError }) {
    this.wire = wire;
    this.id = id;
    this.playback = playback;
    this.kept = kept;
    this.onError = onError;
    this.heard = ORIGINAL;
    this.wanted = ORIGINAL;
    /** What the server makes now. @type {Choice | null} */
    this.making = null;
    this.turn = 0;
    this.timer = 0;
    const { length, segmentLength } = playback.version;
    this.original = { length, segmentLength, speed: 1 };
    this.speed = select(TEXTS.speed, `${TEXTS.speedHint} (, .)`, speeds(), TEXTS.speedValue, () => this.#read());
    this.key = select(TEXTS.key, `${TEXTS.keyHint} (Shift , .)`, keys(), TEXTS.keyValue, () => this.#read());
    this.state = element("span", { class: "making-share" });
    this.stop = element(
      "button",
      { class: "tool", title: TEXTS.stopMaking, "aria-label": TEXTS.stopMaking, onclick: () => this.choose(this.heard) },
      icon("close"),
    );
    this.progress = element("span", { class: "making", hidden: true }, this.state, this.stop);
    this.root = element(
      "div",
      { class: "speed-and-key", role: "group", "aria-label": TEXTS.speedAndKey },
      this.speed,
      this.key,
      this.progress,
    );
    this.#show();
  }

  /** The query of what is heard, for what the server makes of it. */
  get query() {
    return renderingQuery(this.heard);
  }

  /** Slower or faster, lower or higher. @param {{speeds?: number, semitones?: number}} steps */
  step({ speeds: faster = 0, semitones = 0 }) {
    this.choose({
      speed: within(SLOWEST, FASTEST, Math.round((this.wanted.speed + faster * SPEED_STEP) * 100) / 100),
      semitones: within(-MOST_SEMITONES, MOST_SEMITONES, this.wanted.semitones + semitones),
    });
  }

  /** @param {Choice} wanted */
  choose(wanted) {
    this.wanted = wanted;
    this.turn += 1;
    clearTimeout(this.timer);
    this.playback.stay();
    this.#abandon();
    this.#show();
    if (!isSame(wanted, this.heard)) this.timer = window.setTimeout(() => void this.#change(this.turn), SETTLE_MS);
  }

  /** Back to the song as it is, since what was heard is no longer stored. */
  giveUp() {
    this.onError(TEXTS.renderingGone);
    this.choose(ORIGINAL);
  }

  close() {
    this.turn += 1;
    clearTimeout(this.timer);
    this.#abandon(true);
  }

  #read() {
    this.choose({ speed: Number(this.speed.value), semitones: Number(this.key.value) });
  }

  /** @param {number} turn */
  async #change(turn) {
    const wanted = this.wanted;
    try {
      const version = isSame(wanted, ORIGINAL) ? this.original : await this.#make(wanted, turn);
      if (turn !== this.turn || !version) return;
      const { wire, id, kept, playback } = this;
      const segments = new Segments(wire, playback.context, `v1/separations/${id}`, kept, renderingQuery(wanted));
      await playback.switchTo(new Version(segments, version));
      if (turn !== this.turn) return;
      this.heard = wanted;
      this.#show();
    } catch (error) {
      if (turn !== this.turn) return;
      this.making = null;
      this.wanted = this.heard;
      this.#show();
      this.onError(String(/** @type {Error} */ (error).message));
    }
  }

  /**
   * Has the server make it, and waits.
   * @param {Choice} wanted
   * @param {number} turn
   */
  async #make(wanted, turn) {
    this.making = wanted;
    this.#show();
    let isTold = false;
    /** @type {Rendering | null} */
    let rendering = null;
    while (rendering?.state !== "succeeded") {
      if (rendering) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      if (turn !== this.turn) return null;
      try {
        rendering = rendering ? await this.wire.rendering(this.id, wanted) : await this.wire.render(this.id, wanted);
        if (turn !== this.turn) return null;
        if (rendering.state === "failed") throw new Error(rendering.error ?? TEXTS.odd);
        this.state.textContent = TEXTS.making(rendering.progress);
      } catch (caught) {
        const error = /** @type {Error & {status?: number, isTemporary?: boolean}} */ (caught);
        const isStopped = error.status === 404; // in another tab; it is wanted here
        if (!rendering || !(error.isTemporary || isStopped)) throw error;
        if (isStopped) rendering = null;
        else if (!isTold) this.onError(error.message);
        isTold ||= !isStopped;
      }
    }
    this.making = null;
    const { context } = this.playback;
    const length = Math.round((rendering.samples / rendering.sample_rate) * context.sampleRate);
    return { length, segmentLength: this.original.segmentLength, speed: wanted.speed };
  }

  /** What nobody waits for any more is not made. @param {boolean} [isLeaving] */
  #abandon(isLeaving = false) {
    if (!this.making) return;
    this.wire.removeRendering(this.id, this.making, isLeaving).catch(() => {});
    this.making = null;
  }

  #show() {
    this.speed.value = String(this.wanted.speed);
    this.key.value = String(this.wanted.semitones);
    this.progress.hidden = this.making === null;
    if (this.making) this.state.textContent = TEXTS.making(0);
    this.root.classList.toggle("changed", !isSame(this.heard, ORIGINAL));
  }
}

function speeds() {
  const count = Math.round((FASTEST - SLOWEST) / SPEED_STEP) + 1;
  return Array.from({ length: count }, (_, index) => Math.round((SLOWEST + index * SPEED_STEP) * 100) / 100);
}

function keys() {
  return Array.from({ length: 2 * MOST_SEMITONES + 1 }, (_, index) => MOST_SEMITONES - index);
}

/**
 * @param {string} label @param {string} title @param {number[]} values @param {(value: number) => string} text
 * @param {() => void} onchange
 */
function select(label, title, values, text, onchange) {
  const options = values.map((value) => element("option", { value: String(value) }, text(value)));
  return element("select", { "aria-label": label, title, onchange }, ...options);
}

/** @param {Choice} one @param {Choice} other */
function isSame(one, other) {
  return one.speed === other.speed && one.semitones === other.semitones;
}

/** @param {number} lowest @param {number} highest @param {number} value */
function within(lowest, highest, value) {
  return Math.min(highest, Math.max(lowest, value));
}
