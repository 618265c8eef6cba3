// @ts-check
// What the listener knows of the song: which stems play. It is not kept for the next visit, since that is another song.

import { element } from "./dom.js";
import { stemName, TEXTS } from "./texts.js";

/**
 * @param {string[]} stems all that can play
 * @param {() => void} onChange
 * @returns {{root: HTMLElement, playing: () => string[] | null}} `playing` is null while nothing is named
 */
export function knownStems(stems, onChange) {
  /** @type {Set<string>} */
  const named = new Set();
  const said = element("span", { class: "quiet" });
  const names = element("fieldset", { class: "names" }, element("legend", {}, TEXTS.knownHint));
  for (const name of stems.filter((one) => one !== "backing_vocals")) {
    const text = name === "vocals" ? TEXTS.allSinging : stemName(name);
    const box = element("input", {
      type: "checkbox",
      onchange: () => {
        if (box.checked) named.add(name);
        else named.delete(name);
        said.textContent = named.size ? TEXTS.nKnown(named.size) : "";
        onChange();
      },
    });
    names.append(element("label", { class: "tag", "data-stem": name }, box, element("span", {}, text)));
  }
  return {
    root: element("details", { class: "known" }, element("summary", {}, TEXTS.known, " ", said), names),
    playing: () => (named.size ? stems.filter((name) => named.has(name)) : null),
  };
}
