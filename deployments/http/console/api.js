/** Calls to the server, with errors as `Problem`. */

import { Problem, problemOf } from "./problem.js";
import { addressOf, messageOf } from "./request.js";
import { signIn, signInCount } from "./session.js";

/**
 * Fetch; asks for a key if the server requires one.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} a successful response
 * @throws {Problem}
 */
export async function call(path, options = {}) {
  for (;;) {
    const before = signInCount();
    const response = await reached(fetch(path, options), options.signal);
    if (response.ok) return response;
    if (response.status === 401 && (await signIn(before))) continue;
    throw problemOf(response.status, await response.text(), response.headers.get("Retry-After"));
  }
}

/**
 * The outcome of a request; a failed connection is a `Problem`, an abort by the user is not.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal | null} [signal]
 * @returns {Promise<T>}
 */
async function reached(promise, signal) {
  try {
    return await promise;
  } catch (error) {
    if (signal?.aborted || !(error instanceof TypeError)) throw error;
    throw new Problem(0);
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
export const json = async (path, options = {}) => (await call(path, options)).json();

/**
 * The objects of a stream of server-sent events, up to `[DONE]` or its end.
 * @param {string} path
 * @param {RequestInit} [options]
 */
export async function* events(path, options = {}) {
  const response = await call(path, options);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reached(reader.read(), options.signal);
      if (done) return;
      const pieces = (rest + value).split(/\r?\n\r?\n/);
      rest = pieces.pop() ?? "";
      for (const piece of pieces) {
        const data = dataOf(piece);
        if (data === "[DONE]") return;
        if (data) yield JSON.parse(data);
      }
    }
  } finally {
    // also if the consumer has stopped: the server then stops the work
    reader.cancel().catch(() => {});
  }
}

/**
 * The data of one event; a heartbeat has none.
 * @param {string} event
 */
function dataOf(event) {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice("data:".length).trimStart()).join("\n");
}

/**
 * Send a call whose body may be large, reporting its progress, which fetch cannot do.
 * @param {import("./request.js").Description} description
 * @param {object} [options]
 * @param {(fraction: number) => void} [options.onprogress] 0 to 1 of the body's bytes
 * @param {AbortSignal} [options.signal]
 * @param {Record<string, string>} [options.headers]
 * @returns {Promise<any>} the JSON of a successful response
 * @throws {Problem}
 */
export async function send(description, options = {}) {
  for (;;) {
    const before = signInCount();
    const answer = await transmit(description, options);
    if (answer.status >= 200 && answer.status < 300) return JSON.parse(answer.responseText);
    if (answer.status === 401 && (await signIn(before))) continue;
    throw problemOf(answer.status, answer.responseText, answer.getResponseHeader("Retry-After"));
  }
}

/** @returns {Promise<XMLHttpRequest>} */
function transmit(description, { onprogress, signal, headers }) {
  const message = messageOf(description);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(message.method, addressOf(description));
    for (const [name, value] of Object.entries({ ...message.headers, ...headers })) {
      request.setRequestHeader(name, value);
    }
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onprogress?.(event.loaded / event.total);
    });
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(new Problem(0)));
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(message.body);
  });
}
