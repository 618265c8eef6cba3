// @ts-check
// Draws the waveform of one part from its peaks; zoomed in far, from the samples that are decoded.

import { levelFor } from "./peaks.js";

/** @typedef {import("./peaks.js").Peaks} Peaks */
/** @typedef {{start: number, end: number}} View in seconds */

export class Waveform {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(number: number) => AudioBuffer | null} decoded
   */
  constructor(canvas, decoded = () => null) {
    this.canvas = canvas;
    this.decoded = decoded;
    /** @type {Peaks | null} */
    this.peaks = null;
    this.gain = 1;
  }

  /** @param {View} view */
  draw(view) {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    if (!pen || !width || !height) return;
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    pen.fillStyle = style.color;
    pen.globalAlpha = 0.35;
    pen.fillRect(0, Math.floor(height / 2), width, Math.max(1, Math.round(scale / 2)));
    pen.globalAlpha = 1;
    if (!this.peaks) return;
    const samplesPerPixel = ((view.end - view.start) * this.peaks.sampleRate) / width;
    if (samplesPerPixel < 64 && this.#drawSamples(pen, view, width, height, scale)) return;
    this.#drawPeaks(pen, view, width, height, samplesPerPixel);
  }

  /** @param {CanvasRenderingContext2D} pen @param {View} view @param {number} width @param {number} height @param {number} samplesPerPixel */
  #drawPeaks(pen, view, width, height, samplesPerPixel) {
    const peaks = /** @type {Peaks} */ (this.peaks);
    const level = levelFor(peaks, samplesPerPixel);
    const first = (view.start * peaks.sampleRate) / level.samplesPerPeak;
    const perPixel = samplesPerPixel / level.samplesPerPeak;
    const count = level.values.length / 2;
    const middle = height / 2;
    const reach = (middle - 1) / 128;
    pen.beginPath();
    for (let x = 0; x < width; x += 1) {
      const from = Math.floor(first + x * perPixel);
      const to = Math.min(count, Math.max(from + 1, Math.floor(first + (x + 1) * perPixel)));
      let lowest = 127;
      let highest = -128;
      for (let peak = Math.max(0, from); peak < to; peak += 1) {
        lowest = Math.min(lowest, level.values[2 * peak]);
        highest = Math.max(highest, level.values[2 * peak + 1]);
      }
      if (highest < lowest || (highest === 0 && lowest === 0)) continue;
      const top = middle - highest * reach * this.gain;
      pen.rect(x, top, 1, Math.max(1, (highest - lowest) * reach * this.gain));
    }
    pen.fill();
  }

  /** @param {CanvasRenderingContext2D} pen @param {View} view @param {number} width @param {number} height @param {number} scale */
  #drawSamples(pen, view, width, height, scale) {
    const { sampleRate, segmentLength } = /** @type {Peaks} */ (this.peaks);
    const first = Math.max(0, Math.floor(view.start * sampleRate));
    const last = Math.ceil(view.end * sampleRate);
    const middle = height / 2;
    const perSecond = width / (view.end - view.start);
    /** @type {Map<number, Float32Array>} */
    const channels = new Map();
    for (let number = Math.floor(first / segmentLength); number * segmentLength < last; number += 1) {
      const buffer = this.decoded(number);
      if (!buffer || buffer.sampleRate !== sampleRate) return false;
      channels.set(number, buffer.getChannelData(0));
    }
    pen.strokeStyle = pen.fillStyle;
    pen.lineWidth = 1.25 * scale;
    pen.lineJoin = "round";
    pen.beginPath();
    for (let sample = first; sample <= last; sample += 1) {
      const value = channels.get(Math.floor(sample / segmentLength))?.[sample % segmentLength];
      if (value === undefined) break;
      pen.lineTo((sample / sampleRate - view.start) * perSecond, middle - value * this.gain * (middle - 1));
    }
    pen.stroke();
    return true;
  }
}
