// @ts-check
// The list of songs: what waits here, what the server works on, what is done.

import { element, fill, icon } from "./dom.js";
import { clockTime, stemName, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").Separation} Separation */
/** @typedef {import("./outbox.js").Outbox} Outbox @typedef {import("./outbox.js").Pending} Pending */

const POLL_MS = 3000;
const UNDO_MS = 6000;

export class SongList {
  /**
   * @param {Wire} wire
   * @param {Outbox} outbox
   * @param {{onError: (message: string) => void, onNote: (message: string, action?: {text: string, run: () => void}, ms?: number) => void,
   *   onOnline: (isOnline: boolean) => void}} actions
   */
  constructor(wire, outbox, actions) {
    this.wire = wire;
    this.outbox = outbox;
    this.actions = actions;
    /** @type {Separation[]} */
    this.separations = [];
    /** @type {string | null} */
    this.next = null;
    /** @type {Map<string, string>} */
    this.titles = new Map();
    /** @type {Set<string>} deleted, but it can still be undone */
    this.leaving = new Set();
    /** @type {Map<string, {at: number, progress: number}>} where a separation was first seen at work */
    this.begun = new Map();
    /** @type {Map<string, {root: HTMLElement, key: string, bar: HTMLElement | null, status: HTMLElement}>} */
    this.items = new Map();
    this.list = element("ul", { class: "songs" });
    this.more = element("button", { hidden: true, onclick: () => void this.#loadMore() }, TEXTS.more);
    this.root = element("section", { "aria-labelledby": "songs-title" }, element("h2", { id: "songs-title" }, TEXTS.yourSongs), this.list, this.more);
    /** @type {{id: string, abort: AbortController} | null} */
    this.followed = null;
    this.timer = 0;
    this.isClosed = false;
  }

  async open() {
    this.outbox.onChange = () => this.#show();
    this.outbox.onSent = (made, title) => {
      this.titles.set(made.track_id, title);
      this.separations = [made, ...this.separations.filter((one) => one.id !== made.id)];
      this.#show();
      this.#plan(0);
    };
    await this.#poll();
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.followed?.abort.abort();
    this.outbox.onChange = () => {};
  }

  /** @param {number} ms */
  #plan(ms) {
    clearTimeout(this.timer);
    if (!this.isClosed) this.timer = window.setTimeout(() => void this.#poll(), ms);
  }

  async #poll() {
    try {
      const page = await this.wire.separations();
      const known = new Set(page.separations.map((one) => one.id));
      const older = this.separations.filter((one) => !known.has(one.id) && this.next !== null && one.created_at < (page.separations.at(-1)?.created_at ?? ""));
      this.separations = [...page.separations, ...older];
      if (!older.length) this.next = page.next;
      await this.#loadTitles();
      this.actions.onOnline(true);
    } catch (error) {
      const status = /** @type {{status?: number}} */ (error).status;
      if (status === 0) this.actions.onOnline(false);
      else if (status !== 401) this.actions.onError(String(/** @type {Error} */ (error).message));
    }
    if (this.isClosed) return;
    this.#show();
    this.#follow();
    const isBusy = this.separations.some((one) => !hasEnded(one));
    this.#plan(isBusy ? POLL_MS : 4 * POLL_MS);
  }

  async #loadMore() {
    this.more.disabled = true;
    try {
      const page = await this.wire.separations(this.next);
      this.separations.push(...page.separations);
      this.next = page.next;
      await this.#loadTitles();
    } catch (error) {
      this.actions.onError(String(/** @type {Error} */ (error).message));
    }
    this.more.disabled = false;
    this.#show();
  }

  async #loadTitles() {
    const missing = () => [...new Set(this.separations.map((one) => one.track_id))].filter((id) => !this.titles.has(id));
    if (missing().length > 3) for (const track of (await this.wire.tracks()).tracks) this.titles.set(track.id, track.title);
    await Promise.all(
      missing().map(async (id) => {
        const title = await this.wire.track(id).then((track) => track.title, (error) => (error.status === 404 ? TEXTS.untitled : null));
        if (title !== null) this.titles.set(id, title);
      }),
    );
  }

  /** Follows one separation at work by its events; the others are polled, as a browser has few connections. */
  #follow() {
    const at = this.separations.findLast((one) => one.state === "running");
    if (!at || this.followed?.id === at.id) return;
    this.followed?.abort.abort();
    const abort = new AbortController();
    this.followed = { id: at.id, abort };
    this.wire
      .follow(at.id, (now) => this.#replace(now), abort.signal)
      .catch(() => {})
      .finally(() => {
        if (this.followed?.abort === abort) this.followed = null;
        if (!abort.signal.aborted) this.#plan(200);
      });
  }

  /** @param {Separation} now */
  #replace(now) {
    this.separations = this.separations.map((one) => (one.id === now.id ? now : one));
    this.#show();
  }

  #show() {
    if (this.isClosed) return;
    const rows = [
      ...this.outbox.pending.toReversed().map((one) => this.#pendingItem(one)),
      ...this.separations.filter((one) => !this.leaving.has(one.id)).map((one) => this.#separationItem(one)),
    ];
    const wanted = rows.length ? rows : [element("li", { class: "empty quiet" }, TEXTS.noSongs)];
    const isSame = wanted.length === this.list.children.length && wanted.every((row, index) => row === this.list.children[index]);
    if (!isSame) fill(this.list, ...wanted);
    this.more.hidden = this.next === null;
  }

  /**
   * An item is made anew only where more than its progress has changed, so that focus and selection stay.
   * @param {string} id @param {string} key @param {() => {root: HTMLElement, bar: HTMLElement | null, status: HTMLElement}} make
   */
  #item(id, key, make) {
    const known = this.items.get(id);
    if (known?.key === key) return known;
    const made = { ...make(), key };
    this.items.set(id, made);
    return made;
  }

  /** @param {Pending} one */
  #pendingItem(one) {
    const isFailed = one.state === "failed";
    const item = this.#item(one.id, `${one.state} ${one.error ?? ""}`, () => {
      const bar = isFailed ? null : element("progress", { max: 1, "aria-label": TEXTS.stages.uploading });
      const status = element("span", { class: "status" });
      const root = element(
        "li",
        { class: `song ${isFailed ? "failed" : "busy"}` },
        element("div", { class: "what" }, element("strong", {}, one.title), status, bar, one.error ? element("p", { class: "error" }, one.error) : null),
        element(
          "div",
          { class: "actions" },
          isFailed ? element("button", { onclick: () => this.outbox.retry(one.id) }, TEXTS.again) : null,
          element("button", { class: "tool", "aria-label": TEXTS.cancelSong(one.title), title: TEXTS.cancel, onclick: () => void this.outbox.drop(one.id) }, icon("close")),
        ),
      );
      return { root, bar, status };
    });
    if (item.bar) /** @type {HTMLProgressElement} */ (item.bar).value = one.progress;
    const text = one.state === "uploading" ? `${TEXTS.stages.uploading} · ${Math.round(100 * one.progress)} %` : TEXTS.stages[one.state];
    if (item.status.textContent !== text) item.status.textContent = text;
    return item.root;
  }

  /** @param {Separation} one */
  #separationItem(one) {
    const title = this.titles.get(one.track_id) ?? TEXTS.loading;
    const isBusy = !hasEnded(one);
    const item = this.#item(one.id, `${one.state} ${one.cancelling} ${title}`, () => {
      const bar = isBusy ? element("progress", { max: 1, "aria-label": title }) : null;
      const status = element("span", { class: "status" });
      const name = element("strong", {}, title);
      const isDone = one.state === "succeeded";
      const root = element(
        "li",
        { class: `song ${isBusy ? "busy" : one.state}` },
        isDone ? stripes(one) : null,
        element(
          "div",
          { class: "what" },
          isDone ? element("a", { href: `#/song/${one.id}`, "aria-label": TEXTS.openSong(title) }, name) : name,
          status,
          bar,
          one.error ? element("p", { class: "error" }, one.error.message) : null,
        ),
        element(
          "div",
          { class: "actions" },
          isBusy
            ? element("button", { class: "tool", disabled: one.cancelling, "aria-label": TEXTS.cancelSong(title), title: TEXTS.cancel, onclick: () => void this.#cancel(one) }, icon("close"))
            : element("button", { class: "tool", "aria-label": TEXTS.removeSong(title), title: TEXTS.remove, onclick: () => this.#remove(one, title) }, icon("bin")),
        ),
      );
      return { root, bar, status };
    });
    if (item.bar) {
      const bar = /** @type {HTMLProgressElement} */ (item.bar);
      if (one.state === "running" && one.progress > 0) bar.value = one.progress;
      else bar.removeAttribute("value");
    }
    const text = this.#status(one);
    if (item.status.textContent !== text) item.status.textContent = text;
    return item.root;
  }

  /** @param {Separation} one */
  #status(one) {
    if (one.state === "succeeded") {
      return [one.seconds === null ? "" : clockTime(one.seconds), TEXTS.nStems(one.stems.length), TEXTS.formats[one.format]?.split(",")[0], one.plan]
        .filter(Boolean)
        .join(" · ");
    }
    if (one.cancelling) return TEXTS.cancelling;
    if (one.state !== "running") return TEXTS.stages[one.state];
    const stage = TEXTS.stages[one.stage ?? "running"] ?? TEXTS.stages.running;
    if (one.progress <= 0) return stage;
    const now = performance.now();
    const begun = this.begun.get(one.id) ?? { at: now, progress: one.progress };
    this.begun.set(one.id, begun);
    const done = one.progress - begun.progress;
    const left = done > 0.02 ? ((now - begun.at) / 1000 / done) * (1 - one.progress) : null;
    return [stage, `${Math.round(100 * one.progress)} %`, left === null ? null : TEXTS.left(left)].filter(Boolean).join(" · ");
  }

  /** @param {Separation} one */
  async #cancel(one) {
    try {
      this.#replace(await this.wire.cancel(one.id));
    } catch (error) {
      this.actions.onError(String(/** @type {Error} */ (error).message));
    }
  }

  /** Deletes after some seconds, in which it can be undone. @param {Separation} one @param {string} title */
  #remove(one, title) {
    this.leaving.add(one.id);
    this.#show();
    let isUndone = false;
    const undo = { text: TEXTS.undo, run: () => ((isUndone = true), this.leaving.delete(one.id), this.#show()) };
    this.actions.onNote(TEXTS.removed(title), undo, UNDO_MS);
    setTimeout(async () => {
      if (isUndone) return;
      try {
        await this.wire.remove(one.id);
        this.separations = this.separations.filter((other) => other.id !== one.id);
      } catch (error) {
        this.leaving.delete(one.id);
        this.actions.onError(String(/** @type {Error} */ (error).message));
      }
      this.#show();
    }, UNDO_MS);
  }
}

/** @param {Separation} one */
function hasEnded(one) {
  return one.state !== "pending" && one.state !== "running";
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
