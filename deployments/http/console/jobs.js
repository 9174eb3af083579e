/** Jobs on the server: submit, follow, cancel, list; and which job each tab showed last. */

import { events, json, send } from "./api.js";
import { Problem } from "./problem.js";

/**
 * @typedef {object} Job
 * @property {string} id
 * @property {string} route
 * @property {"queued" | "running" | "succeeded" | "failed" | "cancelled"} state
 * @property {number} progress 0 to 1, never falls
 * @property {string | null} stage
 * @property {string | null} engine that runs it, once it has started
 * @property {number} created_at Unix time in seconds
 * @property {number | null} started_at
 * @property {number | null} ended_at
 * @property {Record<string, any> | null} result the body of the synchronous call
 * @property {{code: string, message: string} | null} error
 */

/** The tab that shows the results of each route. */
export const TAB_OF_ROUTE = {
  "/v1/images/generations": "generate-image",
  "/v1/images/edits": "generate-image",
  "/image/imageToText": "describe-image",
  "/image/enhanceImage": "enhance-image",
  "/image/generateVideo": "animate-image",
  "/video/motInference": "track-video",
  "/video/mmeditingInference": "interpolate-video",
};

const STORED = "sensorium.jobs";
const MAX_PAUSE_MS = 10_000;

/** @param {Job} job */
export const isOver = (job) => ["succeeded", "failed", "cancelled"].includes(job.state);

/** @param {string} id */
const address = (id) => `/v1/jobs/${encodeURIComponent(id)}`;

/**
 * @param {import("./request.js").Description} description
 * @param {object} options
 * @param {string} options.once the same for each retry of one submission: the server makes one job of them
 * @param {(fraction: number) => void} options.onprogress of the upload
 * @param {AbortSignal} options.signal
 * @returns {Promise<Job>}
 */
export const submit = (description, { once, onprogress, signal }) =>
  send(description, { onprogress, signal, headers: { "Idempotency-Key": once } });

/** @param {string} id @returns {Promise<Job>} */
export const cancel = (id) => json(address(id), { method: "DELETE" });

/**
 * One page, newest first.
 * @param {string | null} after the last id of the previous page
 * @returns {Promise<{data: Job[], has_more: boolean}>}
 */
export const list = (after) => json(`/v1/jobs?limit=20${after ? `&after=${encodeURIComponent(after)}` : ""}`);

/**
 * Follow a job to its end, reconnecting as needed.
 * @param {string} id
 * @param {object} options
 * @param {(job: Job) => void} options.onchange
 * @param {(problem: Problem) => void} options.onlost the connection is lost; it is retried
 * @param {AbortSignal} options.signal
 * @throws {Problem} that retrying cannot solve: the job no longer exists
 */
export async function follow(id, { onchange, onlost, signal }) {
  let pauseMs = 500;
  for (;;) {
    try {
      for await (const job of events(`${address(id)}/events`, { signal })) {
        pauseMs = 500;
        onchange(job);
        if (isOver(job)) return;
      }
    } catch (problem) {
      if (!(problem instanceof Problem) || !problem.isPassing) throw problem;
      onlost(problem);
    }
    await pause(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
  }
}

/** @param {number} ms @param {AbortSignal} signal */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** @returns {Record<string, string>} job id by tab */
const stored = () => JSON.parse(localStorage.getItem(STORED) ?? "{}");

/** @param {string} tab @returns {string | undefined} */
export const remembered = (tab) => stored()[tab];

/** @param {string} tab @param {string} id */
export const remember = (tab, id) => localStorage.setItem(STORED, JSON.stringify({ ...stored(), [tab]: id }));

/** @param {string} tab */
export function forget(tab) {
  const { [tab]: _, ...others } = stored();
  localStorage.setItem(STORED, JSON.stringify(others));
}

/** A new name for one submission; `crypto.randomUUID` is missing on pages served over plain HTTP. */
export const newSubmission = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
