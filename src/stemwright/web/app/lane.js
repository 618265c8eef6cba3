// @ts-check
// What one sees of a stem or of the song along the timeline: its waveform, its spectrogram, or what the stem took.

import { element, fill, icon } from "./dom.js";
import { Spectrogram } from "./spectrogram.js";
import { TEXTS } from "./texts.js";
import { Tiles } from "./tiles.js";
import { Waveform } from "./waveform.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./waveform.js").View} View */
/** @typedef {"waveform" | "spectrogram" | "taken"} Look */

export class Lane {
  /**
   * @param {string} name of the stem, or of the song
   * @param {{wire: Wire, path: string, canTake: boolean, decoded: (number: number) => AudioBuffer | null,
   *   onChange: () => void, onError: (message: string) => void}} source path of the stem or the song; whether there is
   *   a picture of what was taken
   */
  constructor(name, { wire, path, canTake, decoded, onChange, onError }) {
    this.name = name;
    this.onChange = onChange;
    /** @type {Look} */
    this.look = "waveform";
    /** @type {Look[]} */
    this.looks = canTake ? ["waveform", "spectrogram", "taken"] : ["waveform", "spectrogram"];
    this.canvas = element("canvas", { class: "waveform", role: "img", "aria-label": name });
    this.waveform = new Waveform(this.canvas, decoded);
    const actions = {
      onLoad: onChange,
      onError: (/** @type {Error} */ error) => {
        this.show("waveform"); // the other picture cannot be had
        onError(error.message);
      },
    };
    /** @type {Map<Look, Tiles>} */
    this.tiles = new Map(
      this.looks.filter((look) => look !== "waveform").map((look) => [look, new Tiles(wire, `${path}/${look}`, actions)]),
    );
    this.button = element("button", { class: "toggle look", onclick: () => this.show(this.next) });
    this.#update();
  }

  /** @returns {Look} */
  get next() {
    return this.looks[(this.looks.indexOf(this.look) + 1) % this.looks.length];
  }

  /** Shows another picture, or the nearest that there is. @param {Look} look */
  show(look) {
    this.look = this.looks.includes(look) ? look : /** @type {Look} */ (this.looks.at(-1));
    this.#update();
    this.onChange();
  }

  /** @param {View} view */
  draw(view) {
    const tiles = this.tiles.get(this.look);
    if (tiles) new Spectrogram(this.canvas, tiles).draw(view);
    else this.waveform.draw(view);
  }

  close() {
    for (const tiles of this.tiles.values()) tiles.close();
  }

  #update() {
    const label = TEXTS.showLook[this.next](this.name);
    fill(this.button, icon(this.next === "waveform" ? "wave" : "spectrum"));
    this.button.title = label;
    this.button.setAttribute("aria-label", label);
    this.canvas.setAttribute("aria-label", TEXTS.lookOf[this.look](this.name));
    this.canvas.dataset.look = this.look;
  }
}
