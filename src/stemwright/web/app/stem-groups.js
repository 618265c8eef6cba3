// @ts-check
// Asks which of the four groups of a .stem.mp4 each stem goes to, and for the codec.

import { element } from "./dom.js";
import { stemName, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Stem} Stem */

const GROUPS = ["Drums", "Bass", "Other", "Vocals"];
/** @type {Record<string, number>} where a stem usually goes; all others to Other */
const USUAL = { drums: 0, percussion: 0, bass: 1, vocals: 3, backing_vocals: 3 };

/** @param {Stem[]} stems @returns {Promise<string | null>} the query for the server; null: cancelled */
export function chooseGroups(stems) {
  return new Promise((resolve) => {
    const names = GROUPS.map((name, number) =>
      element("input", { value: name, maxLength: 30, required: true, pattern: "[^:]+", "aria-label": TEXTS.groupName(number + 1) }),
    );
    const choices = stems.map((stem) => {
      const select = element("select", { id: `group-${stem.name}` });
      select.append(...GROUPS.map((name, number) => element("option", { value: String(number) }, name)));
      select.value = String(USUAL[stem.name] ?? 2);
      return { stem, select };
    });
    for (const [number, input] of names.entries()) {
      input.addEventListener("input", () => {
        for (const { select } of choices) select.options[number].text = input.value;
      });
    }
    const lossless = element("input", { type: "checkbox", id: "stem-lossless" });
    const form = element(
      "form",
      { method: "dialog", onsubmit: () => dialog.close("made") },
      element("h2", {}, TEXTS.stemFileTitle),
      element("p", { class: "quiet" }, TEXTS.stemFileWhy),
      element("div", { class: "group-names" }, ...names),
      element(
        "dl",
        { class: "groups" },
        ...choices.flatMap(({ stem, select }) => [
          element("dt", { "data-stem": stem.name }, element("label", { for: select.id }, stemName(stem.name))),
          element("dd", {}, select),
        ]),
      ),
      element("label", { class: "check", for: "stem-lossless" }, lossless, TEXTS.stemFileLossless),
      element(
        "div",
        { class: "buttons" },
        element("button", { class: "primary", type: "submit" }, TEXTS.download),
        element("button", { type: "button", onclick: () => dialog.close() }, TEXTS.cancel),
      ),
    );
    const dialog = element("dialog", { class: "card", "aria-label": TEXTS.stemFileTitle, onclose: close }, form);

    function close() {
      dialog.remove();
      if (dialog.returnValue !== "made") return resolve(null);
      const query = new URLSearchParams({ codec: lossless.checked ? "alac" : "aac" });
      for (const [number, input] of names.entries()) {
        const inside = choices.filter(({ select }) => select.value === String(number)).map(({ stem }) => stem.name);
        query.append("group", `${input.value.trim()}:${inside.join(",")}`);
      }
      resolve(query.toString());
    }

    document.body.append(dialog);
    dialog.showModal();
  });
}
