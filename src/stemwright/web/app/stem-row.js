// @ts-check
// One stem: name, presence in words, mute, solo, volume, pan, waveform.

import { element } from "./dom.js";
import { Lane } from "./lane.js";
import { stemName, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Stem} Stem @typedef {import("./mixer.js").Mixer} Mixer */

const HARDLY_DBFS = -45;

/** How much a stem plays, as a word. @param {Stem} stem */
export function presenceOf(stem) {
  if (!stem.present) return "silent";
  return stem.rms_dbfs === null || stem.rms_dbfs < HARDLY_DBFS ? "hardly" : "plays";
}

export class StemRow {
  /**
   * @param {Stem} stem
   * @param {Mixer} mixer
   * @param {ConstructorParameters<typeof Lane>[1]} source of its picture
   */
  constructor(stem, mixer, source) {
    this.stem = stem;
    this.mixer = mixer;
    const name = stemName(stem.name);
    this.mute = element(
      "button",
      {
        class: "toggle mute",
        title: `${TEXTS.mute} (M)`,
        "aria-label": TEXTS.muteStem(name),
        "aria-pressed": "false",
        onclick: () => this.toggleMute(),
      },
      "M",
    );
    this.solo = element(
      "button",
      {
        class: "toggle solo",
        title: TEXTS.soloHint,
        "aria-label": TEXTS.soloStem(name),
        "aria-pressed": "false",
        onclick: (/** @type {MouseEvent} */ event) => this.toggleSolo(event.ctrlKey || event.metaKey),
      },
      "S",
    );
    this.volume = element("input", {
      type: "range",
      class: "volume",
      min: "0",
      max: "1.5",
      step: "0.01",
      value: "1",
      title: TEXTS.volume,
      "aria-label": TEXTS.volumeOf(name),
      oninput: () => mixer.set(stem.name, { volume: nearOne(Number(this.volume.value)) }),
      ondblclick: () => mixer.set(stem.name, { volume: 1 }),
    });
    this.pan = element("input", {
      type: "range",
      class: "pan",
      min: "-1",
      max: "1",
      step: "0.05",
      value: "0",
      title: TEXTS.pan,
      "aria-label": TEXTS.panOf(name),
      oninput: () => mixer.set(stem.name, { pan: Number(this.pan.value) }),
      ondblclick: () => mixer.set(stem.name, { pan: 0 }),
    });
    const presence = presenceOf(stem);
    this.lane = new Lane(name, source);
    this.controls = element(
      "div",
      { class: "controls" },
      element(
        "div",
        { class: "name" },
        element("span", { class: "chip", "aria-hidden": "true" }),
        element("span", { class: "label" }, name),
        presence === "plays" ? null : element("span", { class: "presence" }, TEXTS.presence[presence]),
      ),
      element("div", { class: "strip" }, this.mute, this.solo, this.volume, this.pan, this.lane.button),
    );
    this.root = element(
      "div",
      { class: "row", role: "group", "aria-label": name, "data-stem": stem.name },
      this.controls,
      this.lane.canvas,
    );
  }

  toggleMute() {
    this.mixer.set(this.stem.name, { muted: !this.mixer.strip(this.stem.name).muted });
  }

  /** @param {boolean} only */
  toggleSolo(only) {
    if (only) this.mixer.soloOnly(this.stem.name);
    else this.mixer.set(this.stem.name, { soloed: !this.mixer.strip(this.stem.name).soloed });
  }

  /** Shows what the mixer has. */
  update() {
    const strip = this.mixer.strip(this.stem.name);
    this.mute.setAttribute("aria-pressed", String(strip.muted));
    this.solo.setAttribute("aria-pressed", String(strip.soloed));
    this.volume.value = String(strip.volume);
    this.volume.style.setProperty("--part", `${(strip.volume / 1.5) * 100}%`);
    this.volume.setAttribute(
      "aria-valuetext",
      TEXTS.decibels(strip.volume ? 20 * Math.log10(strip.volume) : -Infinity),
    );
    this.pan.value = String(strip.pan);
    this.pan.setAttribute("aria-valuetext", TEXTS.panValue(strip.pan));
    this.root.classList.toggle("unheard", !this.mixer.isAudible(this.stem.name));
  }
}

/** Unity is easy to hit again. @param {number} volume */
function nearOne(volume) {
  return Math.abs(volume - 1) < 0.03 ? 1 : volume;
}
