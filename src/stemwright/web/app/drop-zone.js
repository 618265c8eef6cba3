// @ts-check
// Where songs come in: dragged, pasted, picked, as a folder, as a link.

import { element, icon } from "./dom.js";
import { TEXTS } from "./texts.js";

/** @typedef {{file?: File, url?: string, title: string}} Song */

const SOUND = /\.(mp3|m4a|aac|flac|wav|wave|aiff?|aifc|caf|ogg|oga|opus|wma|webm|weba|mp4|m4v|mov|mkv|mka|ape|wv|tta|ac3|mp2|3gp)$/i;

/**
 * @param {{onSongs: (songs: Song[]) => void, onError: (message: string) => void}} actions
 * @param {number} maxBytes of a file
 * @returns {{root: HTMLElement, close: () => void}}
 */
export function dropZone({ onSongs, onError }, maxBytes) {
  const files = element("input", { type: "file", multiple: true, accept: "audio/*,video/*,.flac,.opus,.wv,.ape", hidden: true });
  const folder = element("input", { type: "file", multiple: true, hidden: true, webkitdirectory: true });
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      take([...(input.files ?? [])]);
      input.value = "";
    });
  }

  const link = element("input", {
    type: "url",
    id: "link",
    placeholder: TEXTS.linkPlaceholder,
    "aria-label": TEXTS.linkLabel,
    autocomplete: "off",
  });
  const linkForm = element(
    "form",
    {
      class: "link-form",
      hidden: true,
      noValidate: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        if (takeLink(link.value)) {
          link.value = "";
          linkForm.hidden = true;
        }
      },
    },
    link,
    element("button", { class: "primary", type: "submit" }, TEXTS.add),
  );

  const root = element(
    "section",
    { class: "drop-zone", "aria-label": TEXTS.headline },
    drawing(),
    element("h1", {}, TEXTS.headline),
    element("p", { class: "quiet" }, TEXTS.subline),
    element(
      "div",
      { class: "buttons" },
      element("button", { class: "primary big", onclick: () => files.click() }, icon("drop"), TEXTS.chooseFiles),
      element("button", { onclick: () => folder.click() }, TEXTS.chooseFolder),
      element(
        "button",
        {
          onclick: () => {
            linkForm.hidden = !linkForm.hidden;
            link.focus();
          },
        },
        TEXTS.pasteLink,
      ),
    ),
    element("p", { class: "hint quiet" }, TEXTS.dropHint),
    linkForm,
    files,
    folder,
  );
  const overlay = element("div", { class: "overlay", "aria-hidden": "true" }, icon("drop"), TEXTS.dropHere);

  /** @param {File[]} chosen */
  function take(chosen) {
    if (!chosen.length) return;
    const songs = chosen.filter((file) => file.type.startsWith("audio/") || file.type.startsWith("video/") || SOUND.test(file.name));
    const empty = songs.find((file) => file.size === 0);
    if (empty) onError(TEXTS.emptyFile(empty.name));
    else if (!songs.length) onError(TEXTS.noAudio);
    // Not sent to be refused: the browser would copy it first, to keep it until it is sent.
    for (const file of songs) if (file.size > maxBytes) onError(TEXTS.largeFile(file.name, file.size, maxBytes));
    const full = songs.filter((file) => file.size > 0 && file.size <= maxBytes);
    if (full.length) onSongs(full.map((file) => ({ file, title: file.name.replace(/\.[^.]+$/, "") })));
  }

  /** @param {string} text */
  function takeLink(text) {
    try {
      const url = new URL(text.trim());
      if (!/^https?:$/.test(url.protocol)) throw new Error("another protocol");
      onSongs([{ url: url.href, title: decodeURIComponent(url.pathname.split("/").pop() || url.host) }]);
      return true;
    } catch {
      onError(TEXTS.badLink);
      return false;
    }
  }

  let depth = 0;
  /** @param {DragEvent} event */
  function onDrag(event) {
    const types = event.dataTransfer?.types ?? [];
    if (!types.includes("Files") && !types.includes("text/uri-list")) return;
    event.preventDefault();
    if (event.type === "dragenter") depth += 1;
    if (event.type === "dragleave") depth -= 1;
    document.body.classList.toggle("dragging", depth > 0);
    if (!overlay.isConnected) document.body.append(overlay);
  }

  /** @param {DragEvent} event */
  async function onDrop(event) {
    event.preventDefault();
    depth = 0;
    document.body.classList.remove("dragging");
    const data = event.dataTransfer;
    if (!data) return;
    const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null);
    const dropped = [...data.files];
    const address = data.getData("text/uri-list");
    if (entries.some((entry) => entry?.isDirectory)) take(await filesOf(/** @type {FileSystemEntry[]} */ (entries)));
    else if (dropped.length) take(dropped);
    else if (address) takeLink(address.split("\n")[0]);
  }

  /** @param {ClipboardEvent} event */
  function onPaste(event) {
    if (event.target instanceof HTMLInputElement) return;
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (pasted.length) take(pasted);
    else takeLink(event.clipboardData?.getData("text") ?? "");
  }

  const listeners = /** @type {[string, (event: any) => void][]} */ ([
    ["dragenter", onDrag],
    ["dragover", onDrag],
    ["dragleave", onDrag],
    ["drop", onDrop],
    ["paste", onPaste],
  ]);
  for (const [name, listener] of listeners) document.addEventListener(name, listener);
  return {
    root,
    close() {
      for (const [name, listener] of listeners) document.removeEventListener(name, listener);
      overlay.remove();
    },
  };
}

/** All files in folders. @param {FileSystemEntry[]} entries @returns {Promise<File[]>} */
async function filesOf(entries) {
  const found = [];
  for (const entry of entries) {
    if (entry.isFile) {
      found.push(await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject)));
    } else {
      const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
      for (;;) {
        /** @type {FileSystemEntry[]} */
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) break;
        found.push(...(await filesOf(some)));
      }
    }
  }
  return found;
}

/** A song that becomes four stems. */
function drawing() {
  const canvas = element("canvas", { class: "drawing", "aria-hidden": "true", width: 960, height: 240 });
  const pen = canvas.getContext("2d");
  const names = ["vocals", "drums", "guitar", "keyboard"];
  requestAnimationFrame(() => {
    if (!pen) return;
    const style = getComputedStyle(canvas);
    for (let bar = 0; bar < 60; bar += 1) {
      const share = Math.min(1, Math.max(0, (bar - 20) / 22));
      const ease = share * share * (3 - 2 * share);
      names.forEach((name, index) => {
        const phase = bar * (0.31 + 0.13 * index) + 2 * index;
        const height = 10 + 34 * Math.abs(Math.sin(phase) * Math.cos(bar * 0.21 + index));
        const middle = 120 + (index - 1.5) * 56 * ease;
        pen.globalAlpha = 0.4 + 0.6 * ease;
        pen.fillStyle = style.getPropertyValue(`--${name}`);
        pen.beginPath();
        const tall = height * (1.9 - 1.05 * ease);
        pen.roundRect(bar * 16 + 3, middle - tall / 2, 9, tall, 4.5);
        pen.fill();
      });
    }
  });
  return canvas;
}
