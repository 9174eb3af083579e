/** What can go wrong, in words that a user can act on. */

import { el } from "./dom.js";
import { duration } from "./words.js";

/** Title and advice for each error code. */
const EXPLAINED = {
  unreachable: ["Sensorium cannot be reached", "Check that it is running and that this device is on its network, then try again."],
  offline: ["This device is offline", "Connect to a network, then try again."],
  invalid_parameter: ["An input is invalid", "Change it, then try again."],
  invalid_body: ["The server could not read the request", "Reload this page, then try again."],
  invalid_api_key: ["This server requires an API key", "Ask its administrator for one, and sign in."],
  insufficient_scope: ["Your key does not allow this", "Ask the server’s administrator for a key with this scope."],
  cross_site: ["The server takes this only from its own page", "Open the console at its own address, by HTTPS."],
  forbidden: ["This result’s link is no longer valid", "Open the result again from Jobs."],
  not_found: ["It no longer exists", "Results and finished jobs are deleted after a while; run it again."],
  too_large: ["This is too large", "Send something smaller or shorter."],
  unsupported_media_type: ["Unsupported file type", "Save it in one of the formats listed above, then try again."],
  unusable_media: ["This file cannot be used", "Check that it opens on your own computer; save it again or choose another."],
  too_many_pixels: ["This file has too many pixels", "Make it smaller, then try again."],
  too_long: ["This video is too long", "Cut it, then try again."],
  empty_audio: ["There is no audio in this", "Record again, or choose another file."],
  rate_limit_exceeded: ["You are at your limit of calls", "Wait a moment, then try again."],
  quota_exceeded: ["You are at your limit of documents", "Delete documents that you no longer need."],
  too_many_jobs: ["Too many jobs are queued", "Wait for some to finish, or cancel those you do not need in Jobs."],
  overloaded: ["Sensorium is busy", "Try again in a moment."],
  model_loading: ["This capability is still starting", "Try again in a moment."],
  model_unavailable: ["This capability’s model is not installed", "The server’s administrator can install it as described here."],
  storage_full: ["The server’s storage is full", "The server’s administrator has to free some space."],
  deadline_exceeded: ["It took too long", "Try a smaller or shorter input."],
  internal_error: ["Something went wrong on the server", "Try again; if it happens again, tell the server’s administrator."],
};

/** The code for a status if the body names no known one. */
const BY_STATUS = {
  0: "unreachable",
  400: "invalid_parameter",
  401: "invalid_api_key",
  403: "forbidden",
  404: "not_found",
  413: "too_large",
  415: "unsupported_media_type",
  422: "unusable_media",
  429: "too_many_jobs",
  502: "unreachable",
  503: "overloaded",
  504: "deadline_exceeded",
};

/** An error that is shown to the user. */
export class Problem extends Error {
  /**
   * @param {number} status HTTP status; 0 if there was no response or the error is not HTTP's
   * @param {string} [code] the server's error code
   * @param {string} [message] the server's message
   * @param {number} [retryAfterS] after which the server asks to try again
   */
  constructor(status, code = "", message = "", retryAfterS = 0) {
    super(message);
    this.status = status;
    this.code = code in EXPLAINED ? code : (BY_STATUS[status] ?? "internal_error");
    if (this.code === "unreachable" && !navigator.onLine) this.code = "offline";
    this.retryAfterS = retryAfterS;
  }

  /** Whether waiting may solve it. */
  get isPassing() {
    return ["unreachable", "offline", "overloaded", "model_loading", "too_many_jobs", "rate_limit_exceeded"].includes(this.code);
  }
}

const OF_THE_INPUT = [
  "invalid_parameter",
  "invalid_body",
  "forbidden",
  "not_found",
  "too_large",
  "unsupported_media_type",
  "unusable_media",
  "too_many_pixels",
  "too_long",
  "empty_audio",
];

/**
 * The problem that a response reports, in the error body of any family of routes.
 * @param {number} status
 * @param {string} text the body
 * @param {string | null} retryAfter the header of that name
 */
export function problemOf(status, text, retryAfter) {
  let body = {};
  try {
    body = JSON.parse(text) ?? {};
  } catch {
    // a proxy in between answers in HTML or not at all: there is only its status
  }
  const detail = typeof body.error === "object" && body.error ? body.error : body;
  return new Problem(status, detail.code, typeof detail.message === "string" ? detail.message : "", Number(retryAfter) || 0);
}

/**
 * A problem as an element, with a retry button if the same input may succeed later.
 * @param {Problem} problem
 * @param {() => void} [retry]
 */
export function problemBox(problem, retry) {
  const [title, advice] = EXPLAINED[problem.code];
  const box = el(
    "div",
    { class: "problem", role: "alert" },
    el("strong", {}, title),
    problem.message && el("p", {}, problem.message),
    el("p", { class: "advice" }, advice),
  );
  if (retry && !OF_THE_INPUT.includes(problem.code)) box.append(retryButton(problem.retryAfterS, retry));
  return box;
}

/**
 * @param {number} waitS how long the button stays disabled, as the server asks
 * @param {() => void} retry
 */
function retryButton(waitS, retry) {
  const button = /** @type {HTMLButtonElement} */ (el("button", { type: "button", onclick: retry }));
  const readyAt = Date.now() + waitS * 1000;
  const tick = () => {
    const leftS = (readyAt - Date.now()) / 1000;
    button.disabled = leftS > 0;
    button.textContent = leftS > 0 ? `Try again in ${duration(Math.ceil(leftS))}` : "Try again";
    if (leftS > 0) setTimeout(tick, 250);
  };
  tick();
  return button;
}
