// @ts-check
// The server's API, /v1, and nothing else. Addresses are relative: a proxy may serve the page under a prefix.

import { TEXTS } from "./texts.js";

/**
 * @typedef {{id: string, title: string, seconds: number | null, url: string | null}} Track
 * @typedef {{id: string, name: string, url: string, format: string, seconds: number, size_bytes: number,
 *   present: boolean, presence: number, rms_dbfs: number | null, peak_dbfs: number | null}} Stem
 * @typedef {{id: string, state: "pending" | "running" | "succeeded" | "failed" | "cancelled", stage: string | null,
 *   progress: number, cancelling: boolean, track_id: string, title: string | null, mode: string, plan: string, format: string,
 *   seconds: number | null, sample_rate: number | null, gain_db: number | null, stems: Stem[], zip: string | null,
 *   error: {code: number, message: string} | null, created_at: string, expires_at: string}} Separation
 * @typedef {{name: string, title: string, stems: string[], models: {name: string, licence: string}[],
 *   song_minutes: number | null, is_bound: boolean}} Plan
 * @typedef {{name: string, title: string, missing: {name: string, licence: string}[], download_bytes: number,
 *   song_minutes: number | null, is_bound: boolean, can_run: boolean}} MissingPlan
 * @typedef {{stems: string | string[], playing: string[] | null, plan: string, format: string}} Order
 * @typedef {{sample_rate: number, samples: number, tile_columns: number, rows: number, highest_hz: number,
 *   levels: {samples_per_column: number, columns: number, tiles: number}[]}} SpectrogramFacts
 * @typedef {{id: string, name: string, hint: string, scopes: string[]}} UsedKey
 * @typedef {{name: string, key: UsedKey, storage: {used_bytes: number, limit_bytes: number | null},
 *   retention_days: number, max_upload_bytes: number, server_url: string}} Account
 * @typedef {UsedKey & {created_at: string}} Key
 * @typedef {{version: string, maintenance: boolean, waiting: number, running: number, tasks: {failed: number},
 *   workers: {ready: number | null, configured: number}, storage: {stored_bytes: number, free_bytes: number},
 *   accounts: number, tracks: number}} Overview
 * @typedef {{begins_at: string, succeeded: number, failed: number, real_time_factor: number | null}} ThroughputStep
 * @typedef {{id: string, account: string, api: string, kind: string, state: string, progress: number, title: string | null,
 *   plan: string, seconds: number | null, error: {code: number, message: string} | null, created_at: string,
 *   started_at: string | null, ended_at: string | null}} OperatorTask
 * @typedef {{name: string, title: string, stems: string[], licence: string, licence_note: string, permissive: boolean,
 *   size_bytes: number, in_wheel: boolean, installed: boolean, can_run: boolean,
 *   download: {state: string, done_bytes: number, error: string | null} | null}} Model
 * @typedef {{day: string, credits: number, separations: number, seconds: number}} DayUsage
 * @typedef {{id: string, separation_id: string, callback_url: string, attempt: number, state: string, due_at: string,
 *   attempted_at: string | null, status_code: number | null, error: string | null}} AccountDelivery
 */

/**
 * @typedef {{speed: number, semitones: number}} SpeedAndKey
 * @typedef {SpeedAndKey & {state: "running" | "succeeded" | "failed", progress: number, samples: number,
 *   sample_rate: number, error: string | null}} Rendering
 */

