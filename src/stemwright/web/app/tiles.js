// @ts-check
// Tiles of one spectrogram (docs/api.md, "Spectrograms"): fetched when they come into view, the last few kept.

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").SpectrogramFacts} SpectrogramFacts */

const KEPT = 24;

/** Spectrograms that the server may draw for this page at once: a browser opens six connections, and sound needs some. */
const DRAWN_AT_ONCE = 2;

let drawn = 0;
/** @type {(() => void)[]} */
const waiting = [];

/** Runs one of a few at a time. @template T @param {() => Promise<T>} draw @returns {Promise<T>} */
async function inTurn(draw) {
  if (drawn < DRAWN_AT_ONCE) drawn += 1;
  else await new Promise((resolve) => waiting.push(() => resolve(null)));
  try {
    return await draw();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else drawn -= 1;
  }
}

export class Tiles {
  /**
   * @param {Wire} wire
   * @param {string} path of the spectrogram
   * @param {{onLoad: () => void, onError: (error: Error) => void}} actions
   */
  constructor(wire, path, actions) {
    this.wire = wire;
    this.path = path;
    this.actions = actions;
    /** @type {SpectrogramFacts | null} */
    this.facts = null;
    this.isOpening = false;
    /** @type {Map<string, ImageBitmap | null>} null while it is fetched; the least recently used first */
    this.kept = new Map();
    this.abort = new AbortController();
  }

  /** Asks for the facts. The server draws the spectrogram first where nobody has asked for it before. */
  async open() {
    if (this.isOpening || this.facts) return;
    this.isOpening = true;
    try {
      this.facts = await inTurn(() => this.wire.spectrogram(this.path, this.abort.signal));
      this.actions.onLoad();
    } catch (error) {
      if (!this.abort.signal.aborted) this.actions.onError(/** @type {Error} */ (error));
    } finally {
      this.isOpening = false;
    }
  }

  /**
   * A tile if it is there; it is fetched otherwise.
   * @param {number} level
   * @param {number} number
   * @returns {ImageBitmap | null}
   */
  get(level, number) {
    const key = `${level}/${number}`;
    const found = this.kept.get(key);
    if (found !== undefined) {
      this.kept.delete(key);
      this.kept.set(key, found);
      return found;
    }
    this.kept.set(key, null);
    void this.#fetch(key);
    return null;
  }

  close() {
    this.abort.abort();
    for (const bitmap of this.kept.values()) bitmap?.close();
    this.kept.clear();
  }

  /** @param {string} key */
  async #fetch(key) {
    const { signal } = this.abort;
    try {
      const png = await this.wire.bytes(`${this.path}/${key}`, signal);
      const bitmap = await createImageBitmap(new Blob([png], { type: "image/png" }));
      if (signal.aborted || !this.kept.has(key)) return bitmap.close();
      this.kept.set(key, bitmap);
      this.#forget();
      this.actions.onLoad();
    } catch (error) {
      this.kept.delete(key);
      if (!signal.aborted) this.actions.onError(/** @type {Error} */ (error));
    }
  }

  #forget() {
    for (const [key, bitmap] of this.kept) {
      if (this.kept.size <= KEPT) return;
      if (!bitmap) continue;
      bitmap.close();
      this.kept.delete(key);
    }
  }
}
