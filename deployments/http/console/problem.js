/** What can go wrong, in words that a person can act on. */

import { el } from "./dom.js";
import { duration } from "./words.js";

/** Title and advice for each code of an error. */
const TOLD = {
  unreachable: ["Sensorium cannot be reached", "See whether it is running and whether this device is on its network, then try again."],
  offline: ["This device is offline", "Connect it to a network, then try again."],
  invalid_parameter: ["Something in the form cannot be taken", "Change it, then try again."],
  invalid_body: ["The request cannot be read", "Reload this page, then try again."],
  invalid_api_key: ["This server wants an API key", "Ask who runs it for one, and enter it by the button at the top."],
  forbidden: ["This result’s address is no longer valid", "Open the result again in Jobs."],
  not_found: ["It is not there any more", "Results and finished jobs are deleted after a while; run it again."],
  too_large: ["This is too large", "Send a smaller or a shorter one."],
  unsupported_media_type: ["This kind of file is not taken here", "Save it in one of the formats that are named above, then try again."],
  unusable_media: ["This file cannot be used", "See whether it opens on your own machine; save it anew or choose another."],
  too_many_pixels: ["There are too many pixels in this file", "Make it smaller, then try again."],
  empty_audio: ["There is no sound in this", "Record again, or choose another file."],
  too_many_jobs: ["Too many jobs are waiting", "Let some of them finish, or cancel those that you do not need in Jobs."],
  overloaded: ["Sensorium is busy", "Try again in a moment."],
  model_loading: ["This capability is still starting", "Try again in a moment."],
  model_unavailable: ["This capability’s model is not installed", "Whoever runs this server can install it as said here."],
  storage_full: ["The server’s storage is full", "Whoever runs this server has to make room."],
  deadline_exceeded: ["It took too long", "Try a smaller or shorter input."],
  internal_error: ["Something went wrong on the server", "Try again; if it happens again, tell who runs this server."],
};

/** The code that a status stands for where the body names none that is known. */
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

/** An error that is meant to be read. */
export class Problem extends Error {
  /**
   * @param {number} status HTTP status; 0 where no answer came or the error is not HTTP's
   * @param {string} [code] the server's code of it
   * @param {string} [message] the server's words
   * @param {number} [retryAfterS] when the server asks to try again
   */
  constructor(status, code = "", message = "", retryAfterS = 0) {
    super(message);
    this.status = status;
    this.code = code in TOLD ? code : (BY_STATUS[status] ?? "internal_error");
    if (this.code === "unreachable" && !navigator.onLine) this.code = "offline";
    this.retryAfterS = retryAfterS;
  }

  /** Whether waiting may mend it. */
  get isPassing() {
    return ["unreachable", "offline", "overloaded", "model_loading", "too_many_jobs"].includes(this.code);
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
  "empty_audio",
];

/**
 * The problem that an answer tells of, whichever family of routes gave it.
 * @param {number} status
 * @param {string} text the body
 * @param {string | null} retryAfter the header of that name
 */
export function problemOf(status, text, retryAfter) {
  let body = {};
  try {
    body = JSON.parse(text) ?? {};
  } catch {
    // a proxy in between answers in HTML or not at all: its status is all there is to tell
  }
  const told = typeof body.error === "object" && body.error ? body.error : body;
  return new Problem(status, told.code, typeof told.message === "string" ? told.message : "", Number(retryAfter) || 0);
}

/**
 * A problem as an element, with a way to try again where the same input may do better later.
 * @param {Problem} problem
 * @param {() => void} [retry]
 */
export function problemBox(problem, retry) {
  const [title, advice] = TOLD[problem.code];
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
 * @param {number} waitS the button waits so long, as the server asks
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
