// @ts-check
// Songs that were deleted on the page: they go after some seconds, in which it can be undone, or when the page is left.

import { TEXTS } from "./texts.js";
import { WireError } from "./wire.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").Separation} Separation */
/** @typedef {(message: string, action?: {text: string, run: () => void}, ms?: number) => void} Note */

const UNDO_MS = 6000;

export class Deletions {
  /** @param {Wire} wire @param {Note} note */
  constructor(wire, note) {
    this.wire = wire;
    this.note = note;
    /** What sends each deletion now. @type {Map<string, () => void>} */
    this.leaving = new Map();
    /** @type {() => void} */
    this.onChange = () => {};
    window.addEventListener("pagehide", () => this.leaving.forEach((send) => send()));
  }

  /** Whether a song is deleted, or about to be. @param {string} id */
  has(id) {
    return this.leaving.has(id);
  }

  /** @param {Separation} one */
  add(one) {
    let isSent = false;
    const send = async () => {
      if (isSent) return;
      isSent = true;
      clearTimeout(timer);
      try {
        await this.wire.remove(one.id, true);
      } catch (error) {
        if (error instanceof WireError && error.status === 404) return; // another tab was faster
        this.leaving.delete(one.id);
        this.note(String(/** @type {Error} */ (error).message));
      }
      this.onChange();
    };
    const timer = setTimeout(() => void send(), UNDO_MS);
    const run = () => {
      if (isSent) return;
      isSent = true;
      clearTimeout(timer);
      this.leaving.delete(one.id);
      this.onChange();
    };
    this.leaving.set(one.id, () => void send());
    this.onChange();
    this.note(TEXTS.removed(one.title ?? TEXTS.untitled), { text: TEXTS.undo, run }, UNDO_MS);
  }
}
