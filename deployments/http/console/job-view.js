/** A running job: its stage, progress and remaining time, and a button to cancel it. */

import { clear, el } from "./dom.js";
import { Problem, problemBox } from "./problem.js";
import { duration } from "./words.js";

const SPOKEN_STEP = 0.25;
const RATE_WINDOW_MS = 20_000;
const MIN_RATE_MS = 1_500;

/** A progress bar with its labels. */
export class JobView {
  /**
   * @param {HTMLElement} place
   * @param {() => void} oncancel
   */
  constructor(place, oncancel) {
    this.place = place;
    this.fill = el("div", { class: "fill" });
    this.bar = el("div", { class: "bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100 }, this.fill);
    this.stage = el("strong", {});
    this.percent = el("span", { class: "percent" });
    this.left = el("span", { class: "left" });
    this.spoken = el("p", { class: "visually-hidden", role: "status" });
    this.cancelButton = /** @type {HTMLButtonElement} */ (el("button", { type: "button", class: "small", onclick: oncancel }, "Cancel"));
    this.card = el(
      "div",
      { class: "card job-card" },
      el("div", { class: "row" }, this.stage, this.percent, this.left, this.cancelButton),
      this.bar,
      this.spoken,
    );
    this.begin();
  }

  /** Forget what was shown before. */
  begin() {
    /** @type {{at: number, progress: number}[]} */
    this.samples = [];
    this.said = "";
    this.cancelButton.disabled = false;
  }

  /** Show nothing. */
  clear() {
    clear(this.place);
  }

  /** @param {number} fraction of the file that is uploaded */
  uploading(fraction) {
    this.draw(fraction < 1 ? "Uploading" : "Submitting", fraction, true);
  }

  /** @param {import("./jobs.js").Job} job that has not ended */
  update(job) {
    if (job.state === "queued") this.draw("Queued", 0, false);
    else this.draw(sentence(job.stage ?? "Working"), job.progress, job.progress > 0);
  }

  /** The connection is lost for now: keep what is shown, and say so. */
  lost() {
    this.left.textContent = "Connection lost, retrying";
  }

  /** The user has cancelled. */
  cancelling() {
    this.cancelButton.disabled = true;
    this.left.textContent = "Cancelling";
  }

  /**
   * @param {string} text
   * @param {HTMLElement} [action]
   */
  ended(text, action) {
    clear(this.place);
    this.place.append(el("p", { class: "ended", role: "status" }, text, " ", action));
  }

  /** @param {Problem} problem @param {() => void} [retry] */
  failed(problem, retry) {
    clear(this.place);
    this.place.append(problemBox(problem, retry));
  }

  /**
   * @param {string} words
   * @param {number} progress
   * @param {boolean} isKnown whether the progress is meaningful yet
   */
  draw(words, progress, isKnown) {
    if (this.card.parentElement !== this.place) {
      clear(this.place);
      this.place.append(this.card);
    }
    this.stage.textContent = words;
    this.card.classList.toggle("unknown", !isKnown);
    this.percent.textContent = isKnown ? `${Math.floor(progress * 100)} %` : "";
    this.fill.style.width = `${progress * 100}%`;
    if (isKnown) this.bar.setAttribute("aria-valuenow", String(Math.floor(progress * 100)));
    else this.bar.removeAttribute("aria-valuenow");
    if (!this.cancelButton.disabled) this.left.textContent = isKnown ? this.timeLeft(progress) : "";
    this.say(words, isKnown ? progress : 0);
  }

  /**
   * Estimated from the last seconds: the start of a job is often unlike the rest.
   * @param {number} progress
   */
  timeLeft(progress) {
    const now = Date.now();
    if (this.samples.length && progress < this.samples[this.samples.length - 1].progress) this.samples = [];
    this.samples.push({ at: now, progress });
    while (this.samples.length > 2 && now - this.samples[0].at > RATE_WINDOW_MS) this.samples.shift();
    const first = this.samples[0];
    if (now - first.at < MIN_RATE_MS || progress <= first.progress || progress >= 1) return "";
    const leftMs = ((1 - progress) * (now - first.at)) / (progress - first.progress);
    return `about ${duration(Math.max(1, leftMs / 1000))} left`;
  }

  /** Announce each stage and each quarter to screen readers, not each percent. */
  say(words, progress) {
    const quarter = Math.floor(progress / SPOKEN_STEP) * SPOKEN_STEP * 100;
    const text = quarter ? `${words}, ${quarter} percent` : words;
    if (text !== this.said) this.spoken.textContent = this.said = text;
  }
}

/** @param {string} text */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
