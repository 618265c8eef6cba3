// @ts-check
// Schedules segments on the audio context's clock. All stems of a segment start at the same frame, and each segment at the
// frame where the one before it ends, so nothing can drift.

import { SongClock } from "./clock.js";

/** @typedef {import("./segments.js").Segments} Segments @typedef {import("./mixer.js").Mixer} Mixer */
/** @typedef {{source: AudioBufferSourceNode, contextFrame: number, length: number}} Scheduled */

const START_S = 0.06;
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
   */
  constructor(context, segments, mixer, song) {
    this.context = context;
    this.segments = segments;
    this.mixer = mixer;
    this.length = song.length;
    this.segmentLength = song.segmentLength;
    this.parts = [...song.parts];
    this.clock = new SongClock(context);
    this.isPlaying = false;
    this.isWaiting = false;
    /** @type {{start: number, end: number} | null} */
    this.loop = null;
    this.isLooping = false;
    /** @type {Scheduled[]} */
    this.scheduled = [];
    this.nextSongFrame = 0;
    this.nextContextFrame = 0;
    /** @type {() => void} */
    this.onChange = () => {};
    /** @type {(error: Error) => void} */
    this.onError = () => {};
    this.timer = 0;
    this.turn = 0;
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
      this.segments.keepAround(Math.floor(frame / this.segmentLength));
      this.onChange();
      return;
    }
    void this.#begin(frame);
  }

  /** Plays on with other parts, or another loop, without a gap. */
  reschedule() {
    if (!this.isPlaying || this.isWaiting) return;
    const at = this.clock.nowFrame + Math.round(START_S * this.rate);
    const songFrame = this.clock.songFrameAt(at);
    if (songFrame < this.length) void this.#begin(songFrame, at);
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
   * @param {number} songFrame
   * @param {number} frames
   */
  async scheduleOffline(songFrame, frames) {
    this.nextSongFrame = songFrame;
    this.nextContextFrame = 0;
    while (this.nextSongFrame < this.length && this.nextContextFrame < frames) {
      await this.#load(Math.floor(this.nextSongFrame / this.segmentLength));
      this.#scheduleNext();
    }
  }

  close() {
    this.pause();
    this.segments.close();
  }

  /**
   * Begins at a frame of the song, at a frame of the context or as soon as its segments are there.
   * @param {number} songFrame
   * @param {number} [at]
   */
  async #begin(songFrame, at) {
    const turn = (this.turn += 1);
    clearTimeout(this.timer);
    const number = Math.min(Math.floor(songFrame / this.segmentLength), Math.ceil(this.length / this.segmentLength) - 1);
    if (!this.#isReady(number)) {
      // While it loads, what was asked for before does not play on.
      this.#silence(this.clock.nowFrame);
      this.clock.restFrame = songFrame;
      this.isWaiting = true;
      this.onChange();
      this.segments.keepAround(number);
      if (!(await this.#loadWithPatience(number, turn))) return;
      at = undefined;
    }
    const start = at ?? this.clock.nowFrame + Math.round(START_S * this.rate);
    this.#silence(start);
    this.isWaiting = false;
    this.nextSongFrame = songFrame;
    this.nextContextFrame = start;
    this.clock.restFrame = songFrame;
    this.#tick();
    this.onChange();
  }

  /**
   * Loads a segment, again and again while the server is away.
   * @param {number} number
   * @param {number} turn
   * @returns {Promise<boolean>} whether it is there and still wanted
   */
  async #loadWithPatience(number, turn) {
    for (let isTold = false; ; isTold = true) {
      try {
        await this.#load(number);
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
    while (this.nextSongFrame < this.length && this.nextContextFrame < now + AHEAD_S * this.rate) {
      const number = Math.floor(this.nextSongFrame / this.segmentLength);
      if (!this.#isReady(number)) {
        this.#load(number).catch(() => {}); // told when it is needed and still not there
        if (this.nextContextFrame < now + LATE_S * this.rate) {
          void this.#begin(this.nextSongFrame);
          return;
        }
        break;
      }
      this.#scheduleNext();
    }
    this.#prefetch();
    if (this.nextSongFrame >= this.length && now >= this.nextContextFrame) {
      this.isPlaying = false;
      this.clock.spans = [];
      this.clock.restFrame = this.length;
      this.onChange();
      return;
    }
    this.timer = window.setTimeout(() => this.#tick(), TICK_MS);
  }

  #prefetch() {
    const current = Math.floor(this.clock.songFrameAt(this.clock.nowFrame) / this.segmentLength);
    this.segments.keepAround(current);
    const next = Math.floor(this.nextSongFrame / this.segmentLength);
    for (const number of [next, next + 1]) {
      if (number * this.segmentLength < this.length && number <= current + 2) this.#load(number).catch(() => {});
    }
  }

  /** Schedules up to the end of the segment, of the loop or of the song. */
  #scheduleNext() {
    const songFrame = this.nextSongFrame;
    const number = Math.floor(songFrame / this.segmentLength);
    let end = Math.min(this.length, (number + 1) * this.segmentLength);
    const loop = this.isLooping ? this.loop : null;
    const wraps = loop !== null && songFrame < loop.end && loop.end <= end;
    if (wraps) end = loop.end;
    const length = end - songFrame;
    for (const part of this.parts) {
      const buffer = this.segments.ready(part, number);
      if (!buffer) continue;
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      source.connect(this.mixer.input(part));
      const offset = songFrame - number * this.segmentLength;
      source.start(this.nextContextFrame / this.rate, offset / this.rate, length / this.rate);
      this.scheduled.push({ source, contextFrame: this.nextContextFrame, length });
    }
    this.clock.add({ contextFrame: this.nextContextFrame, songFrame, length });
    this.nextContextFrame += length;
    this.nextSongFrame = wraps ? loop.start : end;
  }

  /** Ends all sound at a frame of the context. @param {number} contextFrame */
  #silence(contextFrame) {
    for (const one of this.scheduled) one.source.stop(Math.max(0, contextFrame / this.rate));
    this.scheduled = [];
    this.clock.cut(contextFrame);
    if (!this.isPlaying) this.clock.spans = [];
  }

  /** @param {number} number */
  #isReady(number) {
    return this.parts.every((part) => this.segments.ready(part, number));
  }

  /** @param {number} number */
  async #load(number) {
    await Promise.all(this.parts.map((part) => this.segments.load(part, number)));
  }
}
