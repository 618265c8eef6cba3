// @ts-check
// The level of the master, left and right, with a mark where it clipped.

const FLOOR_DB = -48;
const FALL_PER_S = 24; // dB

export class Meter {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {AudioNode} node
   */
  constructor(canvas, node) {
    this.canvas = canvas;
    const splitter = node.context.createChannelSplitter(2);
    node.connect(splitter);
    this.analysers = [0, 1].map((channel) => {
      const analyser = node.context.createAnalyser();
      analyser.fftSize = 2048;
      splitter.connect(analyser, channel);
      return analyser;
    });
    this.samples = new Float32Array(2048);
    this.levels = [FLOOR_DB, FLOOR_DB];
    this.clippedUntil = 0;
    this.last = 0;
  }

  /** Whether it still shows sound. */
  get isFalling() {
    return this.levels.some((level) => level > FLOOR_DB);
  }

  /** @param {number} now in ms */
  draw(now) {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    if (!pen || !width) return;
    const fall = (Math.min(200, now - this.last) / 1000) * FALL_PER_S;
    this.last = now;
    const style = getComputedStyle(canvas);
    pen.clearRect(0, 0, width, height);
    const bar = Math.floor((height - 2 * scale) / 2);
    this.analysers.forEach((analyser, channel) => {
      analyser.getFloatTimeDomainData(this.samples);
      let peak = 0;
      for (const sample of this.samples) peak = Math.max(peak, Math.abs(sample));
      if (peak >= 1) this.clippedUntil = now + 1500;
      const db = peak > 0 ? 20 * Math.log10(peak) : FLOOR_DB;
      this.levels[channel] = Math.max(db, this.levels[channel] - fall, FLOOR_DB);
      const top = channel * (bar + 2 * scale);
      pen.fillStyle = style.getPropertyValue("--line");
      pen.fillRect(0, top, width, bar);
      pen.fillStyle = now < this.clippedUntil ? style.getPropertyValue("--bad") : style.getPropertyValue("--accent");
      pen.fillRect(0, top, width * (1 - this.levels[channel] / FLOOR_DB), bar);
    });
  }
}
