// @ts-check
// Schedules segments on the audio context's clock. All stems of a segment start at the same frame, and each segment at the
// frame where the one before it ends, so nothing can drift. Places are frames of the song, whatever the speed.

import { SongClock } from "./clock.js";
import { Version } from "./version.js";

/** @typedef {import("./segments.js").Segments} Segments @typedef {import("./mixer.js").Mixer} Mixer */
/** @typedef {{source: AudioBufferSourceNode, contextFrame: number, length: number}} Scheduled */

const START_S = 0.03;
const AHEAD_S = 4;
const LATE_S = 0.1;
const TICK_MS = 120;
const RETRY_MS = 2000;

export class Playback {
  /**
   * @param {BaseAudioContext} context
   * @param {Segments} segments
   * @param {Mixer} mixer
   * @param {{length: number, segmentLength: number, parts: string[]}} song lengths in frames; parts that play
   * @param {import("./version.js").Short | null} [short] segments with which sound begins
   */
  constructor(context, segments, mixer, song, short = null) {
    this.context = context;
    this.mixer = mixer;
    this.length = song.length;
    this.version = new Version(segments, { ...song, speed: 1 }, short);
    this.parts = [...song.parts];
    this.clock = new SongClock(context);
    this.isPlaying = false;
    this.isWaiting = false;
    /** @type {{start: number, end: number} | null} */
    this.loop = null;
    this.isLooping = false;
    /** @type {Scheduled[]} */
    this.scheduled = [];
    /** Of the version, as are all places of segments. */
    this.nextFrame = 0;
    this.nextContextFrame = 0;
    /** @type {() => void} */
    this.onChange = () => {};
    /** @type {(error: Error) => void} */
    this.onError = () => {};
    this.timer = 0;
    this.turn = 0;
    this.change = 0;
  }

  get segments() {
    return this.version.segments;
  }

  get rate() {
    return this.context.sampleRate;
  }

  /** The frame of the song that is heard. */
  get frame() {
    return Math.min(this.length, Math.max(0, this.isWaiting ? this.clock.restFrame : this.clock.heardFrame));
  }

  /** Starts, from the start again if the song is at its end. */
  play() {
    if (this.isPlaying) return;
    if (this.clock.restFrame >= this.length) this.clock.restFrame = 0;
    this.isPlaying = true;
    if (this.context instanceof AudioContext) void this.context.resume();
    void this.#begin(this.clock.restFrame);
  }

  pause() {
    if (!this.isPlaying) return;
    const frame = this.frame;
    this.isPlaying = this.isWaiting = false;
    this.#silence(this.clock.nowFrame);
    this.clock.restFrame = frame;
    this.turn += 1;
    clearTimeout(this.timer);
    this.onChange();
  }

  /** @param {number} songFrame */
  seek(songFrame) {
    const frame = Math.round(Math.min(this.length, Math.max(0, songFrame)));
    if (!this.isPlaying) {
      this.clock.restFrame = frame;
      this.segments.keepAround(this.version.numberAt(frame));
      this.onChange();
      return;
    }
    void this.#begin(frame);
  }

  /** Plays on with other parts, or another loop, without a gap. */
  reschedule() {
    if (!this.isPlaying || this.isWaiting) return;
    const at = this.clock.nowFrame + Math.round(START_S * this.rate);
    void this.#begin(this.clock.songFrameAt(at), at);
  }

  /** Plays one more part as soon as it is there. @param {string} part */
  async add(part) {
    if (this.parts.includes(part)) return;
    for (let number = -1; number !== this.version.numberAt(this.frame); ) {
      number = this.version.numberAt(this.frame);
      await this.segments.load(part, number).catch((error) => {
        if (number === this.version.numberAt(this.frame)) throw error; // else a seek ended it
      });
    }
    if (!this.parts.includes(part)) this.parts.push(part);
    this.reschedule();
  }

  /**
   * Plays another version from the same place on. The one before plays until the other is there.
   * @param {Version} version it belongs to this from now on
   */
  async switchTo(version) {
    const change = (this.change += 1);
    try {
      for (let number = -1; number !== version.numberAt(this.frame); ) {
        number = version.numberAt(this.frame);
        await version.load(this.parts, number);
        if (change !== this.change) throw new DOMException("another version is wanted", "AbortError");
      }
    } catch (error) {
      version.close();
      throw error;
    }
    const before = this.version;
    this.version = version;
    if (this.isWaiting) void this.#begin(this.clock.restFrame);
    else this.reschedule();
    before.close();
    this.onChange();
  }

  /** @param {{start: number, end: number} | null} region in frames */
  setLoop(region) {
    this.loop = region && region.end - region.start >= 0.05 * this.rate ? region : null;
    this.isLooping = this.loop !== null;
    this.reschedule();
    this.onChange();
  }

  /** @param {boolean} on */
  setLooping(on) {
    if (on && !this.loop) this.loop = { start: 0, end: this.length };
    this.isLooping = on;
    this.reschedule();
    this.onChange();
  }

  /**
   * Schedules a stretch of the song at once, from the start of the context; for an OfflineAudioContext.
   * @param {number} songFrame @param {number} frames
   */
  async scheduleOffline(songFrame, frames) {
    this.nextFrame = this.version.frameAt(songFrame);
    this.nextContextFrame = 0;
    while (this.nextFrame < this.version.length && this.nextContextFrame < frames) {
      await this.version.load(this.parts, this.version.numberOf(this.nextFrame));
      const piece = this.version.pieceAt(this.parts, this.nextFrame);
      if (piece) this.#schedule(piece);
    }
  }

