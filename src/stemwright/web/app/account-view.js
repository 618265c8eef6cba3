// @ts-check
// The account: who is signed in, keys, usage, callbacks, and lines to copy.

import { deliveryList } from "./delivery-list.js";
import { element, fill } from "./dom.js";
import { keyList } from "./key-list.js";
import { serverAddress, snippets } from "./snippets.js";
import { TEXTS } from "./texts.js";
import { usage } from "./usage.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").Account} Account */

/**
 * Shows the view.
 * @param {HTMLElement} place
 * @param {{wire: Wire, account: Account, onSignedOut: () => void, onError: (message: string) => void}} options
 */
export function showAccount(place, { wire, account, onSignedOut, onError }) {
  async function signOut() {
    try {
      await wire.signOut();
      onSignedOut();
    } catch (error) {
      onError(String(/** @type {Error} */ (error).message));
    }
  }

  const lines = snippets(serverAddress(account.server_url));
  fill(
    place,
    element(
      "div",
      { class: "page" },
      element(
        "header",
        { class: "page-head" },
        element(
          "div",
          {},
          element("h1", {}, account.name),
          element("p", { class: "quiet" }, TEXTS.signedInWith(account.key.name, account.key.hint)),
        ),
        element("button", { onclick: () => void signOut() }, TEXTS.signOut),
      ),
      usage({ wire, account, onError }),
      keyList({ wire, account, onError, onNewKey: lines.useKey, onOwnRevoked: onSignedOut }),
      lines.root,
      deliveryList({ wire, mayWrite: account.key.scopes.includes("write"), onError }),
    ),
  );
}
