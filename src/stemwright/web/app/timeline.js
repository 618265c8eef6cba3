// @ts-check
// What part of the song is seen: zoom, scroll, follow, and the ruler on which one seeks and chooses a loop.

import { element } from "./dom.js";
import { clockTime, TEXTS } from "./texts.js";

const SHORTEST_S = 0.02;
const STEPS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800];

export class Timeline {
  /**
   * @param {number} seconds length of the song
   * @param {{onSeek: (seconds: number) => void, onLoop: (region: {start: number, end: number} | null) => void,
   *   onView: () => void}} actions
   */
  constructor(seconds, actions) {
    this.seconds = seconds;
    this.actions = actions;
    this.view = { start: 0, end: seconds };
    this.follows = true;
    this.heldUntil = 0;
    this.canvas = element("canvas", { class: "ticks", "aria-hidden": "true" });
    this.ruler = element(
      "div",
      {
        class: "ruler",
        role: "slider",
        tabIndex: 0,
        "aria-label": TEXTS.position,
        "aria-valuemin": "0",
        "aria-valuemax": String(Math.round(seconds)),
      },
      this.canvas,
    );
    this.region = element("div", { class: "region", hidden: true });
    this.playhead = element("div", { class: "playhead" });
    this.lanes = element("div", { class: "lanes", "aria-hidden": "true" }, this.region, this.playhead);
    this.#listen(this.ruler, true);
    this.#listen(this.lanes, false);
    for (const area of [this.ruler, this.lanes]) {
      area.addEventListener("wheel", (event) => this.#wheel(/** @type {WheelEvent} */ (event)), { passive: false });
    }
  }

  get width() {
    return this.lanes.clientWidth || 1;
  }

  get span() {
    return this.view.end - this.view.start;
  }

  /** @param {number} clientX */
  timeAt(clientX) {
    const box = this.lanes.getBoundingClientRect();
    const share = (clientX - box.left) / (box.width || 1);
    return Math.min(this.seconds, Math.max(0, this.view.start + share * this.span));
  }

  /** @param {number} factor below 1 shows less @param {number} around seconds that stay in place */
  zoom(factor, around) {
    const span = Math.min(this.seconds, Math.max(SHORTEST_S, this.span * factor));
    const share = (around - this.view.start) / this.span;
    this.show(around - Math.min(1, Math.max(0, share)) * span, span);
  }

  /** @param {number} start @param {number} span */
  show(start, span) {
    const first = Math.min(Math.max(0, start), Math.max(0, this.seconds - span));
    if (first === this.view.start && first + span === this.view.end) return;
    this.view = { start: first, end: first + span };
    this.actions.onView();
  }

  /** Moves the playhead, and the view with it while it follows. @param {number} seconds @param {boolean} isPlaying */
  move(seconds, isPlaying) {
    const held = performance.now() < this.heldUntil;
    if (isPlaying && this.follows && !held && (seconds < this.view.start || seconds > this.view.end)) {
      this.show(seconds - 0.05 * this.span, this.span);
    }
    const x = ((seconds - this.view.start) / this.span) * this.width;
    this.playhead.style.transform = `translateX(${x.toFixed(1)}px)`;
    this.playhead.hidden = x < 0 || x > this.width;
    const told = String(Math.floor(seconds));
    if (this.ruler.getAttribute("aria-valuenow") !== told) {
      this.ruler.setAttribute("aria-valuenow", told);
      this.ruler.setAttribute("aria-valuetext", clockTime(seconds));
    }
  }

  /** @param {{start: number, end: number} | null} loop in seconds @param {boolean} isOn */
  showLoop(loop, isOn) {
    this.region.hidden = !loop;
    if (!loop) return;
    const from = ((loop.start - this.view.start) / this.span) * 100;
    const to = ((loop.end - this.view.start) / this.span) * 100;
    this.region.style.left = `${Math.max(0, from)}%`;
    this.region.style.width = `${Math.max(0, Math.min(100, to) - Math.max(0, from))}%`;
    this.region.classList.toggle("on", isOn);
  }

  /** Draws the ruler. */
  draw() {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    Object.assign(canvas, { width: canvas.clientWidth * scale, height: canvas.clientHeight * scale });
    const pen = canvas.getContext("2d");
    if (!pen) return;
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const width = canvas.clientWidth;
    const least = (this.span / width) * 72;
    const step = STEPS_S.find((one) => one >= least) ?? 3600;
    pen.fillStyle = style.color;
    pen.strokeStyle = style.getPropertyValue("--line");
    pen.font = style.font;
    pen.textBaseline = "middle";
    for (let tick = Math.ceil(this.view.start / step) * step; tick <= this.view.end; tick += step) {
      const x = ((tick - this.view.start) / this.span) * width;
      pen.beginPath();
      pen.moveTo(x + 0.5, 8);
      pen.lineTo(x + 0.5, canvas.clientHeight);
      pen.stroke();
      const text = step < 1 ? clockTime(Math.floor(tick)) + (tick % 1).toFixed(3).slice(1) : clockTime(Math.round(tick));
      if (x + pen.measureText(text).width + 8 < width) pen.fillText(text, x + 6, canvas.clientHeight / 2 + 1);
    }
  }

  /** A click or drag seeks; a drag on the ruler chooses a loop. @param {HTMLElement} area @param {boolean} loops */
  #listen(area, loops) {
    let start = /** @type {number | null} */ (null);
    let startX = 0;
    area.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      area.setPointerCapture(event.pointerId);
      start = this.timeAt(event.clientX);
      startX = event.clientX;
      if (!loops) this.actions.onSeek(start);
    });
    area.addEventListener("pointermove", (event) => {
      if (start === null) return;
      const time = this.timeAt(event.clientX);
      if (loops && Math.abs(event.clientX - startX) > 4) {
        this.showLoop({ start: Math.min(start, time), end: Math.max(start, time) }, true);
      }
      if (!loops && Math.abs(event.clientX - startX) > 2) this.move(time, false);
    });
    area.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const time = this.timeAt(event.clientX);
      const moved = Math.abs(event.clientX - startX);
      if (loops && moved > 4) this.actions.onLoop({ start: Math.min(start, time), end: Math.max(start, time) });
      else if (loops || moved > 2) this.actions.onSeek(time);
      start = null;
    });
    area.addEventListener("pointercancel", () => (start = null));
    if (loops) area.addEventListener("dblclick", () => this.actions.onLoop(null));
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (!event.ctrlKey && !event.metaKey && !sideways) return; // the page scrolls
    event.preventDefault();
    this.heldUntil = performance.now() + 3000;
    if (sideways && !event.ctrlKey) {
      this.show(this.view.start + ((event.deltaX || event.deltaY) / this.width) * this.span, this.span);
    } else {
      this.zoom(Math.exp(event.deltaY / 300), this.timeAt(event.clientX));
    }
  }
}
