// @ts-check
// Segments of the stems: fetched, decoded and kept around the playhead only, so an hour takes what a minute takes.

import { TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Wire} Wire */
/** @typedef {{buffer: AudioBuffer | null, promise: Promise<AudioBuffer>, abort: AbortController}} Entry */

/** How long a failure is remembered, so that a server that is away is not asked many times a second. */
const FAILED_MS = 1500;

/** After so long nothing that was stopped sounds any more. */
const STOPPED_MS = 1000;

export class Segments {
  /**
   * @param {Wire} wire
   * @param {BaseAudioContext} context its rate is that of the song, so that decoding does not resample
   * @param {string} base address of the separation
   * @param {number} kept how many segments of a part stay decoded
   * @param {string} query of a rendering, or of short segments
   */
  constructor(wire, context, base, kept = 4, query = "") {
    this.wire = wire;
    this.context = context;
    this.base = base;
    this.kept = kept;
    this.query = query;
    /** @type {Map<string, Map<number, Entry>>} */
    this.parts = new Map();
  }

  /**
   * The decoded segment if it is there.
   * @param {string} part "mix", or "stems/" and a name
   * @param {number} number
   */
  ready(part, number) {
    return this.parts.get(part)?.get(number)?.buffer ?? null;
  }

  /**
   * The decoded segment; fetched if need be. It fails with an AbortError when it is forgotten before it is there.
   * @param {string} part
   * @param {number} number
   * @returns {Promise<AudioBuffer>}
   */
  load(part, number) {
    let kept = this.parts.get(part);
    if (!kept) this.parts.set(part, (kept = new Map()));
    const known = kept.get(number);
    if (known) return known.promise;
    const abort = new AbortController();
    const promise = this.#fetch(part, number, abort.signal);
    const entry = { buffer: /** @type {AudioBuffer | null} */ (null), promise, abort };
    kept.set(number, entry);
    promise.then(
      (buffer) => (entry.buffer = buffer),
      () => setTimeout(() => kept.get(number) === entry && kept.delete(number), FAILED_MS), // then it is fetched again
    );
    return promise;
  }

  /**
   * Forgets what lies far from all of these segments. What is not there yet is fetched no more: it would delay what is
   * wanted now.
   * @param {number[]} numbers
   */
  keepAround(...numbers) {
    this.#forget((key) => numbers.every((number) => key < number - 1 || key > number + this.kept - 2));
  }

  close() {
    this.#forget(() => true);
  }

  /** @param {(number: number) => boolean} isFar */
  #forget(isFar) {
    for (const kept of this.parts.values()) {
      for (const [key, entry] of kept) {
        if (!isFar(key)) continue;
        kept.delete(key);
        entry.abort.abort();
        entry.promise.then((buffer) => setTimeout(() => free(buffer), STOPPED_MS), () => {});
      }
    }
  }

  /** @param {string} part @param {number} number @param {AbortSignal} signal */
  async #fetch(part, number, signal) {
    const bytes = await this.wire.bytes(`${this.base}/${part}/segments/${number}${this.query}`, signal);
    try {
      return await this.context.decodeAudioData(bytes);
    } catch {
      throw new Error(TEXTS.cannotDecode);
    }
  }
}

/** What is sent to a port that is closed is gone. */
const nowhere = new MessageChannel();
nowhere.port2.close();

/**
 * Gives memory back at once. Browsers take an audio buffer for a small object, and collect it late: after 40 jumps a tab
 * had 600 MB, of which 250 were in use.
 * @param {AudioBuffer} buffer
 */
function free(buffer) {
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    nowhere.port1.postMessage(null, [buffer.getChannelData(channel).buffer]);
  }
}
