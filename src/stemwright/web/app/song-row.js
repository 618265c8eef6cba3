// @ts-check
// The song itself above its stems: name and picture. It has no faders: "Original" plays it.

import { element } from "./dom.js";
import { Lane } from "./lane.js";
import { TEXTS } from "./texts.js";

export class SongRow {
  /** @param {ConstructorParameters<typeof Lane>[1]} source */
  constructor(source) {
    this.lane = new Lane(TEXTS.stemNames.song, source);
    this.root = element(
      "div",
      { class: "row song", role: "group", "aria-label": TEXTS.stemNames.song, "data-stem": "song", hidden: true },
      element(
        "div",
        { class: "controls" },
        element(
          "div",
          { class: "name" },
          element("span", { class: "chip", "aria-hidden": "true" }),
          element("span", { class: "label" }, TEXTS.stemNames.song),
        ),
        element("div", { class: "strip" }, this.lane.button),
      ),
      this.lane.canvas,
    );
  }
}
