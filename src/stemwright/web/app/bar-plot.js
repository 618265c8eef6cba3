// @ts-check
// A plot of bars as SVG, with a scale and a tip for the bar under the pointer. Screen readers get the same as a table.

import { element, svg } from "./dom.js";

const HEIGHT = 160;
const FOOT = 22;
const HEAD = 8;
const SIDE = 44;

/**
 * One series, or two that are stacked.
 * @typedef {{label: string, values: number[], tip: string}} Bar label: below the bar, where there is room
 */

/**
 * @param {Bar[]} bars
 * @param {{title: string, column: string, series: {name: string, color: string}[], scale?: (value: number) => string}} options
 */
export function barPlot(bars, { title, column, series, scale = String }) {
  const sums = bars.map((bar) => bar.values.reduce((sum, value) => sum + Math.max(0, value), 0));
  const top = niceTop(Math.max(...sums, 0));
  const picture = svg("svg", { class: "plot", role: "img", "aria-label": title, height: HEIGHT });
  const tip = element("p", { class: "plot-tip", hidden: true });
  const root = element("figure", { class: "figure" }, legend(series), picture, tip, table(bars, { title, column, series }));

  function draw() {
    const width = Math.max(200, root.clientWidth);
    const step = (width - SIDE) / bars.length;
    const high = HEIGHT - FOOT - HEAD;
    picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    picture.replaceChildren();
    for (const share of [0, 0.5, 1]) {
      const y = HEAD + high * (1 - share);
      picture.append(svg("line", { class: "grid", x1: SIDE, x2: width, y1: y, y2: y }));
      picture.append(svg("text", { x: SIDE - 8, y: y + 4, "text-anchor": "end" }, scale(top * share)));
    }
    const every = Math.ceil((7 * Math.max(...bars.map((bar) => bar.label.length), 1) + 12) / step);
    bars.forEach((bar, index) => {
      const x = SIDE + index * step;
      const place = svg("g", { class: "bar-place" }, svg("rect", { class: "hit", x, y: 0, width: step, height: HEIGHT - FOOT }));
      let y = HEAD + high;
      bar.values.forEach((value, number) => {
        const tall = (Math.max(0, value) / top) * high;
        if (tall <= 0) return;
        y -= tall;
        const gap = Math.min(3, step * 0.15);
        const rect = svg("rect", { x: x + gap, y, width: Math.max(1, step - 2 * gap), height: tall, rx: Math.min(3, step / 4) });
        rect.style.fill = `var(${series[number].color})`;
        place.append(rect);
      });
      if ((bars.length - 1 - index) % every === 0) {
        const isLast = index === bars.length - 1;
        const at = isLast ? x + step : x + step / 2;
        picture.append(svg("text", { x: at, y: HEIGHT - 6, "text-anchor": isLast ? "end" : "middle" }, bar.label));
      }
      place.addEventListener("pointerenter", () => {
        tip.textContent = bar.tip;
        tip.hidden = false;
        const half = tip.offsetWidth / 2;
        tip.style.left = `${Math.min(width - half, Math.max(half, x + step / 2))}px`;
      });
      picture.append(place);
    });
  }

  picture.addEventListener("pointerleave", () => (tip.hidden = true));
  new ResizeObserver(draw).observe(root);
  return root;
}

/** @param {{name: string, color: string}[]} series */
function legend(series) {
  if (series.length < 2) return null;
  return element(
    "figcaption",
    { class: "legend" },
    ...series.map(({ name, color }) => {
      const chip = element("span", { class: "chip" });
      chip.style.background = `var(${color})`;
      return element("span", {}, chip, name);
    }),
  );
}

/** @param {Bar[]} bars @param {{title: string, column: string, series: {name: string}[]}} options */
function table(bars, { title, column, series }) {
  const head = element("tr", {}, ...[column, ...series.map((one) => one.name)].map((text) => element("th", { scope: "col" }, text)));
  const rows = bars
    .filter((bar) => bar.values.some((value) => value !== 0))
    .map((bar) => element("tr", {}, element("th", { scope: "row" }, bar.label), ...bar.values.map((value) => element("td", {}, String(value)))));
  return element(
    "table",
    { class: "unseen" },
    element("caption", {}, title),
    element("thead", {}, head),
    element("tbody", {}, ...rows),
  );
}

/** The least of 1, 2, 2.5, 5, 10, 20, … that is not below a value. @param {number} value */
export function niceTop(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * (1 - 1e-9)) ?? value;
}
