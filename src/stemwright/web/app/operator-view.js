// @ts-check
// The operator's view: the whole server at a glance, throughput, tasks of all accounts, models, settings.

import { barPlot } from "./bar-plot.js";
import { element, fill } from "./dom.js";
import { modelList } from "./model-list.js";
import { taskList } from "./task-list.js";
import { bytes, TEXTS } from "./texts.js";
import { number } from "./usage.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").ThroughputStep} ThroughputStep */

const POLL_MS = 5000;
const RANGES = /** @type {const} */ ([
  [24, 1],
  [24 * 7, 6],
  [24 * 30, 24],
]);

/**
 * Shows the view.
 * @param {HTMLElement} place
 * @param {{wire: Wire, onError: (message: string) => void}} options
 * @returns {() => void} closes it
 */
export function showOperator(place, { wire, onError }) {
  const numbers = element("dl", { class: "numbers" });
  const version = element("p", { class: "quiet" });
  const maintenance = element("input", { type: "checkbox", role: "switch", id: "maintenance", onchange: () => void switchMaintenance() });
  const plots = element("div", { class: "plots" });
  let [hours, step] = /** @type {readonly [number, number]} */ (RANGES[0]);
  let isClosed = false;
  let timer = 0;

  /** @param {Promise<void>} done */
  const told = (done) => void done.catch((error) => onError(String(/** @type {Error} */ (error).message)));

  async function switchMaintenance() {
    maintenance.disabled = true;
    try {
      await wire.setMaintenance(maintenance.checked);
    } catch (error) {
      maintenance.checked = !maintenance.checked;
      onError(String(/** @type {Error} */ (error).message));
    }
    maintenance.disabled = false;
  }

  async function showNumbers() {
    const now = await wire.overview();
    const ready = now.workers.ready === null ? TEXTS.workersElsewhere : TEXTS.workersReady(now.workers.ready, now.workers.configured);
    version.textContent = TEXTS.release(now.version, now.accounts);
    if (!maintenance.disabled) maintenance.checked = now.maintenance;
    fill(
      numbers,
      ...number(TEXTS.waiting, String(now.waiting)),
      ...number(TEXTS.running, String(now.running)),
      ...number(TEXTS.workers, ready),
      ...number(TEXTS.failedTasks, String(now.tasks.failed)),
      ...number(TEXTS.stored, bytes(now.storage.stored_bytes)),
      ...number(TEXTS.diskFree, bytes(now.storage.free_bytes)),
    );
  }

  async function showPlots() {
    const steps = await wire.throughput(hours, step);
    fill(
      plots,
      plot(TEXTS.finished, steps, (one) => [one.succeeded, one.failed], [
        { name: TEXTS.succeeded, color: "--accent" },
        { name: TEXTS.failed, color: "--bad" },
      ]),
      plot(TEXTS.realTimeFactor, steps, (one) => [one.real_time_factor ?? 0], [{ name: TEXTS.realTimeFactor, color: "--bass" }]),
    );
  }

  /** @param {string} title @param {ThroughputStep[]} steps @param {(one: ThroughputStep) => number[]} of @param {{name: string, color: string}[]} series */
  function plot(title, steps, of, series) {
    const bars = steps.map((one) => {
      const label = TEXTS.stepLabel(one.begins_at, step);
      return { label, values: of(one), tip: TEXTS.stepTip(label, one.succeeded, one.failed, one.real_time_factor) };
    });
    return element("div", {}, element("h3", {}, title), barPlot(bars, { title, column: TEXTS.begins, series, scale: TEXTS.amount }));
  }

  const range = element("select", {
    "aria-label": TEXTS.range,
    onchange: () => {
      [hours, step] = RANGES[Number(range.value)];
      told(showPlots());
    },
  });
  TEXTS.ranges.forEach((text, index) => range.append(element("option", { value: String(index) }, text)));

  const tasks = taskList({ wire, onError });
  const models = modelList({ wire, onError });
  fill(
    place,
    element(
      "div",
      { class: "page" },
      element(
        "header",
        { class: "page-head" },
        element("div", {}, element("h1", {}, TEXTS.operator), version),
        element(
          "label",
          { class: "switch", for: "maintenance" },
          maintenance,
          element("span", {}, element("strong", {}, TEXTS.maintenance), element("span", { class: "quiet" }, TEXTS.maintenanceWhy)),
        ),
      ),
      element("section", { class: "card", "aria-label": TEXTS.now }, numbers),
      element(
        "section",
        { class: "card", "aria-labelledby": "throughput-title" },
        element("header", { class: "list-head" }, element("h2", { id: "throughput-title" }, TEXTS.throughput), range),
        plots,
      ),
      tasks.root,
      models.root,
      settingsTable(wire, onError),
    ),
  );

  async function poll() {
    if (isClosed) return;
    await Promise.all([showNumbers(), tasks.refresh(), models.refresh()]).catch((error) =>
      onError(String(/** @type {Error} */ (error).message)),
    );
    if (!isClosed) timer = window.setTimeout(() => void poll(), POLL_MS);
  }

  told(showPlots());
  void poll();
  return () => {
    isClosed = true;
    clearTimeout(timer);
  };
}

/** Fetched when it is opened. @param {Wire} wire @param {(message: string) => void} onError */
function settingsTable(wire, onError) {
  const body = element("tbody", {});
  const details = element(
    "details",
    { class: "card settings", ontoggle: () => void load() },
    element("summary", {}, element("h2", {}, TEXTS.settingsTitle)),
    element("p", { class: "quiet" }, TEXTS.settingsWhy),
    element(
      "div",
      { class: "wide", tabIndex: 0, role: "region", "aria-label": TEXTS.settingsTitle },
      element("table", {}, element("thead", {}, element("tr", {}, ...TEXTS.settingsColumns.map((text) => element("th", { scope: "col" }, text)))), body),
    ),
  );
  async function load() {
    if (!details.open || body.children.length) return;
    try {
      const settings = await wire.settings();
      fill(
        body,
        ...settings.map((one) =>
          element(
            "tr",
            { class: one.is_default ? "" : "changed" },
            element("th", { scope: "row" }, element("code", {}, one.variable)),
            element("td", {}, one.value ?? TEXTS.none),
            element("td", { class: "quiet" }, one.description),
          ),
        ),
      );
    } catch (error) {
      onError(String(/** @type {Error} */ (error).message));
    }
  }
  return details;
}
