/** Each capability's engine, model and state, beside its form and as a dot on its tab. */

import { json } from "./api.js";
import { el, one } from "./dom.js";
import { Problem } from "./problem.js";

const QUIET_MS = 15_000;
const BUSY_MS = 2_000;

const STATES = {
  ready: "Ready",
  cold: "Cold: starts with the next call",
  starting: "Starting",
  loading: "Loading",
  failing: "Failing",
};

/** @type {Map<string, {description: string, license: string, embedded: boolean}>} */
const cards = new Map();

/** Poll now, and then for as long as the page is visible. */
export async function watchCapabilities() {
  let pauseMs = QUIET_MS;
  if (!document.hidden) {
    const states = await look();
    if (!states || Object.values(states).some((it) => ["starting", "loading"].includes(it.state))) pauseMs = BUSY_MS;
  }
  setTimeout(watchCapabilities, pauseMs);
}

/** @returns {Promise<Record<string, any> | null>} null if the server does not answer */
async function look() {
  const capabilities = await readiness();
  const banner = one("#banner");
  banner.hidden = capabilities !== null;
  if (!capabilities) {
    banner.textContent = navigator.onLine ? "Sensorium is not responding. Retrying every few seconds." : "This device is offline.";
    return null;
  }
  await readCards(capabilities);
  for (const place of document.querySelectorAll("[data-capability]")) {
    const it = capabilities[place.dataset.capability];
    if (it) show(place, it);
  }
  return capabilities;
}

async function readiness() {
  try {
    const response = await fetch("/readyz"); // 503 while capabilities start, with the same body
    return (await response.json()).capabilities ?? null;
  } catch {
    return null; // no answer, or one of a proxy in between
  }
}

/** The engines' descriptions, read again when an engine has changed. */
async function readCards(capabilities) {
  if (Object.values(capabilities).every((it) => cards.has(cardKey(it)))) return;
  try {
    const { data } = await json("/v1/models");
    for (const model of data) cards.set(cardKey({ engine: model.engine, model: model.id }), model);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem; // without a key, states are shown without descriptions
  }
}

/** @param {{engine: string, model: string}} it */
const cardKey = (it) => JSON.stringify([it.engine, it.model]);

/**
 * @param {HTMLElement} place
 * @param {{state: string, engine: string, model: string, reason: string, load_s: number}} it
 */
function show(place, it) {
  const tab = document.getElementById(place.closest("section").id.replace("panel-", "tab-"));
  tab.dataset.state = it.state;
  const card = cards.get(cardKey(it));
  const loading = it.state === "loading" && it.load_s ? ` for ${Math.round(it.load_s)} s` : "";
  place.dataset.state = it.state;
  place.replaceChildren(
    el("span", { class: "state" }, STATES[it.state] + loading),
    el("span", {}, "Engine ", el("b", {}, it.engine)),
    it.model === it.engine ? "" : el("span", {}, "Model ", el("b", {}, it.model)),
    card?.embedded ? el("span", { class: "badge", title: "Needs no downloaded weights, and does not compete with real models." }, "embedded") : "",
    card ? el("p", {}, card.description) : "",
    it.reason ? el("p", { class: "reason" }, it.reason) : "",
  );
}
