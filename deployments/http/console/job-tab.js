/** What the tabs that run jobs have in common: form → upload → job → result, across reloads of the page. */

import { addCurl } from "./curl-box.js";
import { clear, one } from "./dom.js";
import { JobView } from "./job-view.js";
import { cancel, follow, forget, isOver, newSubmission, remember, remembered, submit } from "./jobs.js";
import { keepOriginal, originalOf } from "./originals.js";
import { showChosen, takeFiles } from "./pick.js";
import { Problem } from "./problem.js";

/**
 * @typedef {object} Kind
 * @property {string} name the tab's
 * @property {(form: HTMLFormElement) => import("./request.js").Description} describe the call that the form stands for
 * @property {(result: Record<string, any>, original: File | null) => Promise<Node>} show
 */

/** One tab that runs jobs. */
class JobTab {
  /** @param {Kind} kind */
  constructor(kind) {
    this.kind = kind;
    this.panel = one(`#panel-${kind.name}`);
    this.form = one("form", this.panel);
    this.result = one(".result", this.panel);
    this.view = new JobView(one(".job", this.panel), () => this.cancel());
    /** @type {string | undefined} the job whose progress or result is shown */
    this.shown = undefined;
    this.uploading = /** @type {AbortController | null} */ (null);
    this.following = new AbortController();
    if (one(".drop", this.panel)) takeFiles(this.panel, ([file]) => showChosen(this.panel, file ?? null));
    addCurl(this.panel, () => kind.describe(this.form));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit(kind.describe(this.form), newSubmission());
    });
    this.panel.addEventListener("shown", () => this.resume());
    // one stream at a time: a browser opens few connections to a server, shared by all of its windows
    this.panel.addEventListener("hidden", () => this.following.abort());
  }

  /**
   * @param {import("./request.js").Description} description
   * @param {string} once
   */
  async submit(description, once) {
    if (description.form && !description.form.file) {
      this.view.ended("Choose a file first.");
      one(".drop input", this.panel).focus();
      return;
    }
    this.uploading?.abort();
    this.following.abort();
    const uploading = (this.uploading = new AbortController());
    clear(this.result);
    this.shown = undefined;
    this.view.begin();
    this.view.uploading(0);
    try {
      const onprogress = (/** @type {number} */ fraction) => this.view.uploading(fraction);
      const job = await submit(description, { once, onprogress, signal: uploading.signal });
      remember(this.kind.name, job.id);
      if (description.form?.file) await keepOriginal(job.id, description.form.file);
    } catch (problem) {
      if (uploading.signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.view.failed(problem, () => this.submit(description, once));
      return;
    } finally {
      if (this.uploading === uploading) this.uploading = null;
    }
    if (!this.panel.hidden) await this.resume();
  }

  /** Resume the last job of this tab, even one from before the page was loaded. */
  async resume() {
    const id = remembered(this.kind.name);
    if (this.uploading || !id || id === this.shown) return;
    this.following.abort();
    const { signal } = (this.following = new AbortController());
    clear(this.result);
    this.view.begin();
    try {
      await follow(id, { onchange: (job) => this.change(job), onlost: () => this.view.lost(), signal });
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      if (problem.code === "not_found") forget(this.kind.name);
      this.view.failed(problem);
    }
  }

  /** @param {import("./jobs.js").Job} job */
  change(job) {
    if (isOver(job)) this.end(job);
    else this.view.update(job);
  }

  /** @param {import("./jobs.js").Job} job */
  async end(job) {
    this.shown = job.id;
    clear(this.result);
    if (job.state === "cancelled") this.view.ended("Cancelled.");
    else if (job.state === "failed") this.view.failed(new Problem(500, job.error?.code, job.error?.message));
    else await this.showResult(job);
  }

  /** @param {import("./jobs.js").Job} job */
  async showResult(job) {
    try {
      const shown = await this.kind.show(job.result ?? {}, await originalOf(job.id));
      if (this.shown !== job.id) return;
      this.view.clear();
      this.result.replaceChildren(shown);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.view.failed(problem, () => this.end(job));
    }
  }

  async cancel() {
    if (this.uploading) {
      this.uploading.abort();
      this.view.ended("Cancelled.");
      return;
    }
    const id = remembered(this.kind.name);
    if (!id) return;
    this.view.cancelling();
    try {
      await cancel(id);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.view.failed(problem);
    }
  }
}

/** @type {JobTab[]} */
const all = [];

/** @param {Kind} kind */
export function addJobTab(kind) {
  all.push(new JobTab(kind));
}

/** Leaving the page during an upload loses it: have the browser ask first. */
export function guardUploads() {
  addEventListener("beforeunload", (event) => {
    if (all.some((tab) => tab.uploading)) event.preventDefault();
  });
}

/**
 * The file chosen in a form.
 * @param {HTMLFormElement} form
 * @returns {File | null}
 */
export const fileOf = (form) => /** @type {HTMLInputElement} */ (one("[type=file]", form)).files?.[0] ?? null;

/**
 * The number entered, or null.
 * @param {HTMLInputElement} input
 */
export const numberOf = (input) => (input.value === "" ? null : input.valueAsNumber);
