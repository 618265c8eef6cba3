// @ts-check
// Tasks of all accounts, by state, with the reasons of failures.

import { element, fill } from "./dom.js";
import { clockTime, day, TEXTS } from "./texts.js";

/** @typedef {import("./wire.js").Wire} Wire @typedef {import("./wire.js").OperatorTask} OperatorTask */

/** @param {{wire: Wire, onError: (message: string) => void}} options */
export function taskList({ wire, onError }) {
  let state = "";
  /** @type {string | null} */
  let next = null;
  /** @type {OperatorTask[]} */
  let further = [];
  const list = element("ul", { class: "lines" });
  const more = element("button", { hidden: true, onclick: () => void loadMore() }, TEXTS.more);
  const select = element("select", {
    "aria-label": TEXTS.taskState,
    onchange: () => {
      state = select.value;
      further = [];
      refresh().catch((error) => onError(String(error.message)));
    },
  });
  for (const [value, text] of Object.entries(TEXTS.taskStates)) select.append(element("option", { value }, text));

  async function refresh() {
    const asked = state;
    const page = await wire.operatorTasks(asked, null);
    if (asked !== state) return;
    if (!further.length) next = page.next;
    show([...page.tasks, ...further]);
  }

  async function loadMore() {
    try {
      const page = await wire.operatorTasks(state, next);
      further = [...further, ...page.tasks];
      next = page.next;
      await refresh();
    } catch (error) {
      onError(String(/** @type {Error} */ (error).message));
    }
  }

  /** @param {OperatorTask[]} tasks */
  function show(tasks) {
    const known = new Map(tasks.map((task) => [task.id, task]));
    fill(list, ...[...known.values()].map(item));
    if (!known.size) fill(list, element("li", { class: "quiet" }, TEXTS.noTasks));
    more.hidden = next === null;
  }

  return {
    refresh,
    root: element(
      "section",
      { class: "card", "aria-labelledby": "tasks-title" },
      element("header", { class: "list-head" }, element("h2", { id: "tasks-title" }, TEXTS.tasksTitle), select),
      list,
      more,
    ),
  };
}

/** @param {OperatorTask} task */
function item(task) {
  const began = task.started_at ? Date.parse(task.started_at) : null;
  const took = began !== null && task.ended_at ? (Date.parse(task.ended_at) - began) / 1000 : null;
  const facts = [
    task.account,
    TEXTS.faces[task.api === "native" ? "own" : task.api],
    task.kind === "v1" ? null : task.kind,
    task.plan,
    task.seconds === null ? null : clockTime(task.seconds),
    took === null ? null : TEXTS.took(took),
    task.state === "running" ? `${Math.round(100 * task.progress)} %` : null,
    day(task.created_at),
  ];
  return element(
    "li",
    {},
    element(
      "div",
      { class: "what" },
      element("strong", {}, task.title ?? TEXTS.untitled),
      element(
        "span",
        { class: "status" },
        element("span", { class: `state ${task.state}` }, TEXTS.taskStates[task.state] ?? task.state),
        ` · ${facts.filter(Boolean).join(" · ")}`,
      ),
      task.error ? element("span", { class: "status error" }, `${task.error.code}: ${task.error.message}`) : null,
    ),
  );
}