  /** Keeps the version that plays: one that is being loaded is no longer wanted. */
  stay() {
    this.change += 1;
  }

  close() {
    this.pause();
    this.stay();
    this.version.close();
  }

  /**
   * Begins at a frame of the song, at a frame of the context or as soon as its segments are there.
   * @param {number} songFrame
   * @param {number} [at]
   */
  async #begin(songFrame, at) {
    const turn = (this.turn += 1);
    clearTimeout(this.timer);
    if (!this.version.pieceAt(this.parts, this.version.frameAt(songFrame))) {
      // While it loads, what was asked for before does not play on.
      this.#silence(this.clock.nowFrame);
      this.clock.restFrame = songFrame;
      this.isWaiting = true;
      this.onChange();
      this.segments.keepAround(this.version.numberAt(songFrame));
      if (!(await this.#openWithPatience(songFrame, turn))) return;
      at = undefined;
    }
    const start = at ?? this.clock.nowFrame + Math.round(START_S * this.rate);
    this.#silence(start);
    this.isWaiting = false;
    this.nextFrame = this.version.frameAt(songFrame);
    this.nextContextFrame = start;
    this.clock.restFrame = songFrame;
    this.#tick();
    this.onChange();
  }

  /**
   * Loads what it takes to begin at a frame of the song, again and again while the server is away.
   * @param {number} songFrame
   * @param {number} turn
   * @returns {Promise<boolean>} whether it is there and still wanted
   */
  async #openWithPatience(songFrame, turn) {
    for (let isTold = false; ; isTold = true) {
      try {
        await this.version.open(this.parts, this.version.frameAt(songFrame));
        return turn === this.turn && this.isPlaying;
      } catch (caught) {
        if (turn !== this.turn) return false;
        const error = /** @type {Error & {isTemporary?: boolean}} */ (caught);
        if (!isTold) this.onError(error);
        if (!error.isTemporary) {
          this.isPlaying = this.isWaiting = false;
          this.onChange();
          return false;
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        if (turn !== this.turn) return false;
      }
    }
  }

  #tick() {
    clearTimeout(this.timer);
    if (!this.isPlaying || this.isWaiting) return;
    const now = this.clock.nowFrame;
    this.clock.forgetPast();
    this.scheduled = this.scheduled.filter((one) => one.contextFrame + one.length > now);
    while (this.nextFrame < this.version.length && this.nextContextFrame < now + AHEAD_S * this.rate) {
      const piece = this.version.pieceAt(this.parts, this.nextFrame);
      if (!piece) {
        this.version.loadLater(this.parts, this.version.numberOf(this.nextFrame));
        if (this.nextContextFrame < now + LATE_S * this.rate) {
          this.version.closeShort(); // the line is slow: sound that begins sooner would only stop sooner
          void this.#begin(this.nextFrame * this.version.speed);
          return;
        }
        break;
      }
      this.#schedule(piece);
    }
    this.#prefetch();
    if (this.nextFrame >= this.version.length && now >= this.nextContextFrame) {
      this.isPlaying = false;
      this.clock.spans = [];
      this.clock.restFrame = this.length;
      this.onChange();
      return;
    }
    this.timer = window.setTimeout(() => this.#tick(), TICK_MS);
  }

  #prefetch() {
    const current = this.version.numberAt(this.clock.songFrameAt(this.clock.nowFrame));
    const next = this.version.numberOf(this.nextFrame);
    this.segments.keepAround(current, next); // which are far from each other where a loop comes round
    this.version.keepShort(this.clock.songFrameAt(this.clock.nowFrame));
    const wanted = [next, next + 1].find((number) => !this.version.isReady(this.parts, number));
    if (wanted === undefined || wanted > current + 2 || wanted * this.version.segmentLength >= this.version.length) return;
    this.version.loadLater(this.parts, wanted);
  }

  /** Schedules up to the end of the segment, of the loop or of the song. @param {import("./version.js").Piece} piece */
  #schedule(piece) {
    const frame = this.nextFrame;
    const { speed } = this.version;
    let { end } = piece;
    const loop = this.isLooping && this.loop;
    const loopEnd = loop ? this.version.frameAt(loop.end) : 0;
    const wraps = frame < loopEnd && loopEnd <= end;
    if (wraps) end = loopEnd;
    const length = end - frame;
    for (const part of this.parts) {
      const buffer = piece.segments.ready(part, piece.number);
      if (!buffer) continue;
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      source.connect(this.mixer.input(part));
      source.onended = () => {
        source.disconnect();
        source.buffer = null; // or its samples stay until the node is collected
      };
      const offset = frame - piece.start;
      source.start(this.nextContextFrame / this.rate, offset / this.rate, length / this.rate);
      this.scheduled.push({ source, contextFrame: this.nextContextFrame, length });
    }
    this.clock.add({ contextFrame: this.nextContextFrame, songFrame: frame * speed, length, speed });
    this.nextContextFrame += length;
    this.nextFrame = loop && wraps ? this.version.frameAt(loop.start) : end;
  }

  /** Ends all sound at a frame of the context. @param {number} contextFrame */
  #silence(contextFrame) {
    for (const one of this.scheduled) one.source.stop(Math.max(0, contextFrame / this.rate));
    this.scheduled = [];
    this.clock.cut(contextFrame);
    if (!this.isPlaying) this.clock.spans = [];
  }
}
