// @ts-check
// Which stems, which plan, which format, and what is known of the song. All but the last is kept for the next visit.

import { element, fill } from "./dom.js";
import { knownStems } from "./known-stems.js";
import { bytes, stemName, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Order} Order @typedef {import("./wire.js").Plan} Plan */
/** @typedef {import("./wire.js").MissingPlan} MissingPlan */

const NAME = "stemwright-order";
const STEMS = [
  "vocals",
  "backing_vocals",
  "drums",
  "bass",
  "guitar",
  "keyboard",
  "strings",
  "brass",
  "woodwinds",
  "percussion",
  "synth",
  "fx",
];

/** @returns {{mode: "two" | "twelve" | "some", names: string[], plan: string, format: string}} */
function kept() {
  const standard = { mode: "twelve", names: ["vocals", "drums", "bass"], plan: "auto", format: "flac" };
  try {
    return { ...standard, ...JSON.parse(localStorage.getItem(NAME) ?? "{}") };
  } catch {
    return /** @type {any} */ (standard);
  }
}

/**
 * @param {{plans: Plan[], not_installed: MissingPlan[]}} offered
 * @param {boolean} isOperator
 * @returns {{root: HTMLElement, order: () => Order | null}} the order is null while something in it is wrong
 */
export function orderForm({ plans, not_installed: missing }, isOperator) {
  const choice = kept();
  if (!plans.some((plan) => plan.name === choice.plan)) choice.plan = plans[0]?.name ?? "auto";
  const message = element("p", { class: "error", role: "alert" });

  const modes = element("div", { class: "segmented", role: "radiogroup", "aria-label": TEXTS.stems });
  const names = element("fieldset", { class: "names" }, element("legend", {}, TEXTS.chooseStems));
  for (const name of STEMS) {
    const box = element("input", {
      type: "checkbox",
      checked: choice.names.includes(name),
      onchange: () => {
        choice.names = STEMS.filter((one) => (one === name ? box.checked : choice.names.includes(one)));
        save();
      },
    });
    names.append(element("label", { class: "tag", "data-stem": name }, box, element("span", {}, stemName(name))));
  }
  names.append(element("p", { class: "quiet" }, TEXTS.restComes));

  function showModes() {
    names.hidden = choice.mode !== "some";
    fill(
      modes,
      ...(/** @type {const} */ (["two", "twelve", "some"]).map((mode) =>
        element(
          "label",
          {},
          element("input", {
            type: "radio",
            name: "mode",
            value: mode,
            checked: choice.mode === mode,
            onchange: () => {
              choice.mode = mode;
              names.hidden = mode !== "some";
              save();
            },
          }),
          element("span", {}, TEXTS[mode]),
        ),
      )),
    );
  }

  const known = knownStems(STEMS, () => (message.textContent = wrong() ?? ""));

  /** What keeps the form from being sent; null if nothing does. */
  function wrong() {
    if (choice.mode !== "some") return null;
    if (!choice.names.length) return TEXTS.chooseOne;
    const playing = known.playing();
    const sung = playing?.includes("vocals");
    const silent = choice.names.find((name) => playing && !playing.includes(name) && !(sung && name === "backing_vocals"));
    return silent ? TEXTS.chosenSilent(stemName(silent)) : null;
  }

  function save() {
    message.textContent = wrong() ?? "";
    localStorage.setItem(NAME, JSON.stringify(choice));
  }

  const plan = element("select", { "aria-describedby": "plan-why", onchange: () => ((choice.plan = plan.value), save(), showPlan()) });
  for (const one of plans) {
    const text = TEXTS.planOption(one.name, TEXTS.songMinutes(one.song_minutes, one.is_bound));
    plan.append(element("option", { value: one.name, selected: one.name === choice.plan }, text));
  }
  for (const one of missing) {
    const installed = plans.some((other) => other.name === one.name);
    if (!installed) plan.append(element("option", { disabled: true }, TEXTS.planMissing(one.name, bytes(one.download_bytes))));
  }
  const why = element("p", { class: "quiet hint", id: "plan-why" });

  function showPlan() {
    const chosen = plans.find((one) => one.name === plan.value);
    if (!chosen) return;
    const models = chosen.models.map((model) => `${model.name} (${TEXTS.licence(model.licence)})`).join(", ");
    const better = missing.findLast((one) => one.can_run && !plans.some((other) => other.name === one.name));
    const licences = [...new Set((better?.missing ?? []).map((model) => TEXTS.licence(model.licence)))].join(", ");
    why.textContent = [
      chosen.title.replace(/\.?$/, "."),
      TEXTS.planUses(models),
      plans.some((one) => one.song_minutes !== null) ? TEXTS.costFor : null,
      better ? TEXTS.planNeeds(better.name, bytes(better.download_bytes), licences, isOperator) : null,
    ]
      .filter(Boolean)
      .join(" ");
  }

  showPlan();
  const format = select(Object.entries(TEXTS.formats), choice.format, (value) => ((choice.format = value), save()));
  showModes();
  return {
    root: element(
      "section",
      { class: "order", "aria-label": TEXTS.stems },
      element("div", { class: "field" }, element("span", { class: "label" }, TEXTS.stems), modes),
      element("label", { class: "field" }, element("span", { class: "label" }, TEXTS.plan), plan),
      element("label", { class: "field" }, element("span", { class: "label" }, TEXTS.format), format),
      names,
      why,
      known.root,
      message,
    ),
    order() {
      message.textContent = wrong() ?? "";
      if (message.textContent) return null;
      const stems = choice.mode === "some" ? [...choice.names] : choice.mode;
      return { stems, playing: known.playing(), plan: choice.plan, format: choice.format };
    },
  };
}

/** @param {string[][]} options @param {string} current @param {(value: string) => void} onChange */
function select(options, current, onChange) {
  const made = element("select", { onchange: () => onChange(made.value) });
  for (const [value, text] of options) made.append(element("option", { value, selected: value === current }, text));
  return made;
}
