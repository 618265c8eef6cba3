// @ts-check
// Draws the part of a spectrogram that is seen, from tiles at the scale of the screen.

import { TEXTS } from "./texts.js";

/** @typedef {import("./tiles.js").Tiles} Tiles @typedef {import("./waveform.js").View} View */

const LABELS_HZ = [100, 300, 1000, 3000, 10_000];
const LEAST_GAP = 13;

export class Spectrogram {
  /** @param {HTMLCanvasElement} canvas @param {Tiles} tiles */
  constructor(canvas, tiles) {
    this.canvas = canvas;
    this.tiles = tiles;
  }

  /** @param {View} view */
  draw(view) {
    const { canvas, tiles } = this;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    if (!pen || !width || !height) return;
    pen.clearRect(0, 0, width, height);
    if (!tiles.facts) {
      void tiles.open();
      return write(pen, TEXTS.drawing, 8 * scale, height / 2, scale);
    }
    const { sample_rate: rate, levels } = tiles.facts;
    const samplesPerPixel = ((view.end - view.start) * rate) / width;
    const wanted = levels.findLastIndex((level) => level.samples_per_column <= samplesPerPixel);
    pen.imageSmoothingQuality = "high";
    this.#drawLevel(pen, view, width, height, Math.max(0, wanted));
    this.#drawLabels(pen, height, scale);
  }

  /** @param {CanvasRenderingContext2D} pen @param {View} view @param {number} width @param {number} height @param {number} level */
  #drawLevel(pen, view, width, height, level) {
    const { sample_rate: rate, levels, tile_columns: columns } = /** @type {NonNullable<Tiles["facts"]>} */ (this.tiles.facts);
    const { samples_per_column: samples, tiles: count } = levels[level];
    const seconds = (columns * samples) / rate;
    const perSecond = width / (view.end - view.start);
    const last = Math.min(count - 1, Math.floor(view.end / seconds));
    for (let number = Math.max(0, Math.floor(view.start / seconds)); number <= last; number += 1) {
      const left = Math.round((number * seconds - view.start) * perSecond);
      const right = Math.round(((number + 1) * seconds - view.start) * perSecond);
      const bitmap = this.tiles.get(level, number);
      if (bitmap) {
        // The last tile of a level has fewer columns.
        pen.drawImage(bitmap, left, 0, ((right - left) * bitmap.width) / columns, height);
      } else {
        this.#drawCoarser(pen, level, number, left, right - left, height);
      }
    }
  }

  /** What is there of a tile at a coarser scale, while it is fetched. @param {CanvasRenderingContext2D} pen @param {number} level @param {number} number @param {number} left @param {number} width @param {number} height */
  #drawCoarser(pen, level, number, left, width, height) {
    const { levels, tile_columns: columns, rows } = /** @type {NonNullable<Tiles["facts"]>} */ (this.tiles.facts);
    for (let above = level + 1; above < levels.length; above += 1) {
      const part = 2 ** (above - level);
      const bitmap = this.tiles.kept.get(`${above}/${Math.floor(number / part)}`);
      if (!bitmap) continue;
      const from = ((number % part) * columns) / part;
      const taken = Math.min(columns / part, bitmap.width - from);
      if (taken > 0) pen.drawImage(bitmap, from, 0, taken, rows, left, 0, (width * taken * part) / columns, height);
      return;
    }
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} height @param {number} scale */
  #drawLabels(pen, height, scale) {
    const top = mel(/** @type {NonNullable<Tiles["facts"]>} */ (this.tiles.facts).highest_hz);
    let lower = height + 6 * scale;
    for (const hz of LABELS_HZ) {
      const y = height * (1 - mel(hz) / top);
      if (y > lower - LEAST_GAP * scale || y < 7 * scale) continue;
      write(pen, hz < 1000 ? `${hz}` : `${hz / 1000}k`, 4 * scale, y, scale);
      lower = y;
    }
  }
}

/** @param {number} hz */
function mel(hz) {
  return 2595 * Math.log10(1 + hz / 700);
}

/** Text that can be read on any colour. @param {CanvasRenderingContext2D} pen @param {string} text @param {number} x @param {number} y @param {number} scale */
function write(pen, text, x, y, scale) {
  pen.font = `${10 * scale}px ui-sans-serif, system-ui, sans-serif`;
  pen.textBaseline = "middle";
  pen.lineWidth = 3 * scale;
  pen.lineJoin = "round";
  pen.strokeStyle = "rgb(0 0 0 / 0.75)";
  pen.strokeText(text, x, y);
  pen.fillStyle = "#fff";
  pen.fillText(text, x, y);
}