/** What the server refused, or that it cannot be reached; the message is for people. */
export class WireError extends Error {
  /** @param {string} message @param {number} status 0: no reply */
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Whether the same request may succeed later without a change. */
  get isTemporary() {
    return this.status === 0 || this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** Sent with each request, since pages of other sites cannot send it. */
const PAGE_HEADER = { "X-Stemwright-Page": "1" };

/** @typedef {"newest" | "oldest" | "title" | "longest"} SongOrder */

export class Wire {
  constructor() {
    /** Called when there is no session, or it has ended. @type {() => void} */
    this.onRefused = () => {};
  }

  /**
   * Opens a session, which the browser keeps in a cookie.
   * @param {{key?: string, link?: string}} by
   * @param {boolean} remember beyond this visit
   */
  async signIn(by, remember) {
    await this.#send("v1/session", jsonBody("POST", { ...by, remember }), false);
  }

  async signOut() {
    await this.#send("v1/session", { method: "DELETE" });
  }

  /** @returns {Promise<Account>} */
  account() {
    return this.#json("v1/account");
  }

  /** @returns {Promise<Key[]>} */
  async keys() {
    return (await this.#json("v1/keys")).keys;
  }

  /** @param {string} name @param {string[]} scopes @returns {Promise<Key & {key: string}>} */
  createKey(name, scopes) {
    return this.#json("v1/keys", jsonBody("POST", { name, scopes }));
  }

  /** @param {string} id */
  async revokeKey(id) {
    await this.#send(`v1/keys/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  /** @returns {Promise<{metered: boolean, credits: number | null, price: number}>} */
  credits() {
    return this.#json("v1/credits");
  }

  /** @param {number} days @returns {Promise<DayUsage[]>} */
  async usage(days) {
    return (await this.#json(`v1/usage?days=${days}`)).days;
  }

  /** @param {string | null} after @returns {Promise<{deliveries: AccountDelivery[], next: string | null}>} */
  accountDeliveries(after) {
    return this.#json(`v1/deliveries?limit=10${after ? `&after=${encodeURIComponent(after)}` : ""}`);
  }

  /** Sends a callback again. @param {string} separationId */
  async replay(separationId) {
    await this.#send(`v1/separations/${encodeURIComponent(separationId)}/deliveries/replay`, { method: "POST" });
  }

  /** @returns {Promise<Overview>} */
  overview() {
    return this.#json("v1/operator");
  }

  /** @param {boolean} on */
  async setMaintenance(on) {
    await this.#send("v1/operator/maintenance", jsonBody("PUT", { on }));
  }

  /** @param {number} hours @param {number} step @returns {Promise<ThroughputStep[]>} */
  async throughput(hours, step) {
    return (await this.#json(`v1/operator/throughput?hours=${hours}&step_hours=${step}`)).steps;
  }

  /**
   * @param {string} state empty: all
   * @param {string | null} after
   * @returns {Promise<{tasks: OperatorTask[], next: string | null}>}
   */
  operatorTasks(state, after) {
    const query = new URLSearchParams({ limit: "10" });
    if (state) query.set("state", state);
    if (after) query.set("after", after);
    return this.#json(`v1/operator/tasks?${query}`);
  }

  /** @returns {Promise<Model[]>} */
  async models() {
    return (await this.#json("v1/operator/models")).models;
  }

  /** @param {string} name */
  async downloadModel(name) {
    await this.#send(`v1/operator/models/${encodeURIComponent(name)}/download`, { method: "POST" });
  }

  /** @returns {Promise<{variable: string, value: string | null, is_default: boolean, description: string}[]>} */
  async settings() {
    return (await this.#json("v1/operator/settings")).settings;
  }

  /** @returns {Promise<{plans: Plan[], not_installed: MissingPlan[]}>} */
  plans() {
    return this.#json("v1/plans");
  }

  /**
   * @param {{title: string, order: SongOrder}} wanted
   * @param {string | null} after
   * @returns {Promise<{separations: Separation[], next: string | null}>}
   */
  separations({ title, order }, after = null) {
    const query = new URLSearchParams({ limit: "50", order });
    if (title) query.set("title", title);
    if (after) query.set("after", after);
    return this.#json(`v1/separations?${query}`);
  }

  /** @param {string} id @returns {Promise<Separation>} */
  separation(id) {
    return this.#json(`v1/separations/${encodeURIComponent(id)}`);
  }

  /** @param {string} id @param {string} title @returns {Promise<Track>} */
  rename(id, title) {
    return this.#json(`v1/tracks/${encodeURIComponent(id)}`, jsonBody("PATCH", { title }));
  }

  /**
   * @param {{track_id?: string, url?: string}} song
   * @param {Order} order
   * @param {string} once the same value gives the same separation, however often it is sent
   * @returns {Promise<Separation>}
   */
  separate(song, order, once) {
    return this.#json("v1/separations", jsonBody("POST", { ...song, ...order }, { "Idempotency-Key": once }));
  }

  /** @param {string} url @returns {Promise<Track>} */
  addLink(url) {
    return this.#json("v1/tracks", jsonBody("POST", { url }));
  }

  /** @param {string} id */
  cancel(id) {
    return this.#json(`v1/separations/${encodeURIComponent(id)}/cancel`, { method: "POST" });
  }

  /**
   * Deletes a separation, and its song unless another separation needs it.
   * @param {string} id
   * @param {boolean} [isLeaving] send it even if the page is closed meanwhile
   */
  async remove(id, isLeaving = false) {
    const path = `v1/separations/${encodeURIComponent(id)}?with_track=true`;
    await this.#send(path, { method: "DELETE", keepalive: isLeaving });
  }

  /**
   * Uploads a song. XMLHttpRequest, since fetch does not say how much was sent.
   * @param {File} file
   * @param {(fraction: number) => void} onProgress
   * @param {AbortSignal} signal
   * @returns {Promise<Track>}
   */
  upload(file, onProgress, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", "v1/tracks");
      for (const [name, value] of Object.entries(PAGE_HEADER)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
      request.onload = () => {
        if (request.status === 401) this.onRefused();
        if (request.status === 201) resolve(JSON.parse(request.responseText));
        else reject(new WireError(detailOf(request.responseText), request.status));
      };
      request.onerror = () => reject(new WireError(TEXTS.unreachable, 0));
      request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
      signal.addEventListener("abort", () => request.abort());
      const form = new FormData();
      form.append("file", file, file.name);
      request.send(form);
    });
  }

  /**
   * Follows a separation until it ends or the stream breaks. fetch, since EventSource cannot be told why it was refused.
   * @param {string} id
   * @param {(now: Separation) => void} onEvent
   * @param {AbortSignal} signal
   */
  async follow(id, onEvent, signal) {
    const reply = await this.#send(`v1/separations/${encodeURIComponent(id)}/events`, { signal });
    const reader = /** @type {ReadableStream<Uint8Array>} */ (reply.body).getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (text + decoder.decode(value, { stream: true })).split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (data) onEvent(JSON.parse(data.slice(6)));
      }
    }
  }

  /** Has the stems made at another speed and key, once. @param {string} id @param {SpeedAndKey} wanted @returns {Promise<Rendering>} */
  render(id, wanted) {
    return this.#json(renderingPath(id, wanted), { method: "PUT" });
  }

  /** @param {string} id @param {SpeedAndKey} wanted @returns {Promise<Rendering>} */
  rendering(id, wanted) {
    return this.#json(renderingPath(id, wanted));
  }

  /** Stops or deletes it. @param {string} id @param {SpeedAndKey} wanted @param {boolean} [isLeaving] */
  async removeRendering(id, wanted, isLeaving = false) {
    await this.#send(renderingPath(id, wanted), { method: "DELETE", keepalive: isLeaving });
  }

  /**
   * A binary file: peaks or a segment.
   * @param {string} path
   * @param {AbortSignal} [signal]
   */
  async bytes(path, signal) {
    return (await this.#send(path, { signal })).arrayBuffer();
  }

  /** @param {string} path @param {AbortSignal} signal @returns {Promise<SpectrogramFacts>} */
  spectrogram(path, signal) {
    return this.#json(path, { signal });
  }

  /** @param {string} path */
  async blob(path) {
    return (await this.#send(path.replace(/^\//, ""))).blob();
  }

  /** @param {string} path @param {RequestInit} [options] */
  async #json(path, options) {
    const reply = await this.#send(path, options);
    try {
      return await reply.json();
    } catch {
      throw new WireError(TEXTS.odd, reply.status);
    }
  }

  /** @param {string} path @param {RequestInit} [options] @param {boolean} [needsSession] */
  async #send(path, options = {}, needsSession = true) {
    const headers = { ...options.headers, ...PAGE_HEADER };
    let reply;
    try {
      reply = await fetch(path, { ...options, headers });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new WireError(TEXTS.unreachable, 0);
    }
    if (reply.ok) return reply;
    if (reply.status === 401 && needsSession) this.onRefused();
    throw new WireError(detailOf(await reply.text().catch(() => "")), reply.status);
  }
}

/** What names a rendering, empty for the song as it is. @param {SpeedAndKey} wanted */
export function renderingQuery({ speed, semitones }) {
  return speed === 1 && semitones === 0 ? "" : `?${new URLSearchParams({ speed: String(speed), semitones: String(semitones) })}`;
}

/** @param {string} id @param {SpeedAndKey} wanted */
function renderingPath(id, wanted) {
  return `v1/separations/${encodeURIComponent(id)}/rendering${renderingQuery(wanted)}`;
}

/**
 * A request with JSON.
 * @param {string} method @param {object} body @param {Record<string, string>} [headers]
 * @returns {RequestInit}
 */
function jsonBody(method, body, headers = {}) {
  return { method, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
}

/** The sentence of a problem, with those of its fields. @param {string} body */
function detailOf(body) {
  try {
    const detail = JSON.parse(body).detail;
    if (typeof detail === "string") return detail;
  } catch {
    // not a problem of ours: a proxy in between may answer
  }
  return TEXTS.odd;
}
