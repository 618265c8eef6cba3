// @ts-check
// Signing in: by the one-time address that the server prints, by a key in the address, or by the form. The browser keeps
// a session in a cookie that no script can read; the key itself is not kept.

import { element, fill } from "./dom.js";
import { TEXTS } from "./texts.js";
import { WireError } from "./wire.js";

/** @typedef {import("./wire.js").Wire} Wire */

/** Where earlier releases kept the key. */
const OLD_NAME = "stemwright-key";

/**
 * Signs in with what the address holds (#open=… or #key=…), or with a key that an earlier release kept.
 * @param {Wire} wire
 * @returns {Promise<string | null>} why the server refused; null if it did not
 */
export async function signInFromAddress(wire) {
  const [, name, value] = /^#(open|key)=([\w-]+)$/.exec(location.hash) ?? [];
  if (name) history.replaceState(null, "", location.pathname + location.search);
  const old = localStorage.getItem(OLD_NAME) ?? sessionStorage.getItem(OLD_NAME);
  if (!name && !old) return null;
  try {
    await wire.signIn(name === "open" ? { link: value } : { key: name ? value : (old ?? "") }, true);
  } catch (error) {
    if (!(error instanceof WireError) || error.status !== 401) throw error;
    return name === "open" ? error.message : TEXTS.keyWrong;
  }
  localStorage.removeItem(OLD_NAME);
  sessionStorage.removeItem(OLD_NAME);
  return null;
}

/**
 * Shows the form.
 * @param {HTMLElement} place
 * @param {{wire: Wire, problem: string | null, onSignedIn: () => void}} options
 */
export function showSignIn(place, { wire, problem, onSignedIn }) {
  const message = element("p", { class: "error", role: "alert" }, problem ?? "");
  const input = element("input", {
    id: "key",
    type: "password",
    autocomplete: "current-password",
    spellcheck: false,
    placeholder: "sw_…",
    "aria-describedby": "key-why",
  });
  const remember = element("input", { type: "checkbox", id: "remember", checked: true });
  const button = element("button", { class: "primary", type: "submit" }, TEXTS.signIn);

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
      await wire.signIn({ key }, remember.checked);
      onSignedIn();
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
      element("h1", {}, TEXTS.signInTitle),
      element("p", { id: "key-why" }, `${TEXTS.keyWhy} `, element("code", {}, TEXTS.keyCommand), "."),
      element("label", { for: "key" }, TEXTS.keyLabel),
      input,
      element("label", { class: "check", for: "remember" }, remember, TEXTS.keyRemember),
      message,
      element("div", { class: "buttons" }, button),
    ),
  );
  input.focus();
}
