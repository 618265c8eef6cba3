// @ts-check
// Models: which are on disk, their licences, and a button that downloads one.

import { element, fill } from "./dom.js";
import { bytes, stemName, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").Model} Model */

/** @param {{wire: Wire, onError: (message: string) => void}} options */
export function modelList({ wire, onError }) {
  const list = element("ul", { class: "lines" });
  const summary = element("span", { class: "quiet" });
  let shown = "";

  async function refresh() {
    const models = await wire.models();
    const now = JSON.stringify(models);
    if (now === shown) return; // so that focus stays
    shown = now;
    const here = models.filter((one) => one.installed);
    summary.textContent = TEXTS.onDisk(here.length, bytes(here.reduce((sum, one) => sum + one.size_bytes, 0)));
    fill(list, ...models.toSorted((one, other) => Number(other.installed) - Number(one.installed)).map(item));
  }

  /** @param {Model} model */
  async function download(model) {
    try {
      await wire.downloadModel(model.name);
      await refresh();
    } catch (error) {
      onError(String(/** @type {Error} */ (error).message));
    }
  }

  /** @param {Model} model */
  function item(model) {
    const { download: under_way } = model;
    const isFailed = under_way?.state === "failed";
    const size = bytes(model.size_bytes);
    const label = TEXTS.downloadModel(model.name, size, model.licence);
    const button = element("button", { "aria-label": label, title: label, onclick: () => void download(model) }, isFailed ? TEXTS.again : TEXTS.download);
    const stems = model.stems.length > 4 ? TEXTS.nStems(model.stems.length) : model.stems.map(stemName).join(", ");
    return element(
      "li",
      {},
      element(
        "div",
        { class: "what" },
        element("strong", {}, model.name),
        element("span", { class: "status" }, [model.title, stems, size].filter(Boolean).join(" · ")),
        element(
          "span",
          { class: "status" },
          element("span", { class: model.permissive ? "state" : "state failed", title: model.licence_note }, TEXTS.licence(model.licence)),
          model.can_run ? "" : ` · ${TEXTS.needsTorch}`,
        ),
        under_way && !isFailed
          ? element("progress", { max: model.size_bytes, value: under_way.done_bytes, "aria-label": label })
          : null,
        isFailed ? element("span", { class: "status error" }, under_way.error ?? "") : null,
      ),
      element(
        "div",
        { class: "actions" },
        model.installed
          ? element("span", { class: "state succeeded" }, model.in_wheel ? TEXTS.inWheel : TEXTS.installed)
          : under_way && !isFailed
            ? element("span", { class: "quiet" }, `${Math.round((100 * under_way.done_bytes) / model.size_bytes)} %`)
            : button,
      ),
    );
  }

  return {
    refresh,
    root: element(
      "section",
      { class: "card", "aria-labelledby": "models-title" },
      element("header", { class: "list-head" }, element("h2", { id: "models-title" }, TEXTS.modelsTitle), summary),
      list,
    ),
  };
}
