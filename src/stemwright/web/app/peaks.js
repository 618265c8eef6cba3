// @ts-check
// Reads peaks files (docs/api.md, "Peaks and segments").

/**
 * @typedef {{samplesPerPeak: number, values: Int8Array}} Level lowest and highest of each peak in turn, 128 is full scale
 * @typedef {{sampleRate: number, segmentLength: number, length: number, levels: Level[]}} Peaks lengths in samples
 */

const HEADER_BYTES = 64;

/** @param {ArrayBuffer} content @returns {Peaks} */
export function readPeaks(content) {
  const view = new DataView(content);
  if (content.byteLength < HEADER_BYTES || view.getUint32(0) !== 0x5357504b || view.getUint8(4) !== 1) {
    throw new Error("not a peaks file of version 1");
  }
  const levels = [];
  let start = HEADER_BYTES;
  for (let level = 0; level < view.getUint8(5); level += 1) {
    const count = view.getUint32(28 + 8 * level, true);
    levels.push({
      samplesPerPeak: view.getUint32(24 + 8 * level, true),
      values: new Int8Array(content, start, 2 * count),
    });
    start += 2 * count;
  }
  return {
    sampleRate: view.getUint32(8, true),
    segmentLength: view.getUint32(12, true),
    length: Number(view.getBigUint64(16, true)),
    levels,
  };
}

/**
 * The coarsest level that is still finer than what a pixel shows, or the finest.
 * @param {Peaks} peaks
 * @param {number} samplesPerPixel
 */
export function levelFor(peaks, samplesPerPixel) {
  let found = peaks.levels[0];
  for (const level of peaks.levels) if (level.samplesPerPeak <= samplesPerPixel) found = level;
  return found;
}
