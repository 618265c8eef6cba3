// @ts-check
// The page: which view is shown, the key, notes.

import { forgetKey, knownKey, showKeyForm } from "./account.js";
import { dropZone } from "./drop-zone.js";
import { element, fill, icon } from "./dom.js";
import { orderForm } from "./order-form.js";
import { Outbox } from "./outbox.js";
import { openPlayer } from "./player.js";
import { SongList } from "./song-list.js";
import { TEXTS } from "./texts.js";
import { Wire } from "./wire.js";

const view = /** @type {HTMLElement} */ (document.getElementById("view"));
const notes = /** @type {HTMLElement} */ (document.getElementById("notes"));
const offline = /** @type {HTMLElement} */ (document.getElementById("offline"));
const wire = new Wire(knownKey());
const outbox = new Outbox(wire);

/** Closes the view that is shown. @type {() => void} */
let close = () => {};
let turn = 0;

wire.onRefused = () => show("refused");

/** @param {"refused" | "account" | null} [wanted] */
async function show(wanted = null) {
  const now = (turn += 1);
  close();
  close = () => {};
  document.title = TEXTS.title;
  const song = /^#\/song\/([0-9a-f-]+)$/.exec(location.hash)?.[1];
  if (!wire.key || wanted || location.hash === "#/key") return showAccount(wanted === "refused" && wire.key !== null);
  if (song) {
    fill(view, element("p", { class: "quiet loading", role: "status" }, TEXTS.loading));
    try {
      const closePlayer = await openSong(song, () => now === turn);
      if (now === turn) close = closePlayer;
      else closePlayer();
    } catch (error) {
      if (now === turn) showProblem(String(/** @type {Error} */ (error).message));
    }
    return;
  }
  await showHome(() => now === turn);
}

/** @param {boolean} refused */
function showAccount(refused) {
  showKeyForm(view, {
    refused,
    current: wire.key,
    onKey(key) {
      wire.key = key;
      if (location.hash === "#/key") location.hash = "#/";
      else void show();
      void outbox.restore();
    },
    onForget() {
      forgetKey();
      wire.key = null;
      location.hash = "#/";
      void show();
    },
  });
}

/** @param {() => boolean} isCurrent */
async function showHome(isCurrent) {
  let plans;
  try {
    plans = await wire.plans();
  } catch (error) {
    if (isCurrent()) showProblem(String(/** @type {Error} */ (error).message));
    return;
  }
  if (!isCurrent()) return;
  const order = orderForm(plans);
  const zone = dropZone({
    onError: note,
    onSongs(songs) {
      const chosen = order.order();
      if (!chosen) return note(TEXTS.chooseOne);
      for (const song of songs) void outbox.add(song, chosen);
    },
  });
  const list = new SongList(wire, outbox, { onError: note, onNote: note, onOnline: (is) => (offline.hidden = is) });
  fill(view, element("div", { class: "home" }, zone.root, order.root, list.root));
  close = () => {
    zone.close();
    list.close();
  };
  await list.open();
}

/** @param {string} id @param {() => boolean} isCurrent */
async function openSong(id, isCurrent) {
  const separation = await wire.separation(id);
  if (separation.state !== "succeeded") throw new Error(TEXTS.notReady);
  const title = await wire.track(separation.track_id).then((track) => track.title, () => TEXTS.untitled);
  if (!isCurrent()) return () => {};
  document.title = `${title} – ${TEXTS.title}`;
  return openPlayer(view, { wire, separation, title, onError: note });
}

/** @param {string} message */
function showProblem(message) {
  fill(
    view,
    element(
      "section",
      { class: "card problem", role: "alert" },
      element("p", {}, message),
      element(
        "div",
        { class: "buttons" },
        element("button", { class: "primary", onclick: () => void show() }, TEXTS.again),
        element("a", { class: "button", href: "#/" }, TEXTS.backToSongs),
      ),
    ),
  );
}

/**
 * @param {string} message
 * @param {{text: string, run: () => void}} [action]
 * @param {number} [ms]
 */
function note(message, action, ms = 8000) {
  const shown = element(
    "div",
    { class: "note" },
    element("span", {}, message),
    action ? element("button", { onclick: () => (action.run(), shown.remove()) }, action.text) : null,
    element("button", { class: "tool", "aria-label": "Close", onclick: () => shown.remove() }, icon("close")),
  );
  notes.append(shown);
  setTimeout(() => shown.remove(), ms);
}

/** @param {string | null} name */
function textOf(name) {
  return String(/** @type {Record<string, unknown>} */ (TEXTS)[name ?? ""] ?? "");
}

function bindTheme() {
  const button = /** @type {HTMLButtonElement} */ (document.getElementById("theme"));
  fill(button, icon("light"));
  const stored = localStorage.getItem("stemwright-theme");
  if (stored) document.documentElement.dataset.theme = stored;
  button.addEventListener("click", () => {
    const isDark = getComputedStyle(document.documentElement).colorScheme.trim() === "dark";
    document.documentElement.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("stemwright-theme", isDark ? "light" : "dark");
    document.dispatchEvent(new Event("stemwright-theme"));
  });
}

for (const one of document.querySelectorAll("[data-text]")) one.textContent = textOf(one.getAttribute("data-text"));
for (const one of document.querySelectorAll("[data-title]")) {
  const text = textOf(one.getAttribute("data-title"));
  one.setAttribute("title", text);
  one.setAttribute("aria-label", text);
}
fill(/** @type {HTMLElement} */ (document.getElementById("account")), icon("key"));
bindTheme();
/** A click elsewhere, or Escape, closes an open menu. @param {Event} event */
function closeMenus(event) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    const isInside = event.target instanceof Node && menu.contains(event.target);
    if (event instanceof KeyboardEvent ? event.key === "Escape" : !isInside) menu.removeAttribute("open");
  }
}
document.addEventListener("click", closeMenus);
document.addEventListener("keydown", closeMenus);

document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault(); // the part of the address after # names the view
  view.focus();
});
window.addEventListener("hashchange", () => {
  view.focus({ preventScroll: true }); // screen readers go on in the new view
  const given = /^#key=/.test(location.hash) ? knownKey() : null;
  if (given) wire.key = given;
  void show();
});
await show();
if (wire.key) void outbox.restore();
