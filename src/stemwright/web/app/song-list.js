// @ts-check
// The list of songs: what waits here, what the server works on, what is done; searched and in an order.

import { element, fill } from "./dom.js";
import { pendingItem, songFacts, songItem } from "./song-item.js";
import { TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").Separation} Separation */
/** @typedef {import("./wire.js").SongOrder} SongOrder @typedef {import("./song-item.js").Item} Item */
/** @typedef {import("./deletions.js").Deletions} Deletions */
/** @typedef {import("./outbox.js").Outbox} Outbox @typedef {import("./outbox.js").Pending} Pending */

const POLL_MS = 3000;
const SEARCH_MS = 250;
const ORDER_NAME = "stemwright-list-order";

export class SongList {
  /**
   * @param {Wire} wire
   * @param {Outbox} outbox
   * @param {Deletions} deletions
   * @param {{onError: (message: string) => void, onOnline: (isOnline: boolean) => void}} actions
   */
  constructor(wire, outbox, deletions, actions) {
    this.wire = wire;
    this.outbox = outbox;
    this.deletions = deletions;
    this.actions = actions;
    const kept = localStorage.getItem(ORDER_NAME) ?? "";
    this.wanted = { title: "", order: /** @type {SongOrder} */ (kept in TEXTS.orders ? kept : "newest") };
    /** @type {Separation[]} */
    this.separations = [];
    /** Those of them that are not on the first page. @type {Separation[]} */
    this.further = [];
    /** @type {string | null} */
    this.next = null;
    /** Where the second page begins. @type {string | null} */
    this.second = null;
    /** @type {Map<string, {at: number, progress: number}>} where a separation was first seen at work */
    this.begun = new Map();
    /** @type {Map<string, Item & {key: string}>} */
    this.items = new Map();
    this.isLoaded = false;
    this.list = element("ul", { class: "songs" });
    this.more = element("button", { hidden: true, onclick: () => void this.#loadMore() }, TEXTS.more);
    this.storage = element("span", { class: "quiet" });
    this.search = element("input", {
      type: "search",
      placeholder: TEXTS.searchSongs,
      "aria-label": TEXTS.searchSongs,
      maxLength: 200,
      oninput: () => this.#want({ title: this.search.value.trim() }, SEARCH_MS),
    });
    this.tools = element("div", { class: "list-tools" }, this.search, this.#orderSelect());
    this.root = element(
      "section",
      { "aria-labelledby": "songs-title" },
      element("header", { class: "list-head" }, element("h2", { id: "songs-title" }, TEXTS.yourSongs), this.storage, this.tools),
      this.list,
      this.more,
    );
    /** @type {{id: string, abort: AbortController} | null} */
    this.followed = null;
    this.timer = 0;
    this.isClosed = false;
  }

  async open() {
    this.outbox.onChange = () => this.#show();
    this.outbox.onSent = (made) => {
      this.separations = [made, ...this.separations.filter((one) => one.id !== made.id)];
      this.#show();
      this.#plan(0);
    };
    this.outbox.onSentElsewhere = () => this.#plan(0);
    this.deletions.onChange = () => {
      this.#show();
      void this.#showStorage();
    };
    void this.#showStorage();
    await this.#poll();
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.followed?.abort.abort();
    this.outbox.onChange = () => {};
    this.outbox.onSentElsewhere = () => {};
    this.deletions.onChange = () => {};
  }

  #orderSelect() {
    const select = element("select", {
      "aria-label": TEXTS.sortSongs,
      onchange: () => {
        const order = /** @type {SongOrder} */ (select.value);
        localStorage.setItem(ORDER_NAME, order);
        this.#want({ order }, 0);
      },
    });
    for (const [value, text] of Object.entries(TEXTS.orders)) {
      select.append(element("option", { value, selected: value === this.wanted.order }, text));
    }
    return select;
  }

  /** Searches, or changes the order. @param {{title?: string, order?: SongOrder}} change @param {number} ms */
  #want(change, ms) {
    this.wanted = { ...this.wanted, ...change };
    this.further = [];
    this.isLoaded = false;
    this.#plan(ms);
  }

  /** @param {number} ms */
  #plan(ms) {
    clearTimeout(this.timer);
    if (!this.isClosed) this.timer = window.setTimeout(() => void this.#poll(), ms);
  }

  async #poll() {
    const wanted = this.wanted;
    try {
      const page = await this.wire.separations(wanted);
      if (wanted !== this.wanted) return; // a search has begun meanwhile, and polls for itself
      if (page.next !== this.second) this.further = []; // songs came or went, so the pages have moved
      if (!this.further.length) this.next = page.next;
      this.second = page.next;
      this.separations = [...page.separations, ...this.further];
      this.isLoaded = true;
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
      const page = await this.wire.separations(this.wanted, this.next);
      this.further = [...this.further, ...page.separations];
      this.separations = [...this.separations, ...page.separations];
      this.next = page.next;
    } catch (error) {
      this.actions.onError(String(/** @type {Error} */ (error).message));
    }
    this.more.disabled = false;
    this.#show();
  }

  async #showStorage() {
    const account = await this.wire.account().catch(() => null);
    if (account) this.storage.textContent = TEXTS.storageUsed(account.storage.used_bytes, account.storage.limit_bytes);
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
        if (abort.signal.aborted) return;
        this.#plan(200);
        void this.#showStorage();
      });
  }

  /** @param {Separation} now */
  #replace(now) {
    this.separations = this.separations.map((one) => (one.id === now.id ? now : one));
    this.further = this.further.map((one) => (one.id === now.id ? now : one));
    this.#show();
  }

  #show() {
    if (this.isClosed) return;
    const text = this.wanted.title;
    const pending = this.outbox.pending.filter((one) => one.title.toLowerCase().includes(text.toLowerCase()));
    const rows = [
      ...pending.toReversed().map((one) => this.#pendingItem(one)),
      ...this.separations.filter((one) => !this.deletions.has(one.id)).map((one) => this.#songItem(one)),
    ];
    const wanted = rows.length ? rows : this.isLoaded ? [this.#emptyItem()] : [];
    const isSame = wanted.length === this.list.children.length && wanted.every((row, index) => row === this.list.children[index]);
    if (!isSame) fill(this.list, ...wanted);
    this.more.hidden = this.next === null;
    this.tools.hidden = !text && rows.length < 2 && this.next === null;
  }

  #emptyItem() {
    const text = this.wanted.title;
    return this.#item("empty", text, () => {
      const showAll = () => {
        this.search.value = "";
        this.#want({ title: "" }, 0);
        this.search.focus();
      };
      const root = element(
        "li",
        { class: "empty quiet" },
        element("p", {}, text ? TEXTS.noMatch(text) : TEXTS.noSongs),
        text ? element("button", { onclick: showAll }, TEXTS.showAll) : null,
      );
      return { root, bar: null, status: root };
    }).root;
  }

  /**
   * An item is made anew only where more than its progress has changed, so that focus and selection stay.
   * @param {string} id @param {string} key @param {() => Item} make
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
    const actions = { retry: () => this.outbox.retry(one.id), drop: () => void this.outbox.drop(one.id) };
    const item = this.#item(one.id, `${one.state} ${one.error ?? ""}`, () => pendingItem(one, actions));
    if (item.bar) /** @type {HTMLProgressElement} */ (item.bar).value = one.progress;
    const share = one.state === "uploading" ? ` · ${Math.round(100 * one.progress)} %` : "";
    setText(item.status, `${TEXTS.stages[one.state]}${share}`);
    return item.root;
  }

  /** @param {Separation} one */
  #songItem(one) {
    const actions = {
      cancel: () => void this.#change(this.wire.cancel(one.id)),
      remove: () => this.deletions.add(one),
      rename: (/** @type {string} */ title) => void this.#rename(one, title),
    };
    const item = this.#item(one.id, `${one.state} ${one.cancelling} ${one.title}`, () => songItem(one, actions));
    if (item.bar) {
      const bar = /** @type {HTMLProgressElement} */ (item.bar);
      if (one.state === "running" && one.progress > 0) bar.value = one.progress;
      else bar.removeAttribute("value");
    }
    setText(item.status, this.#status(one));
    return item.root;
  }

  /** @param {Separation} one */
  #status(one) {
    if (one.state === "succeeded") return songFacts(one);
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

  /** @param {Promise<Separation>} changed */
  async #change(changed) {
    try {
      this.#replace(await changed);
    } catch (error) {
      this.actions.onError(String(/** @type {Error} */ (error).message));
    }
  }

  /** All separations of the song get the title. @param {Separation} one @param {string} title */
  async #rename(one, title) {
    try {
      const track = await this.wire.rename(one.track_id, title);
      for (const each of this.separations.filter((other) => other.track_id === track.id)) {
        this.#replace({ ...each, title: track.title });
      }
    } catch (error) {
      this.actions.onError(String(/** @type {Error} */ (error).message));
    }
  }
}

/** @param {Separation} one */
function hasEnded(one) {
  return one.state !== "pending" && one.state !== "running";
}

/** @param {HTMLElement} place @param {string} text */
function setText(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
