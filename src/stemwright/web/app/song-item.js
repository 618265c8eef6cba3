// @ts-check
// One song of the list, as an element.

import { element, fill, icon } from "./dom.js";
import { bytes, clockTime, day, stemName, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Separation} Separation @typedef {import("./outbox.js").Pending} Pending */
/** @typedef {{root: HTMLElement, bar: HTMLElement | null, status: HTMLElement}} Item */

/** @param {string} name @param {string} label @param {string} title @param {() => void} onclick @param {boolean} [disabled] */
function tool(name, label, title, onclick, disabled = false) {
  return element("button", { class: "tool", "aria-label": label, title, onclick, disabled }, icon(name));
}

/**
 * A song that waits to be sent.
 * @param {Pending} one
 * @param {{retry: () => void, drop: () => void}} actions
 * @returns {Item}
 */
export function pendingItem(one, { retry, drop }) {
  const isFailed = one.state === "failed";
  const bar = isFailed ? null : element("progress", { max: 1, "aria-label": TEXTS.stages.uploading });
  const status = element("span", { class: "status" });
  const root = element(
    "li",
    { class: `song ${isFailed ? "failed" : "busy"}` },
    element(
      "div",
      { class: "what" },
      element("strong", {}, one.title),
      status,
      bar,
      one.error ? element("p", { class: "error" }, one.error) : null,
    ),
    element(
      "div",
      { class: "actions" },
      isFailed ? element("button", { onclick: retry }, TEXTS.again) : null,
      tool("close", TEXTS.cancelSong(one.title), TEXTS.cancel, drop),
    ),
  );
  return { root, bar, status };
}

/**
 * A song that the server has.
 * @param {Separation} one
 * @param {{cancel: () => void, remove: () => void, rename: (title: string) => void}} actions
 * @returns {Item}
 */
export function songItem(one, { cancel, remove, rename }) {
  const title = one.title ?? TEXTS.untitled;
  const isBusy = one.state === "pending" || one.state === "running";
  const isDone = one.state === "succeeded";
  const bar = isBusy ? element("progress", { max: 1, "aria-label": title }) : null;
  const status = element("span", { class: "status" });
  const text = element("strong", {}, title);
  const name = isDone ? element("a", { href: `#/song/${one.id}`, "aria-label": TEXTS.openSong(title) }, text) : text;
  const heading = element("div", {}, name);
  const pencil = tool("pencil", TEXTS.renameSong(title), TEXTS.rename, () => edit());

  function edit() {
    const input = element("input", { type: "text", class: "rename", value: title, maxLength: 500, "aria-label": TEXTS.newTitle });
    let isOver = false;
    /** @param {boolean} isWanted */
    const end = (isWanted) => {
      if (isOver) return;
      isOver = true;
      const hadFocus = document.activeElement === input;
      fill(heading, name);
      if (hadFocus) pencil.focus();
      const wanted = input.value.trim();
      if (isWanted && wanted && wanted !== title) rename(wanted);
    };
    input.addEventListener("blur", () => end(true));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") end(event.key === "Enter");
    });
    fill(heading, input);
    input.select();
  }

  const root = element(
    "li",
    { class: `song ${isBusy ? "busy" : one.state}` },
    isDone ? stripes(one) : null,
    element(
      "div",
      { class: "what" },
      heading,
      status,
      bar,
      one.error ? element("p", { class: "error" }, one.error.message) : null,
    ),
    element(
      "div",
      { class: "actions" },
      one.title === null ? null : pencil,
      isBusy
        ? tool("close", TEXTS.cancelSong(title), TEXTS.cancel, cancel, one.cancelling)
        : tool("bin", TEXTS.removeSong(title), TEXTS.remove, remove),
    ),
  );
  return { root, bar, status };
}

/** Length, stems, format, plan, size and day of what is done. @param {Separation} one */
export function songFacts(one) {
  return [
    one.seconds === null ? null : clockTime(one.seconds),
    TEXTS.nStems(one.stems.length),
    TEXTS.formats[one.format]?.split(",")[0],
    one.plan,
    bytes(one.stems.reduce((sum, stem) => sum + stem.size_bytes, 0)),
    day(one.created_at),
  ]
    .filter(Boolean)
    .join(" · ");
}

/** The stems of a song as stripes of their colours, as long as they are loud. @param {Separation} one */
function stripes(one) {
  return element(
    "a",
    { class: "stripes", href: `#/song/${one.id}`, tabIndex: -1, "aria-hidden": "true" },
    ...one.stems.map((stem) => {
      const stripe = element("span", { "data-stem": stem.name, title: stemName(stem.name) });
      const level = stem.present && stem.rms_dbfs !== null ? Math.max(0.12, 1 + stem.rms_dbfs / 50) : 0.06;
      stripe.style.setProperty("--level", String(Math.min(1, level)));
      return stripe;
    }),
  );
}
