// @ts-check
// The API key: from the one-time address that the first start prints, from the form, or as kept before.

import { element, fill } from "./dom.js";
import { TEXTS } from "./texts.js";
import { Wire, WireError } from "./wire.js";

const NAME = "stemwright-key";

/** The key in the address (#key=…), which is then taken out of the address, or the one that was kept. */
export function knownKey() {
  const given = /^#key=([\w-]+)$/.exec(location.hash)?.[1];
  if (given) {
    keep(given, true);
    history.replaceState(null, "", location.pathname + location.search);
    return given;
  }
  return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
}

/** @param {string} key @param {boolean} remember beyond this tab */
function keep(key, remember) {
  forgetKey();
  (remember ? localStorage : sessionStorage).setItem(NAME, key);
}

export function forgetKey() {
  localStorage.removeItem(NAME);
  sessionStorage.removeItem(NAME);
}

/**
 * Shows the form.
 * @param {HTMLElement} place
 * @param {{refused?: boolean, current: string | null, onKey: (key: string) => void, onForget: () => void}} options
 */
export function showKeyForm(place, { refused = false, current, onKey, onForget }) {
  const message = element("p", { class: "error", role: "alert" }, refused ? TEXTS.keyWrong : "");
  const input = element("input", {
    id: "key",
    type: "password",
    autocomplete: "current-password",
    spellcheck: false,
    placeholder: "sw_…",
    "aria-describedby": "key-why",
  });
  const remember = element("input", { type: "checkbox", id: "remember", checked: true });
  const button = element("button", { class: "primary", type: "submit" }, TEXTS.keyUse);

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    const key = input.value.trim();
    if (!key) {
      message.textContent = TEXTS.keyNeeded;
      input.focus();
      return;
    }
    button.disabled = true;
    try {
      await new Wire(key).plans();
      keep(key, remember.checked);
      onKey(key);
    } catch (error) {
      const wrong = error instanceof WireError && error.status === 401;
      message.textContent = wrong ? TEXTS.keyWrong : String(/** @type {Error} */ (error).message);
      input.select();
    } finally {
      button.disabled = false;
    }
  }

  fill(
    place,
    element(
      "form",
      { class: "card key-form", onsubmit: submit },
      element("h1", {}, TEXTS.keyTitle),
      element("p", { id: "key-why" }, `${TEXTS.keyWhy} `, element("code", {}, TEXTS.keyCommand), "."),
      current && !refused ? element("p", { class: "quiet" }, TEXTS.keyKnown(current.slice(0, 7))) : null,
      element("label", { for: "key" }, TEXTS.keyLabel),
      input,
      element("label", { class: "check", for: "remember" }, remember, TEXTS.keyRemember),
      message,
      element(
        "div",
        { class: "buttons" },
        button,
        current
          ? element("button", { type: "button", onclick: () => (forgetKey(), onForget()) }, TEXTS.keyForget)
          : null,
      ),
    ),
  );
  input.focus();
}
