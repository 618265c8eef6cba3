// @ts-check
// The keys of the account: create one, which is shown once, and revoke.

import { element, fill, icon } from "./dom.js";
import { day, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").Key} Key @typedef {import("./wire.js").Account} Account */

/**
 * @param {{wire: Wire, account: Account, onError: (message: string) => void, onNewKey: (key: string) => void,
 *   onOwnRevoked: () => void}} options
 */
export function keyList({ wire, account, onError, onNewKey, onOwnRevoked }) {
  const mayWrite = account.key.scopes.includes("write");
  const list = element("ul", { class: "lines" });
  const shown = element("div", { role: "status" });
  const name = element("input", { type: "text", id: "key-name", maxLength: 200, required: true, placeholder: TEXTS.keyNameExample });
  const scopes = element("select", { id: "key-scopes" });
  for (const value of ["read,write", "read", "read,write,operator"]) {
    const isAllowed = value.split(",").every((scope) => account.key.scopes.includes(scope));
    if (isAllowed) scopes.append(element("option", { value }, TEXTS.keyScopes[value]));
  }
  const button = element("button", { type: "submit" }, TEXTS.createKey);
  const form = element(
    "form",
    { class: "inline-form", onsubmit: (/** @type {Event} */ event) => void create(event) },
    element("label", { class: "field", for: "key-name" }, element("span", { class: "label" }, TEXTS.keyName), name),
    element("label", { class: "field", for: "key-scopes" }, element("span", { class: "label" }, TEXTS.keyMay), scopes),
    button,
  );

  /** @param {Event} event */
  async function create(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      const made = await wire.createKey(name.value.trim(), scopes.value.split(","));
      name.value = "";
      fill(shown, newKey(made.name, made.key));
      onNewKey(made.key);
      await load();
    } catch (error) {
      onError(String(/** @type {Error} */ (error).message));
    } finally {
      button.disabled = false;
    }
  }

  /** @param {Key} key */
  async function revoke(key) {
    try {
      await wire.revokeKey(key.id);
      if (key.id === account.key.id) return onOwnRevoked();
      await load();
    } catch (error) {
      onError(String(/** @type {Error} */ (error).message));
    }
  }

  /** Asks before it revokes. @param {Key} key */
  function item(key) {
    const isOwn = key.id === account.key.id;
    const ask = element("button", { class: "quiet-button", "aria-label": TEXTS.revokeKey(key.name), onclick: () => confirm() }, TEXTS.revoke);
    const actions = element("div", { class: "actions" }, mayWrite ? ask : null);
    function confirm() {
      const yes = element("button", { class: "danger", onclick: () => void revoke(key) }, TEXTS.revokeForGood);
      const no = element("button", { onclick: () => (fill(actions, ask), ask.focus()) }, TEXTS.keep);
      fill(actions, yes, no);
      yes.focus();
    }
    return element(
      "li",
      {},
      element(
        "div",
        { class: "what" },
        element("strong", {}, key.name),
        element("span", { class: "status" }, [
          `${key.hint}…`, TEXTS.keyScopes[key.scopes.join(",")] ?? key.scopes.join(", "), TEXTS.madeOn(day(key.created_at)),
          isOwn ? TEXTS.thisOne : null,
        ].filter(Boolean).join(" · ")),
      ),
      actions,
    );
  }

  async function load() {
    try {
      fill(list, ...(await wire.keys()).map(item));
    } catch (error) {
      onError(String(/** @type {Error} */ (error).message));
    }
  }

  void load();
  return element(
    "section",
    { class: "card", "aria-labelledby": "keys-title" },
    element("h2", { id: "keys-title" }, TEXTS.keysTitle),
    element("p", { class: "quiet" }, TEXTS.keysWhy),
    list,
    shown,
    mayWrite ? form : null,
  );
}

/** @param {string} name @param {string} key */
function newKey(name, key) {
  const code = element("code", { class: "secret" }, key);
  return element(
    "div",
    { class: "new-key" },
    element("p", {}, TEXTS.newKey(name)),
    element("div", { class: "secret-line" }, code, copyButton(() => key)),
  );
}

/** Copies a text. @param {() => string} text */
export function copyButton(text) {
  const button = element("button", { type: "button", class: "copy", onclick: () => void copy() }, icon("copy"), element("span", {}, TEXTS.copy));
  async function copy() {
    const isDone = await copied(text());
    /** @type {HTMLElement} */ (button.lastElementChild).textContent = isDone ? TEXTS.copied : TEXTS.copyFailed;
    setTimeout(() => (/** @type {HTMLElement} */ (button.lastElementChild).textContent = TEXTS.copy), 2000);
  }
  return button;
}

/** The clipboard is for secure pages alone; a server in the house may have none. @param {string} text */
async function copied(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const area = element("textarea", { value: text, class: "unseen" });
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  return isDone;
}
