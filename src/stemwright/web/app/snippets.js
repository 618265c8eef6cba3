// @ts-check
// Lines to copy: curl and Python for our API and for those of both vendors, with this server's address.

import { element, fill } from "./dom.js";
import { copyButton } from "./key-list.js";
import { TEXTS } from "./texts.js";

const FACES = /** @type {const} */ (["own", "kie", "crun"]);
const LANGUAGES = /** @type {const} */ (["curl", "python"]);
const SONG = "https://example.com/song.mp3";
const HOOK = "https://example.com/hook";

/**
 * The address for programs: that of the settings, unless it is only this machine's and the page was loaded from elsewhere.
 * @param {string} told what the server says
 */
export function serverAddress(told) {
  const here = new URL(".", location.href.split("#")[0]).href.replace(/\/$/, "");
  return /^https?:\/\/(localhost|127\.|\[::1\])/.test(told) ? here : told;
}

/**
 * @param {string} host
 * @returns {{root: HTMLElement, useKey: (key: string) => void}} `useKey`: a key that was just created stands in the lines
 */
export function snippets(host) {
  let face = /** @type {string} */ ("own");
  let language = /** @type {string} */ ("curl");
  /** @type {string | null} */
  let key = null;
  const code = element("code", {});
  const block = element("pre", { class: "snippet", tabIndex: 0, role: "region", "aria-label": TEXTS.snippetLines }, code);
  const hint = element("p", { class: "quiet hint" });

  function show() {
    code.textContent = LINES[face][language](host, key);
    hint.textContent = TEXTS.snippetHints[face];
  }

  /** @param {string} label @param {readonly string[]} values @param {Record<string, string>} texts @param {string} current @param {(value: string) => void} onChange */
  function choice(label, values, texts, current, onChange) {
    return element(
      "div",
      { class: "segmented", role: "radiogroup", "aria-label": label },
      ...values.map((value) =>
        element(
          "label",
          {},
          element("input", { type: "radio", name: label, value, checked: value === current, onchange: () => (onChange(value), show()) }),
          element("span", {}, texts[value]),
        ),
      ),
    );
  }

  show();
  const root = element("section", { class: "card", "aria-labelledby": "snippets-title" });
  fill(
    root,
    element("h2", { id: "snippets-title" }, TEXTS.snippetsTitle),
    element(
      "div",
      { class: "choices" },
      choice(TEXTS.face, FACES, TEXTS.faces, face, (value) => (face = value)),
      choice(TEXTS.language, LANGUAGES, TEXTS.languages, language, (value) => (language = value)),
    ),
    hint,
    element("div", { class: "snippet-place" }, block, copyButton(() => code.textContent ?? "")),
  );
  return {
    root,
    useKey(made) {
      key = made;
      show();
    },
  };
}

/** @param {string | null} key */
const shellKey = (key) => `STEMWRIGHT_KEY=${key ?? "sw_…"}`;

/** @param {string | null} key */
const pythonKey = (key) => (key ? `"${key}"` : 'os.environ["STEMWRIGHT_KEY"]');

/** @type {Record<string, Record<string, (host: string, key: string | null) => string>>} */
const LINES = {
  own: {
    curl: (host, key) => `${shellKey(key)}
# 1. Send a song; the reply has its id.
curl ${host}/v1/tracks -H "Authorization: Bearer $STEMWRIGHT_KEY" \\
  -F file=@song.mp3

# 2. Order its stems: two, twelve, or a list.
curl ${host}/v1/separations -H "Authorization: Bearer $STEMWRIGHT_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"track_id": "TRACK_ID", "stems": "twelve", "format": "flac"}'

# 3. Follow it to its end, then save the stems.
curl -N ${host}/v1/separations/SEPARATION_ID/events \\
  -H "Authorization: Bearer $STEMWRIGHT_KEY"
curl -o stems.zip ${host}/v1/separations/SEPARATION_ID/stems.zip \\
  -H "Authorization: Bearer $STEMWRIGHT_KEY"`,
    python: (host, key) => `import os

import stemwright

with stemwright.Client("${host}", key=${pythonKey(key)}) as client:
    separation = client.separate("song.mp3", stems="twelve", format="flac")
    separation = client.wait(separation, on_progress=lambda now: print(f"{now.progress:.0%}"))
    print(client.download(separation, "stems"))`,
  },
  kie: {
    curl: (host, key) => `${shellKey(key)}
# 1. Order vocals and instrumental (split_stem: twelve stems).
curl ${host}/api/v1/vocal-removal/generate \\
  -H "Authorization: Bearer $STEMWRIGHT_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"audioUrl": "${SONG}", "type": "separate_vocal",
       "callBackUrl": "${HOOK}"}'

# 2. Ask until successFlag is no longer PENDING.
curl "${host}/api/v1/vocal-removal/record-info?taskId=TASK_ID" \\
  -H "Authorization: Bearer $STEMWRIGHT_KEY"`,
    python: (host, key) => `import os
import time

import requests

HOST = "${host}"  # in place of https://api.kie.ai
HEADERS = {"Authorization": "Bearer " + ${pythonKey(key)}}
ORDER = {"audioUrl": "${SONG}", "type": "separate_vocal",
         "callBackUrl": "${HOOK}"}

reply = requests.post(HOST + "/api/v1/vocal-removal/generate", json=ORDER, headers=HEADERS)
task = {"taskId": reply.json()["data"]["taskId"]}
record = {"successFlag": "PENDING"}
while record["successFlag"] == "PENDING":
    time.sleep(1)
    reply = requests.get(HOST + "/api/v1/vocal-removal/record-info", task, headers=HEADERS)
    record = reply.json()["data"]
print(record["successFlag"], record["response"])`,
  },
  crun: {
    curl: (host, key) => `${shellKey(key)}
# 1. Order vocals and instrumental ("mode": "instrumental": twelve stems).
curl ${host}/api/v1/client/job/CreateTask \\
  -H "x-api-key: $STEMWRIGHT_KEY" -H "Content-Type: application/json" \\
  -d '{"model": "suno/vocal-separatio", "callback_url": "${HOOK}",
       "input": {"audio_url": "${SONG}", "mode": "vocal"}}'

# 2. Ask until status is success or failed.
curl "${host}/api/v1/client/job/TaskInfo?task_id=TASK_ID" \\
  -H "x-api-key: $STEMWRIGHT_KEY"`,
    python: (host, key) => `import os
import time

import requests

HOST = "${host}"  # in place of https://api.crun.ai
HEADERS = {"x-api-key": ${pythonKey(key)}}
ORDER = {"model": "suno/vocal-separatio", "callback_url": "${HOOK}",
         "input": {"audio_url": "${SONG}", "mode": "vocal"}}

reply = requests.post(HOST + "/api/v1/client/job/CreateTask", json=ORDER, headers=HEADERS)
task = {"task_id": reply.json()["data"]["task_id"]}
info = {"status": "pending"}
while info["status"] in ("pending", "running"):
    time.sleep(1)
    reply = requests.get(HOST + "/api/v1/client/job/TaskInfo", task, headers=HEADERS)
    info = reply.json()["data"]
print(info["status"], info["result"])`,
  },
};
