/** Account: who uses the console, what they have used, and for administrators the keys of all. */

import { json } from "../api.js";
import { el, one } from "../dom.js";
import { Problem, problemBox } from "../problem.js";
import { session, signOut } from "../session.js";
import { bytes, duration, moment } from "../words.js";

const panel = one("#panel-account");
const keys = one(".keys", panel);
const form = one("form", keys);
const made = one(".new-key", keys);

/** @param {string} name */
const address = (name) => `/v1/principals/${encodeURIComponent(name)}`;

function showWho() {
  const who = session();
  one(".who", panel).replaceChildren(...(who ? ["You are ", el("b", {}, who.principal), who.signed_in ? "." : ": this server asks for no key."] : []));
  one("[data-do=sign-out]", panel).hidden = !who?.signed_in;
  keys.hidden = !who?.scopes.includes("admin");
  if (!panel.hidden) refresh();
}

/** @param {Element} place @param {() => Promise<Node>} make its content */
async function fill(place, make) {
  try {
    place.replaceChildren(await make());
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    place.replaceChildren(problemBox(problem, () => fill(place, make)));
  }
}

function refresh() {
  fill(one(".usage", panel), usageTable);
  if (!keys.hidden) fill(one(".key-list", keys), keyTable);
}

async function usageTable() {
  const { data } = await json("/v1/usage");
  if (!data.length) return el("p", { class: "empty" }, "Nothing has been used in the last 30 days.");
  const rows = data.reverse().map((it) => [
    it.date,
    it.principal,
    it.calls,
    it.tokens,
    it.audio_s ? duration(it.audio_s) : 0,
    it.images,
    it.frames,
    bytes(it.bytes),
  ]);
  return table(["Day", "Who", "Calls", "Tokens", "Audio", "Images", "Frames", "Bytes"], rows);
}

async function keyTable() {
  const { data } = await json("/v1/principals");
  if (!data.length) return el("p", { class: "empty" }, "There are no keys yet. Once there is one, every call needs a key.");
  const rows = data.map((it) => [
    it.name,
    it.revoked ? "revoked" : it.key_prefix ? `${it.key_prefix}…` : "token",
    it.scopes.join(", "),
    it.expires_at ? moment(it.expires_at) : "never",
    el("span", { class: "actions" }, press("New key", it.name, rotate), !it.revoked && press("Revoke", it.name, revoke)),
  ]);
  return table(["Name", "Key", "Scopes", "Expires", "Change"], rows);
}

/** @param {string[]} head @param {(string | number | Node)[][]} rows the first cell of each is its head */
function table(head, rows) {
  const labeled = (/** @type {(string | number | Node)[]} */ [first, ...others]) =>
    el("tr", {}, el("th", { scope: "row" }, first), ...others.map((cell, index) => el("td", { "data-label": head[index + 1] }, cell)));
  const columns = head.map((name) => el("th", { scope: "col" }, name));
  const whole = el("table", {}, el("thead", {}, el("tr", {}, ...columns)), el("tbody", {}, ...rows.map(labeled)));
  return el("div", { class: "scroll" }, whole);
}

/** @param {string} words @param {string} name @param {(name: string) => Promise<void>} change */
const press = (words, name, change) =>
  el("button", { type: "button", class: "small", "aria-label": `${words}: ${name}`, onclick: () => attempt(() => change(name)) }, words);

/** @param {() => Promise<void>} change */
async function attempt(change) {
  try {
    made.replaceChildren();
    await change();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    made.replaceChildren(problemBox(problem));
  }
  refresh();
}

/** @param {string} name */
const rotate = async (name) => showKey(await json(`${address(name)}/key`, { method: "POST" }));

/** @param {string} name */
async function revoke(name) {
  await json(address(name), { method: "DELETE" });
}

async function add() {
  const given = new FormData(form);
  const body = { name: String(given.get("name")).trim() };
  const scopes = String(given.get("scopes")).split(/[\s,]+/).filter(Boolean);
  if (scopes.length) body.scopes = scopes;
  for (const limit of ["requests_per_minute", "concurrent", "queued_jobs", "bytes_stored"]) {
    if (given.get(limit)) body[limit] = Number(given.get(limit));
  }
  if (given.get("expires")) body.expires_at = Date.parse(String(given.get("expires"))) / 1000;
  const headers = { "Content-Type": "application/json" };
  showKey(await json("/v1/principals", { method: "POST", headers, body: JSON.stringify(body) }));
  form.reset();
}

/** @param {{name: string, key: string}} principal */
function showKey({ name, key }) {
  const words = `The key of ${name}. It is shown only now: keep it where nobody else reads it.`;
  made.replaceChildren(el("div", { class: "card" }, el("p", {}, words), el("pre", { tabindex: 0 }, el("code", {}, key))));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(add);
});
one("[data-do=sign-out]", panel).addEventListener("click", signOut);
panel.addEventListener("shown", showWho);
addEventListener("session", showWho);
