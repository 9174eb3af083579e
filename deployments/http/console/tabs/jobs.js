/** Jobs: all jobs of the server, live, a page at a time. */

import { el, one } from "../dom.js";
import { cancel, isOver, list, remember, TAB_OF_ROUTE } from "../jobs.js";
import { Problem, problemBox } from "../problem.js";
import { duration, moment } from "../words.js";

const POLL_INTERVAL_MS = 1_500;
const STATES = { queued: "Queued", running: "Running", succeeded: "Done", failed: "Failed", cancelled: "Cancelled" };

const panel = one("#panel-jobs");
const place = one(".jobs", panel);
const newer = one("[data-do=newer]", panel);
const older = one("[data-do=older]", panel);

/** @type {(string | null)[]} the id that each page up to the shown one follows */
let pages = [null];
/** @type {string | null} where the next page begins */
let next = null;
let timer = 0;

/** @param {import("../jobs.js").Job} job */
const tabOf = (job) => document.getElementById(`tab-${TAB_OF_ROUTE[job.route]}`);

async function refresh() {
  clearTimeout(timer);
  const page = pages[pages.length - 1];
  try {
    const { data, has_more: hasMore } = await list(page);
    if (page !== pages[pages.length - 1] || panel.hidden) return;
    next = hasMore ? data[data.length - 1].id : null;
    draw(data);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    place.replaceChildren(problemBox(problem, refresh));
    if (!problem.isPassing) return;
  }
  timer = setTimeout(refresh, POLL_INTERVAL_MS);
}

/** Update only what has changed: a button that has the focus, or is being pressed, must stay. @param {import("../jobs.js").Job[]} jobs */
function draw(jobs) {
  newer.disabled = pages.length === 1;
  older.disabled = next === null;
  if (!jobs.length) {
    place.replaceChildren(el("p", { class: "empty" }, "There are no jobs yet. Images and videos from the other tabs appear here."));
    return;
  }
  const old = new Map([...place.querySelectorAll(".job-row")].map((row) => [row.dataset.id, row]));
  const rows = jobs.map((job) => {
    const known = JSON.stringify([job.state, job.progress, job.stage]);
    const before = old.get(job.id);
    if (before?.dataset.known === known) return before;
    const fresh = row(job);
    fresh.dataset.known = known;
    if (before?.dataset.state !== job.state) return fresh;
    one(".job-detail", before).replaceWith(one(".job-detail", fresh));
    before.dataset.known = known;
    return before;
  });
  const shown = [...place.children];
  if (rows.length !== shown.length || rows.some((each, index) => each !== shown[index])) place.replaceChildren(...rows);
}

/** @param {import("../jobs.js").Job} job */
function row(job) {
  const name = tabOf(job)?.textContent ?? job.route;
  return el(
    "article",
    { class: "job-row", "data-id": job.id, "data-state": job.state, "aria-label": `${name}, ${STATES[job.state]}` },
    el("div", { class: "row" }, el("b", {}, name), el("span", { class: "badge" }, STATES[job.state]), el("small", {}, moment(job.created_at))),
    actions(job, name),
    detail(job),
  );
}

/** @param {import("../jobs.js").Job} job */
function detail(job) {
  if (job.state === "failed") return el("p", { class: "job-detail reason" }, job.error?.message);
  if (job.state === "running") {
    const percent = Math.floor(job.progress * 100);
    const fill = el("div", { class: "fill" });
    fill.style.width = `${percent}%`;
    const bar = el("div", { class: "bar", role: "progressbar", "aria-label": "Progress", "aria-valuenow": percent }, fill);
    return el("div", { class: "job-detail" }, el("small", {}, `${job.stage ?? "working"}, ${percent} %`), bar);
  }
  const summary = [job.engine && `by ${job.engine}`, job.started_at && job.ended_at && `took ${duration(job.ended_at - job.started_at)}`];
  return el("p", { class: "job-detail hint" }, summary.filter(Boolean).join(", "));
}

/** @param {import("../jobs.js").Job} job @param {string} name */
function actions(job, name) {
  const press = (words, onclick) => el("button", { type: "button", class: "small", "aria-label": `${words}: ${name}`, onclick }, words);
  const open = tabOf(job) && job.state !== "cancelled" && press("Open", () => openIn(TAB_OF_ROUTE[job.route], job.id));
  const stop = !isOver(job) && press("Cancel", (event) => stopJob(event.target, job.id));
  return el("span", { class: "actions" }, stop, open);
}

/** @param {string} tab @param {string} id */
function openIn(tab, id) {
  remember(tab, id);
  location.hash = tab;
}

/** @param {HTMLButtonElement} button @param {string} id */
async function stopJob(button, id) {
  button.disabled = true;
  try {
    await cancel(id);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    button.disabled = false;
    button.closest(".job-row").append(problemBox(problem));
  }
  await refresh();
}

older.addEventListener("click", () => {
  if (next) pages.push(next);
  refresh();
});
newer.addEventListener("click", () => {
  pages.pop();
  refresh();
});
panel.addEventListener("shown", () => {
  pages = [null];
  refresh();
});
panel.addEventListener("hidden", () => clearTimeout(timer));
