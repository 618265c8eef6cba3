// @ts-check
// Songs that wait to be sent. They are kept in the browser's own database, files too, so a reload loses none. All tabs
// show them, and one tab sends them.

import { inTurn } from "./sender-turn.js";
import { TEXTS } from "./texts.js";
import { WireError } from "./wire.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").Order} Order @typedef {import("./wire.js").Separation} Separation */
/**
 * @typedef {{id: string, title: string, order: Order, file: File | null, url: string | null, trackId: string | null,
 *   addedAt: number}} Entry
 * @typedef {Entry & {state: "waiting" | "uploading" | "failed", progress: number, breaks: number, isKept: boolean,
 *   error: string | null}} Pending
 */

const NAME = "stemwright";
const STORE = "outbox";
const RETRY_MS = 4000;
/** A server that refuses a file by its size may break the connection instead of answering. */
const MOST_BREAKS = 4;

export class Outbox {
  /** @param {Wire} wire */
  constructor(wire) {
    this.wire = wire;
    /** @type {Pending[]} */
    this.pending = [];
    /** @type {() => void} */
    this.onChange = () => {};
    /** @type {(made: Separation, title: string) => void} */
    this.onSent = () => {};
    /** @type {AbortController | null} */
    this.sending = null;
    this.sendingId = "";
    this.isRunning = false;
    this.isStopped = false;
    /** Called when another tab has sent a song. @type {() => void} */
    this.onSentElsewhere = () => {};
    /** Tells other tabs what was added, and what was sent or dropped: its id. */
    this.channel = new BroadcastChannel(NAME);
    this.channel.onmessage = ({ data }) => (data.gone ? this.#forget(data.gone) : void this.restore());
    /** @type {Promise<IDBDatabase | null>} null where the browser keeps nothing, as in some private windows */
    this.database = openDatabase();
  }

  /** Takes up what an earlier page left. */
  async restore() {
    const kept = await this.#request("readonly", (store) => store.getAll()).catch(() => []);
    for (const entry of /** @type {Entry[]} */ (kept ?? [])) {
      if (!this.pending.some((one) => one.id === entry.id)) this.pending.push({ ...waiting(entry), isKept: true });
    }
    this.pending.sort((a, b) => a.addedAt - b.addedAt);
    this.isStopped = false;
    this.onChange();
    void this.#run();
  }

  /** @param {{file?: File, url?: string, title: string}} song @param {Order} order */
  async add(song, order) {
    const { file = null, url = null, title } = song;
    /** @type {Entry} */
    const entry = { id: randomId(), title, order, file, url, trackId: null, addedAt: Date.now() + this.pending.length / 1e3 };
    this.pending.push(waiting(entry));
    this.onChange();
    await this.#keep(this.pending.find((one) => one.id === entry.id) ?? waiting(entry));
    this.channel.postMessage({ added: entry.id });
    void this.#run();
  }

  /** Another tab has sent or dropped a song. @param {string} id */
  #forget(id) {
    if (this.sendingId === id) this.sending?.abort();
    this.pending = this.pending.filter((one) => one.id !== id);
    this.onChange();
    this.onSentElsewhere();
  }

  /** @param {string} id */
  async drop(id) {
    if (this.sendingId === id) this.sending?.abort();
    this.pending = this.pending.filter((one) => one.id !== id);
    this.onChange();
    await this.#request("readwrite", (store) => store.delete(id)).catch(() => {});
    this.channel.postMessage({ gone: id });
  }

  /** @param {string} id */
  retry(id) {
    for (const one of this.pending) if (one.id === id) Object.assign(one, { state: "waiting", error: null });
    this.onChange();
    void this.#run();
  }

  async #run() {
    if (this.isRunning) return;
    this.isRunning = true;
    await inTurn(async () => {
      for (;;) {
        const next = this.pending.find((one) => one.state !== "failed");
        if (!next || this.isStopped) return;
        if (await this.#isStillThere(next)) await this.#send(next);
        else this.pending = this.pending.filter((one) => one !== next);
      }
    }).finally(() => (this.isRunning = false));
  }

  /** Whether no other tab has sent it meanwhile; a song that could not be kept is known to this tab alone. @param {Pending} one */
  async #isStillThere(one) {
    if (!one.isKept) return true;
    const kept = await this.#request("readonly", (store) => store.get(one.id)).catch(() => one);
    if (kept) one.trackId ??= kept.trackId;
    return Boolean(kept);
  }

  /** @param {Pending} one */
  async #send(one) {
    this.sending = new AbortController();
    this.sendingId = one.id;
    try {
      if (!one.trackId && one.file) {
        one.state = "uploading";
        this.onChange();
        const onProgress = (/** @type {number} */ fraction) => {
          one.progress = fraction;
          this.onChange();
        };
        one.trackId = (await this.wire.upload(one.file, onProgress, this.sending.signal)).id;
      } else if (!one.trackId && one.url) {
        one.trackId = (await this.wire.addLink(one.url)).id;
      }
      await this.#keep(one); // a reload from here on does not send the file again
      const made = await this.wire.separate({ track_id: one.trackId ?? "" }, one.order, one.id);
      this.onSent(made, one.title);
      await this.drop(one.id);
    } catch (error) {
      if (this.sending.signal.aborted) return;
      const isBroken = error instanceof WireError && error.status === 0 && one.progress > 0 && !one.trackId;
      if (isBroken && (one.breaks += 1) >= MOST_BREAKS) {
        Object.assign(one, { state: "failed", error: TEXTS.brokeOff, breaks: 0, progress: 0 });
        this.onChange();
      } else if (error instanceof WireError && error.isTemporary) {
        one.state = "waiting";
        one.error = error.message;
        this.onChange();
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      } else if (error instanceof WireError && error.status === 401) {
        Object.assign(one, { state: "waiting", progress: 0 }); // restore() goes on after signing in
        this.isStopped = true;
        this.onChange();
      } else {
        Object.assign(one, { state: "failed", error: String(/** @type {Error} */ (error).message) });
        this.onChange();
      }
    } finally {
      this.sending = null;
      this.sendingId = "";
    }
  }

  /** @param {Pending} one */
  async #keep(one) {
    const { id, title, order, file, url, trackId, addedAt } = one;
    const kept = { id, title, order, file: trackId ? null : file, url, trackId, addedAt };
    const key = await this.#request("readwrite", (store) => store.put(kept)).catch(() => null); // no room: the page still has it
    one.isKept ||= key !== null;
  }

  /**
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest} work
   * @returns {Promise<any>}
   */
  async #request(mode, work) {
    const database = await this.database;
    if (!database) return null;
    return new Promise((resolve, reject) => {
      const request = work(database.transaction(STORE, mode).objectStore(STORE));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }
}

/** @param {Entry} entry @returns {Pending} */
function waiting(entry) {
  return { ...entry, state: "waiting", progress: 0, breaks: 0, isKept: false, error: null };
}

/** @returns {Promise<IDBDatabase | null>} */
function openDatabase() {
  return new Promise((resolve) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
  });
}

/** crypto.randomUUID is for secure pages only; a server in the house may have none. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
