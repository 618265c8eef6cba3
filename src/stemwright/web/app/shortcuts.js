// @ts-check
// The keyboard of the player.

import { element } from "./dom.js";
import { TEXTS } from "./texts.js";

/** @typedef {import("./playback.js").Playback} Playback @typedef {import("./mixer.js").Mixer} Mixer */
/** @typedef {import("./stem-row.js").StemRow} StemRow */
/** @typedef {import("./speed-and-key.js").SpeedAndKeyControl} SpeedAndKeyControl */

const SOLO_CODES = [
  ...Array.from({ length: 9 }, (_, index) => `Digit${index + 1}`),
  "Digit0",
  "Minus",
  "Equal",
];

/**
 * Listens until the returned function is called.
 * @param {{playback: Playback, mixer: Mixer, rows: StemRow[], rate: number, seconds: number,
 *   speedAndKey: SpeedAndKeyControl, toggle: () => void, zoom: (factor: number) => void, switchOriginal: () => Promise<void>, switchFollow: () => void,
 *   switchLook: () => void}} player
 */
export function bindKeys(player) {
  const { playback, mixer, rows, rate, seconds } = player;

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const isField = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    const isButton = target instanceof HTMLButtonElement || target.tagName === "SUMMARY" || target.tagName === "A";
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (isField && event.key.startsWith("Arrow")) return; // moves the fader
    if (isButton && event.code === "Enter") return;
    if (act(event)) event.preventDefault();
  }

  /** Space must not press the button in focus as well. @param {KeyboardEvent} event */
  function onKeyUp(event) {
    if (event.code === "Space" && event.target instanceof HTMLButtonElement) event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  function act(event) {
    const step = (event.shiftKey ? 1 : 5) * rate;
    const solo = SOLO_CODES.indexOf(event.code);
    const isZoomKey = event.code === "Minus" || event.code === "Equal";
    if (solo >= 0 && solo < rows.length && !(isZoomKey && event.shiftKey)) {
      rows[solo].toggleSolo(event.shiftKey);
      return true;
    }
    if (event.code === "Comma" || event.code === "Period") {
      const step = event.code === "Comma" ? -1 : 1;
      player.speedAndKey.step(event.shiftKey ? { semitones: step } : { speeds: step });
      return true;
    }
    switch (event.key) {
      case " ":
        player.toggle();
        return true;
      case "ArrowLeft":
        playback.seek(playback.frame - step);
        return true;
      case "ArrowRight":
        playback.seek(playback.frame + step);
        return true;
      case "Home":
        playback.seek(0);
        return true;
      case "End":
        playback.seek(seconds * rate);
        return true;
      case "+":
      case "=":
        player.zoom(0.5);
        return true;
      case "-":
      case "_":
        player.zoom(2);
        return true;
      case "?":
        showShortcuts();
        return true;
    }
    switch (event.key.toLowerCase()) {
      case "m":
        rows.find((row) => row.root.contains(document.activeElement))?.toggleMute();
        return true;
      case "a":
        void player.switchOriginal();
        return true;
      case "l":
        playback.setLooping(!playback.isLooping);
        return true;
      case "v":
        player.switchLook();
        return true;
      case "f":
        player.switchFollow();
        return true;
      case "r":
        mixer.reset();
        return true;
    }
    return false;
  }

  document.addEventListener("keydown", onKey);
  document.addEventListener("keyup", onKeyUp);
  return () => {
    document.removeEventListener("keydown", onKey);
    document.removeEventListener("keyup", onKeyUp);
  };
}

export function showShortcuts() {
  const close = element("button", { class: "primary", onclick: () => dialog.close() }, "OK");
  const dialog = element(
    "dialog",
    { class: "card", "aria-label": TEXTS.keys, onclose: () => dialog.remove() },
    element("h2", {}, TEXTS.keys),
    element(
      "dl",
      { class: "keys" },
      ...TEXTS.shortcuts.flatMap(([keys, what]) => [
        element("dt", {}, element("kbd", {}, keys)),
        element("dd", {}, what),
      ]),
    ),
    close,
  );
  document.body.append(dialog);
  dialog.showModal();
}
