// @ts-check
// Callbacks: each attempt to deliver one, and sending it again.

import { element, fill } from "./dom.js";
import { day, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").AccountDelivery} AccountDelivery */

/** How long after it is due a callback is looked at. */
const LOOK_MS = 1500;

/** @param {{wire: Wire, mayWrite: boolean, onError: (message: string) => void}} options */
export function deliveryList({ wire, mayWrite, onError }) {
  const list = element("ul", { class: "lines" });
  const more = element("button", { hidden: true, onclick: () => void load(next) }, TEXTS.more);
  /** @type {string | null} */
  let next = null;
  /** @type {AccountDelivery[]} */
  let known = [];
  let timer = 0;

  /** @param {string | null} after */
  async function load(after) {
    try {
      const page = await wire.accountDeliveries(after);
      known = after ? [...known, ...page.deliveries] : page.deliveries;
      next = page.next;
    } catch (error) {
      onError(String(/** @type {Error} */ (error).message));
    }
    more.hidden = next === null;
    const seen = new Set();
    fill(
      list,
      ...known.map((one) => {
        const isNewest = !seen.has(one.separation_id);
        seen.add(one.separation_id);
        return item(one, isNewest);
      }),
    );
    if (!known.length) fill(list, element("li", { class: "quiet" }, TEXTS.noCallbacks));
    clearTimeout(timer);
    const due = known.filter((one) => one.state === "pending").map((one) => Date.parse(one.due_at));
    if (after || !due.length) return; // what lies further back stays as it was read
    const wait = Math.max(0, Math.min(...due) - Date.now()) + LOOK_MS;
    timer = window.setTimeout(() => list.isConnected && void load(null), wait);
  }

  /** @param {AccountDelivery} one @param {boolean} isNewest of its separation */
  function item(one, isNewest) {
    const button = element("button", { onclick: () => void replay() }, one.state === "pending" ? TEXTS.sendNow : TEXTS.sendAgain);
    async function replay() {
      button.disabled = true;
      try {
        await wire.replay(one.separation_id);
      } catch (error) {
        onError(String(/** @type {Error} */ (error).message));
      }
      await load(null);
    }
    const at = day(one.attempted_at ?? one.due_at);
    const outcome = one.error ?? (one.status_code === null ? null : TEXTS.httpStatus(one.status_code));
    return element(
      "li",
      {},
      element(
        "div",
        { class: "what" },
        element("strong", { class: "address", title: one.callback_url }, one.callback_url),
        element(
          "span",
          { class: "status" },
          element("span", { class: `state ${one.state}` }, TEXTS.deliveryStates[one.state] ?? one.state),
          ` · ${[TEXTS.attempt(one.attempt), at, outcome].filter(Boolean).join(" · ")}`,
        ),
      ),
      element("div", { class: "actions" }, mayWrite && isNewest ? button : null),
    );
  }

  void load(null);
  return element(
    "section",
    { class: "card", "aria-labelledby": "callbacks-title" },
    element("h2", { id: "callbacks-title" }, TEXTS.callbacksTitle),
    list,
    more,
  );
}
