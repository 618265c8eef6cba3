// @ts-check
// Credits, and the use of each day as a plot.

import { barPlot } from "./bar-plot.js";
import { element, fill } from "./dom.js";
import { bytes, day, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").Account} Account */

const DAYS = 30;

/** @param {{wire: Wire, account: Account, onError: (message: string) => void}} options */
export function usage({ wire, account, onError }) {
  const numbers = element("dl", { class: "numbers" });
  const place = element("div", {});

  async function load() {
    try {
      const [credits, days] = await Promise.all([wire.credits(), wire.usage(DAYS)]);
      const minutes = days.reduce((sum, one) => sum + one.seconds, 0) / 60;
      const separations = days.reduce((sum, one) => sum + one.separations, 0);
      fill(
        numbers,
        ...number(TEXTS.creditsLeft, credits.metered ? TEXTS.amount(credits.credits ?? 0) : TEXTS.unmetered),
        ...number(TEXTS.separationsIn(DAYS), String(separations)),
        ...number(TEXTS.minutesIn(DAYS), TEXTS.amount(Math.round(minutes * 10) / 10)),
        ...number(TEXTS.storage, bytes(account.storage.used_bytes)),
      );
      const of = (/** @type {import("./wire.js").DayUsage} */ one) => (credits.metered ? one.credits : one.separations);
      const name = credits.metered ? TEXTS.creditsADay : TEXTS.separationsADay;
      const bars = days.map((one) => ({
        label: day(one.day).replace(/^today.*/, TEXTS.today),
        values: [of(one)],
        tip: TEXTS.usageTip(day(one.day).replace(/^today.*/, TEXTS.today), credits.metered ? one.credits : null, one.separations, one.seconds / 60),
      }));
      fill(place, element("h3", {}, name), barPlot(bars, { title: name, column: TEXTS.day, series: [{ name, color: "--accent" }], scale: TEXTS.amount }));
    } catch (error) {
      onError(String(/** @type {Error} */ (error).message));
    }
  }

  void load();
  return element(
    "section",
    { class: "card", "aria-labelledby": "usage-title" },
    element("h2", { id: "usage-title" }, TEXTS.usageTitle),
    numbers,
    place,
    element("p", { class: "quiet hint" }, TEXTS.keptFor(account.retention_days)),
  );
}

/** @param {string} name @param {string} value */
export function number(name, value) {
  return [element("div", {}, element("dt", {}, name), element("dd", {}, value))];
}
