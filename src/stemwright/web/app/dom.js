// @ts-check
// Elements made by code. Text goes in as text nodes, so names of songs and files can never become HTML.

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * Makes an element. Keys of `properties` that begin with "on" are listeners, "class" and names with a dash are attributes,
 * the others are properties.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, unknown>} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on") && typeof value === "function") {
      made.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
    } else if (key === "class" || key === "role" || key === "for" || key.includes("-")) {
      made.setAttribute(key, String(value));
    } else {
      /** @type {any} */ (made)[key] = value;
    }
  }
  made.append(...present(children));
  return made;
}

/**
 * Replaces all children of an element.
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren(...present(children));
}

/** @param {Child[]} children @returns {(Node | string)[]} */
function present(children) {
  return /** @type {(Node | string)[]} */ (children.filter((child) => child || child === ""));
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element of a picture; all properties are attributes.
 * @template {keyof SVGElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number>} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[Name]}
 */
export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...present(children));
  return made;
}

/** @type {Record<string, string>} */
const PATHS = {
  play: "M8 5.5v13l11-6.5z",
  pause: "M7 5h3.6v14H7zM13.4 5H17v14h-3.6z",
  start: "M6 5h2.4v14H6zM19 5.5v13L9.5 12z",
  loop: "M7 7h9.2l-2-2L15.6 3.6 20 8l-4.4 4.4-1.4-1.4 2-2H7a3 3 0 0 0-3 3v1H2v-1a5 5 0 0 1 5-5zm10 10H7.8l2 2-1.4 1.4L4 16l4.4-4.4 1.4 1.4-2 2H17a3 3 0 0 0 3-3v-1h2v1a5 5 0 0 1-5 5z",
  in: "M10.5 4a6.5 6.5 0 0 1 5.2 10.4l4.5 4.5-1.3 1.3-4.5-4.5A6.5 6.5 0 1 1 10.5 4zm0 2a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM9.6 8h1.8v1.6H13v1.8h-1.6V13H9.6v-1.6H8V9.6h1.6z",
  out: "M10.5 4a6.5 6.5 0 0 1 5.2 10.4l4.5 4.5-1.3 1.3-4.5-4.5A6.5 6.5 0 1 1 10.5 4zm0 2a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM8 9.6h5v1.8H8z",
  back: "M14.5 5 16 6.5 10.5 12l5.5 5.5-1.5 1.5L7.5 12z",
  down: "M11 4h2v8.2l3-3 1.4 1.4L12 16l-5.4-5.4L8 9.2l3 3zM5 18h14v2H5z",
  bin: "M9 4h6l1 2h4v2H4V6h4zM6 9h12l-1 11H7zm4 2v7h1.4v-7zm2.6 0v7H14v-7z",
  close: "M6.4 5 12 10.6 17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4L12 13.4 6.4 19 5 17.6l5.6-5.6L5 6.4z",
  key: "M15 3a6 6 0 1 1-4.9 9.5L8 14.6V17H5.6v2.4H3v-3.6l6.2-6.2A6 6 0 0 1 15 3zm1.5 3.2a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2z",
  light: "M12 7a5 5 0 1 1 0 10 5 5 0 0 1 0-10zm-1-5h2v3h-2zm0 17h2v3h-2zM2 11h3v2H2zm17 0h3v2h-3zM4.2 5.6l1.4-1.4 2.1 2.1-1.4 1.4zm12.1 12.1 1.4-1.4 2.1 2.1-1.4 1.4zM4.2 18.4l2.1-2.1 1.4 1.4-2.1 2.1zM16.3 6.3l2.1-2.1 1.4 1.4-2.1 2.1z",
  drop: "M12 3l6 6-1.4 1.4L13 6.8V16h-2V6.8L7.4 10.4 6 9zM4 15h2v4h12v-4h2v6H4z",
  pencil: "M15.6 4.2a2 2 0 0 1 2.8 0l1.4 1.4a2 2 0 0 1 0 2.8L9.2 19 4 20l1-5.2zm-8.8 11.6-.4 1.8 1.8-.4 8.4-8.4-1.4-1.4z",
  wave: "M3 10h2v4H3zm4-4h2v12H7zm4-3h2v18h-2zm4 5h2v8h-2zm4 2h2v4h-2z",
  spectrum: "M4 15h4v5H4zm0-5h4v3H4zm6 2h4v8h-4zm0-6h4v4h-4zm6 10h4v4h-4zm0-8h4v6h-4zm0-4h4v2h-4z",
  copy: "M8 3h10a2 2 0 0 1 2 2v11h-2V5H8zM5 7h9a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V9a2 2 0 0 1 2-2zm0 2v10h9V9z",
  check: "M9.5 16.2 5.3 12l-1.4 1.4 5.6 5.6L20.5 8l-1.4-1.4z",
};

/**
 * An icon that screen readers skip.
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" }, svg("path", { d: PATHS[name] ?? "" }));
}
