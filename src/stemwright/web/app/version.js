// @ts-check
// What is played: the song as it is, or a rendering of it at another speed and in another key.

/** @typedef {import("./segments.js").Segments} Segments */
/** @typedef {{segments: Segments, length: number}} Short short segments, and their length in frames */
/** @typedef {{segments: Segments, number: number, start: number, end: number}} Piece a segment that is there; frames */

/** So many segments come at once that are not wanted at once: after a seek others would wait behind them. */
const LATER_AT_ONCE = 3;

export class Version {
  /**
   * @param {Segments} segments
   * @param {{length: number, segmentLength: number, speed: number}} facts lengths in frames
   * @param {Short | null} [short] of stems: sound begins with them while the long ones come
   */
  constructor(segments, { length, segmentLength, speed }, short = null) {
    this.segments = segments;
    this.short = short;
    /** Numbers of segments that come in the background. @type {Set<number>} */
    this.coming = new Set();
    this.length = length;
    this.segmentLength = segmentLength;
    this.speed = speed;
  }

  /** The frame at a place in the song, which is in frames of the song. @param {number} songFrame */
  frameAt(songFrame) {
    return Math.min(this.length, Math.round(songFrame / this.speed));
  }

  /** The segment at a place in the song, the last one at its end. @param {number} songFrame */
  numberAt(songFrame) {
    return Math.min(this.numberOf(this.frameAt(songFrame)), Math.ceil(this.length / this.segmentLength) - 1);
  }

  /** The segment of a frame of this version. @param {number} frame */
  numberOf(frame) {
    return Math.floor(frame / this.segmentLength);
  }

  /** Whether a segment of all parts is there. @param {string[]} parts @param {number} number */
  isReady(parts, number) {
    return parts.every((part) => this.segments.ready(part, number));
  }

  /**
   * The segment that has a frame, where all parts of it are there: the long one, or else the short one.
   * @param {string[]} parts @param {number} frame
   * @returns {Piece | null}
   */
  pieceAt(parts, frame) {
    const last = Math.min(frame, this.length - 1);
    const kinds = [{ segments: this.segments, length: this.segmentLength }, ...(this.short ? [this.short] : [])];
    for (const { segments, length } of kinds) {
      const number = Math.floor(last / length);
      if (!parts.every((part) => segments.ready(part, number))) continue;
      return { segments, number, start: number * length, end: Math.min(this.length, (number + 1) * length) };
    }
    return null;
  }

  /**
   * Loads what it takes to begin at a frame. Files of lossy codecs are decoded from their start, twice if they were
   * asked for a short segment first; of the parts the song alone can be one.
   * @param {string[]} parts @param {number} frame
   */
  async open(parts, frame) {
    const at = Math.min(frame, this.length - 1);
    const number = this.numberOf(at);
    if (!this.short || !parts.every((part) => part.startsWith("stems/"))) {
      await this.load(parts, number);
      return;
    }
    const { segments, length } = this.short;
    const first = Math.floor(at / length);
    const end = (first + 1) * length;
    const isSoonOver = end - at < length / 2 && end < this.length;
    segments.keepAround(first);
    const opening = Promise.all((isSoonOver ? [first, first + 1] : [first]).flatMap((one) => parts.map((part) => segments.load(part, one))));
    await opening;
    this.loadLater(parts, number);
  }

  /** Loads a segment in the background. A failure is told when it is needed and still not there. @param {string[]} parts @param {number} number */
  loadLater(parts, number) {
    if (this.coming.has(number)) return;
    this.coming.add(number);
    const queue = [...parts];
    const next = async () => {
      for (let part = queue.shift(); part; part = queue.shift()) await this.segments.load(part, number);
    };
    const all = Array.from({ length: LATER_AT_ONCE }, () => next().catch(() => (queue.length = 0)));
    void Promise.all(all).then(() => this.coming.delete(number));
  }

  /** Forgets short segments that were played. @param {number} songFrame */
  keepShort(songFrame) {
    this.short?.segments.keepAround(Math.floor(this.frameAt(songFrame) / this.short.length));
  }

  /** Begins with long segments from now on. */
  closeShort() {
    this.short?.segments.close();
    this.short = null;
  }

  close() {
    this.segments.close();
    this.closeShort();
  }

  /** @param {string[]} parts @param {number} number */
  async load(parts, number) {
    await Promise.all(parts.map((part) => this.segments.load(part, number)));
  }
}
