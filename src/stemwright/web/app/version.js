// @ts-check
// What is played: the song as it is, or a rendering of it at another speed and in another key.

/** @typedef {import("./segments.js").Segments} Segments */

export class Version {
  /**
   * @param {Segments} segments
   * @param {{length: number, segmentLength: number, speed: number}} facts lengths in frames
   */
  constructor(segments, { length, segmentLength, speed }) {
    this.segments = segments;
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

  /** @param {string[]} parts @param {number} number */
  async load(parts, number) {
    await Promise.all(parts.map((part) => this.segments.load(part, number)));
  }
}
