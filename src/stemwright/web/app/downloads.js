// @ts-check
// The menu of what can be saved of a separation.

import { element, icon } from "./dom.js";
import { chooseGroups } from "./stem-groups.js";
import { stemName, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").Separation} Separation */
/** @typedef {import("./mixer.js").Mixer} Mixer @typedef {Separation["stems"][number]} Stem */

/**
 * @param {{wire: Wire, separation: Separation, title: string, mixer: Mixer, speedAndKey: {query: string},
 *   onError: (message: string) => void}} song what is heard
 */
export function downloads({ wire, separation, title, mixer, speedAndKey, onError }) {
  const base = `v1/separations/${separation.id}`;
  const singing = separation.stems.filter((stem) => stem.name === "vocals" || stem.name === "backing_vocals");

  /** What the server makes while one waits. @param {string} text @param {() => Promise<string | null>} path null: not after all @param {string} name of the file */
  function made(text, path, name) {
    const button = element("button", { class: "item", onclick: save }, text);
    async function save() {
      const wanted = await path();
      if (wanted === null) return;
      button.disabled = true;
      button.classList.add("busy");
      try {
        const address = URL.createObjectURL(await wire.blob(heard(wanted)));
        element("a", { href: address, download: name }).click();
        setTimeout(() => URL.revokeObjectURL(address), 60_000);
      } catch (error) {
        onError(String(/** @type {Error} */ (error).message));
      } finally {
        button.disabled = false;
        button.classList.remove("busy");
      }
    }
    return button;
  }

  /**
   * What may be large, so the browser saves it as it comes. Whether it is still there is asked first: a browser would
   * show the server's refusal in place of the page.
   * @param {(now: Separation) => string} address @param {Record<string, string>} attributes @param {(Node | string)[]} content
   */
  function streamed(address, attributes, ...content) {
    /** @param {Event} event */
    async function save(event) {
      event.preventDefault();
      try {
        const now = await wire.separation(separation.id);
        if (Date.parse(now.expires_at) <= Date.now()) throw new Error(TEXTS.expired);
        element("a", { href: address(now), download: "" }).click();
      } catch (error) {
        onError(String(/** @type {Error} */ (error).message));
      }
    }
    const href = address(separation);
    return element("a", { class: "item", download: "", href, onclick: (/** @type {Event} */ event) => void save(event), ...attributes }, ...content);
  }

  /** An address with the speed and key that are heard. @param {string} path */
  function heard(path) {
    const query = speedAndKey.query.slice(1);
    return query ? `${path}${path.includes("?") ? "&" : "?"}${query}` : path;
  }

  /** A stem as it is heard: the file that is stored, or a mix of it alone. @param {Separation} now @param {Stem} stem */
  function stemAddress(now, stem) {
    if (!speedAndKey.query) return `${now.stems.find((one) => one.id === stem.id)?.url ?? stem.url}?download=1`;
    return heard(`${base}/mixdown?${mutedStems(separation.stems.filter((other) => other !== stem))}`);
  }

  return element(
    "details",
    { class: "menu" },
    element("summary", { class: "button" }, icon("down"), element("span", {}, TEXTS.download)),
    element(
      "div",
      { class: "items" },
      made(TEXTS.downloadMix, async () => `${base}/mixdown?${faders(mixer)}`, "mix.wav"),
      singing.length && singing.length < separation.stems.length
        ? made(TEXTS.downloadKaraoke, async () => `${base}/mixdown?${mutedStems(singing)}`, "karaoke.wav")
        : null,
      streamed(() => heard(`${base}/stems.zip`), {}, TEXTS.downloadAll),
      streamed(() => heard(`${base}/daw.zip`), {}, TEXTS.downloadDaw),
      made(
        TEXTS.downloadStemFile,
        async () => {
          const query = await chooseGroups(separation.stems);
          return query && `${base}/stem.mp4?${query}`;
        },
        `${title.replace(/[\\/:*?"<>|]/g, "_").slice(0, 100)}.stem.mp4`,
      ),
      ...separation.stems.map((stem) =>
        streamed(
          (now) => stemAddress(now, stem),
          { "data-stem": stem.name },
          element("span", { class: "chip" }),
          stemName(stem.name),
          element("span", { class: "quiet" }, `${(stem.size_bytes / 1e6).toFixed(1)} MB`),
        ),
      ),
    ),
  );
}

/** The mix as it is heard, for the server. @param {Mixer} mixer */
function faders(mixer) {
  const query = new URLSearchParams({ master: String(mixer.masterVolume) });
  for (const [name, strip] of mixer.strips) {
    query.append("stem", `${name}:${mixer.isAudible(name) ? strip.volume : 0}:${strip.pan}`);
  }
  return query;
}

/** @param {{name: string}[]} stems */
function mutedStems(stems) {
  return new URLSearchParams(stems.map(({ name }) => ["stem", `${name}:0`]));
}
