/** A job as people watch it: what it does, how far it is, how long it will take, and a way to stop it. */

import { clear, el } from "./dom.js";
import { Problem, problemBox } from "./problem.js";
import { duration } from "./words.js";

const SPOKEN_STEP = 0.25;
const RATE_WINDOW_MS = 20_000;
const RATE_LEAST_MS = 1_500;

/** A bar with its words. */
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

  /** @param {number} fraction of the file that has gone up */
  uploading(fraction) {
    this.draw(fraction < 1 ? "Uploading" : "Handing over", fraction, true);
  }

  /** @param {import("./jobs.js").Job} job that is not over */
  update(job) {
    if (job.state === "queued") this.draw("Waiting for its turn", 0, false);
    else this.draw(sentence(job.stage ?? "Working"), job.progress, job.progress > 0);
  }

  /** The connection is gone for now: what is shown stays, and says so. */
  lost() {
    this.left.textContent = "Connection lost, trying again";
  }

  /** The person has asked for the end. */
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
   * @param {boolean} isKnown whether the progress says anything yet
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
   * By the pace of the last seconds: the first part of a job is often not like the rest.
   * @param {number} progress
   */
  timeLeft(progress) {
    const now = Date.now();
    if (this.samples.length && progress < this.samples[this.samples.length - 1].progress) this.samples = [];
    this.samples.push({ at: now, progress });
    while (this.samples.length > 2 && now - this.samples[0].at > RATE_WINDOW_MS) this.samples.shift();
    const first = this.samples[0];
    if (now - first.at < RATE_LEAST_MS || progress <= first.progress || progress >= 1) return "";
    const leftMs = ((1 - progress) * (now - first.at)) / (progress - first.progress);
    return `about ${duration(Math.max(1, leftMs / 1000))} left`;
  }

  /** Tell screen readers of each stage and each quarter, not of each percent. */
  say(words, progress) {
    const quarter = Math.floor(progress / SPOKEN_STEP) * SPOKEN_STEP * 100;
    const text = quarter ? `${words}, ${quarter} percent` : words;
    if (text !== this.said) this.spoken.textContent = this.said = text;
  }
}

/** @param {string} text */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
