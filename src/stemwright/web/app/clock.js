// @ts-check
// The one clock: which sample of the song sounds at which frame of the audio context.

/**
 * @typedef {{contextFrame: number, songFrame: number, length: number, speed: number}} Span a stretch of the song that was
 *   scheduled: its length in frames of the context, and how many frames of the song each of them is
 */

export class SongClock {
  /** @param {BaseAudioContext} context */
  constructor(context) {
    this.context = context;
    /** @type {Span[]} */
    this.spans = [];
    /** Where the song stands while nothing is scheduled. */
    this.restFrame = 0;
  }

  /** The frame of the context that is rendered now. */
  get nowFrame() {
    return Math.round(this.context.currentTime * this.context.sampleRate);
  }

  /** @param {Span} span */
  add(span) {
    this.spans.push(span);
  }

  /**
   * Forgets what is scheduled from a frame on.
   * @param {number} contextFrame
   */
  cut(contextFrame) {
    this.spans = this.spans
      .filter((span) => span.contextFrame < contextFrame)
      .map((span) => ({ ...span, length: Math.min(span.length, contextFrame - span.contextFrame) }));
  }

  /**
   * The frame of the song that sounds at a frame of the context.
   * @param {number} contextFrame
   */
  songFrameAt(contextFrame) {
    let found = null;
    for (const span of this.spans) if (span.contextFrame <= contextFrame) found = span;
    if (!found) return this.spans[0]?.songFrame ?? this.restFrame;
    return found.songFrame + found.speed * Math.min(contextFrame - found.contextFrame, found.length);
  }

  /** What one hears now: the output comes later than the context renders. In frames of the song. */
  get heardFrame() {
    const context = this.context;
    const late = context instanceof AudioContext ? (context.outputLatency || 0) * context.sampleRate : 0;
    return this.spans.length ? this.songFrameAt(this.nowFrame - late) : this.restFrame;
  }

  /** Drops spans that ended seconds ago, so that their number does not grow with the song. */
  forgetPast() {
    const past = this.nowFrame - 10 * this.context.sampleRate;
    while (this.spans.length > 1 && this.spans[0].contextFrame + this.spans[0].length < past) this.spans.shift();
  }
}
