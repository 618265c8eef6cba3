// @ts-check
// The page: which view is shown, the key, notes.

import { Deletions } from "./deletions.js";
import { dropZone } from "./drop-zone.js";
import { element, fill, icon } from "./dom.js";
import { orderForm } from "./order-form.js";
import { Outbox } from "./outbox.js";
import { showSignIn, signInFromAddress } from "./sign-in.js";
import { SongList } from "./song-list.js";
import { TEXTS } from "./texts.js";
import { Wire, WireError } from "./wire.js";

/** @typedef {import("./wire.js").Account} Account */

const view = /** @type {HTMLElement} */ (document.getElementById("view"));
const notes = /** @type {HTMLElement} */ (document.getElementById("notes"));
const offline = /** @type {HTMLElement} */ (document.getElementById("offline"));
const RETRY_MS = 4000;
const wire = new Wire();
const outbox = new Outbox(wire);
const deletions = new Deletions(wire, note);

/** Closes the view that is shown. @type {() => void} */
let close = () => {};
let turn = 0;
/** Who is signed in. @type {Account | null} */
let account = null;
/** Why nobody is. @type {string | null} */
let problem = null;

wire.onRefused = () => {
  if (!account) return;
  account = null;
  problem = TEXTS.sessionEnded;
  void show();
};

/** Finds out who is signed in, and shows the view that the address names. */
async function begin() {
  try {
    problem = await signInFromAddress(wire);
    account = await wire.account();
    problem = null;
  } catch (error) {
    if (!(error instanceof WireError) || error.status !== 401) return showUnreachable(error);
  }
  offline.hidden = true;
  await show();
  if (account) void outbox.restore();
}

/** Tries again by itself. @param {unknown} error */
function showUnreachable(error) {
  showProblem(String(/** @type {Error} */ (error).message), () => void begin());
  setTimeout(() => view.querySelector(".problem") && !account && void begin(), RETRY_MS);
}

async function show() {
  const now = (turn += 1);
  close();
  close = () => {};
  document.title = TEXTS.title;
  showWhere();
  if (!account) return showSignIn(view, { wire, problem, onSignedIn: () => void begin() });
  try {
    const closing = await openView(() => now === turn);
    if (now === turn) close = closing;
    else closing();
  } catch (error) {
    if (now === turn && account) showProblem(String(/** @type {Error} */ (error).message), () => void show());
  }
}

/**
 * The view that the address names; gives what closes it.
 * @param {() => boolean} isCurrent
 */
async function openView(isCurrent) {
  if (location.hash === "#/account") {
    const { showAccount } = await module(() => import("./account-view.js"));
    account = await wire.account(); // what is stored has changed
    if (isCurrent()) showAccount(view, { wire, account, onSignedOut, onError: note });
    return () => {};
  }
  if (location.hash === "#/operator") {
    const { showOperator } = await module(() => import("./operator-view.js"));
    return isCurrent() ? showOperator(view, { wire, onError: note }) : () => {};
  }
  const song = /^#\/song\/([0-9a-f-]+)$/.exec(location.hash)?.[1];
  if (!song) return showHome(isCurrent);
  fill(view, element("p", { class: "quiet loading", role: "status" }, TEXTS.loading));
  return openSong(song, isCurrent);
}

/** A view's module, fetched when it is first shown, so that the first page is small. @template T @param {() => Promise<T>} fetching */
async function module(fetching) {
  try {
    return await fetching();
  } catch {
    throw new WireError(TEXTS.unreachable, 0);
  }
}

function onSignedOut() {
  account = null;
  problem = null;
  location.hash = "#/";
  void show();
}

/** Marks where one is. */
function showWhere() {
  const nav = /** @type {HTMLElement} */ (document.getElementById("views"));
  nav.hidden = !account;
  /** @type {HTMLElement} */ (nav.querySelector("[href='#/operator']")).hidden = !account?.key.scopes.includes("operator");
  for (const link of document.querySelectorAll(".bar nav a")) {
    const isHere = link.getAttribute("href") === (location.hash || "#/");
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** @param {() => boolean} isCurrent */
async function showHome(isCurrent) {
  const plans = await wire.plans();
  if (!isCurrent()) return () => {};
  const order = orderForm(plans, account?.key.scopes.includes("operator") ?? false);
  /** @param {import("./drop-zone.js").Song[]} songs */
  function onSongs(songs) {
    const chosen = order.order();
    if (!chosen) return note(TEXTS.chooseOne);
    for (const song of songs) void outbox.add(song, chosen);
  }
  const zone = dropZone({ onError: note, onSongs }, account?.max_upload_bytes ?? Infinity);
  const list = new SongList(wire, outbox, deletions, { onError: note, onOnline: (is) => (offline.hidden = is) });
  fill(view, element("div", { class: "home" }, zone.root, order.root, list.root));
  void list.open().then(() => import("./player.js").catch(() => {})); // it is there when a song is opened
  return () => {
    zone.close();
    list.close();
  };
}

/** @param {string} id @param {() => boolean} isCurrent */
async function openSong(id, isCurrent) {
  const { openPlayer } = await module(() => import("./player.js"));
  const separation = await wire.separation(id);
  if (separation.state !== "succeeded") throw new Error(TEXTS.notReady);
  const title = separation.title ?? TEXTS.untitled;
  if (!isCurrent()) return () => {};
  document.title = `${title} – ${TEXTS.title}`;
  return openPlayer(view, { wire, separation, title, onError: note });
}

/** @param {string} message @param {() => void} again */
function showProblem(message, again) {
  fill(
    view,
    element(
      "section",
      { class: "card problem", role: "alert" },
      element("h1", {}, TEXTS.problemTitle),
      element("p", {}, message),
      element(
        "div",
        { class: "buttons" },
        element("button", { class: "primary", onclick: again }, TEXTS.again),
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
    element("button", { class: "tool", "aria-label": TEXTS.close, onclick: () => shown.remove() }, icon("close")),
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
  if (/^#(open|key)=/.test(location.hash)) void begin();
  else void show();
});
await begin();
