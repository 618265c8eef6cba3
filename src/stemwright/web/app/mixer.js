// @ts-check
// The mixing desk: a strip for each stem, one for the original song, a master. At unity it changes no sample.

/** @typedef {{volume: number, pan: number, muted: boolean, soloed: boolean}} Strip */

const FADE_S = 0.008;

export class Mixer {
  /**
   * @param {BaseAudioContext} context
   * @param {string[]} names of the stems
   * @param {number} originalGain the gain that the stems were written with
   */
  constructor(context, names, originalGain = 1) {
    this.context = context;
    this.originalGain = originalGain;
    this.hearsOriginal = false;
    this.masterVolume = 1;
    /** Called after each change. @type {() => void} */
    this.onChange = () => {};
    /** @type {Map<string, Strip & {gain: GainNode, panner: StereoPannerNode}>} */
    this.strips = new Map();
    this.master = context.createGain();
    this.stemBus = context.createGain();
    this.original = context.createGain();
    this.original.gain.value = 0;
    asStereo(this.original);
    this.stemBus.connect(this.master);
    this.original.connect(this.master);
    for (const name of names) {
      const gain = context.createGain();
      asStereo(gain); // a mono song would lose 3 dB in the panner
      const panner = context.createStereoPanner();
      gain.connect(panner).connect(this.stemBus);
      this.strips.set(name, { volume: 1, pan: 0, muted: false, soloed: false, gain, panner });
    }
    this.master.connect(context.destination);
  }

  /** Where the sources of a part go. @param {string} part */
  input(part) {
    return part === "mix" ? this.original : this.strip(part.slice("stems/".length)).gain;
  }

  /** @param {string} name */
  strip(name) {
    const strip = this.strips.get(name);
    if (!strip) throw new Error(`no stem ${name}`);
    return strip;
  }

  /** @param {string} name */
  isAudible(name) {
    const strip = this.strip(name);
    return this.anySolo ? strip.soloed : !strip.muted;
  }

  get anySolo() {
    return [...this.strips.values()].some((strip) => strip.soloed);
  }

  /** @param {string} name @param {Partial<Strip>} change */
  set(name, change) {
    Object.assign(this.strip(name), change);
    this.apply();
  }

  /** Solo of this stem alone, or of none if it was alone before. @param {string} name */
  soloOnly(name) {
    const wasAlone = [...this.strips].every(([other, strip]) => strip.soloed === (other === name));
    for (const [other, strip] of this.strips) strip.soloed = other === name && !wasAlone;
    this.apply();
  }

  reset() {
    for (const strip of this.strips.values()) Object.assign(strip, { volume: 1, pan: 0, muted: false, soloed: false });
    this.masterVolume = 1;
    this.apply();
  }

  /** @param {boolean} on */
  hearOriginal(on) {
    this.hearsOriginal = on;
    this.apply();
  }

  /** @param {number} volume */
  setMaster(volume) {
    this.masterVolume = volume;
    this.apply();
  }

  apply() {
    for (const [name, strip] of this.strips) {
      this.#fade(strip.gain.gain, this.isAudible(name) ? strip.volume : 0);
      this.#fade(strip.panner.pan, strip.pan);
    }
    this.#fade(this.stemBus.gain, this.hearsOriginal ? 0 : 1);
    this.#fade(this.original.gain, this.hearsOriginal ? this.originalGain : 0);
    this.#fade(this.master.gain, this.masterVolume);
    this.onChange();
  }

  /** A change without a click, that ends at exactly the value. @param {AudioParam} param @param {number} value */
  #fade(param, value) {
    const now = this.context.currentTime;
    if (param.value === value) return;
    param.cancelScheduledValues(now);
    param.setValueAtTime(param.value, now);
    param.linearRampToValueAtTime(value, now + FADE_S);
  }
}

/** @param {AudioNode} node */
function asStereo(node) {
  node.channelCount = 2;
  node.channelCountMode = "explicit";
  node.channelInterpretation = "speakers";
}
