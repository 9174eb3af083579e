/** Chat: a conversation with streamed answers and the passages they are based on. */

import { events } from "../api.js";
import { addCategory } from "../categories.js";
import { addCurl } from "../curl-box.js";
import { el, one } from "../dom.js";
import { Problem, problemBox, problemOf } from "../problem.js";
import { messageOf } from "../request.js";

/**
 * @typedef {{document: string, page: number | null, passage: string, score: number}} Source
 * @typedef {{role: "user" | "assistant", content: string, sources?: Source[]}} Turn
 */

const STORED = "sensorium.conversation";

const panel = one("#panel-chat");
const form = /** @type {HTMLFormElement} */ (one("form", panel));
const log = one(".log", panel);
const sendButton = one("[type=submit]", form);
const stopButton = one("[data-do=stop]", form);

/** @type {Turn[]} */
let turns = JSON.parse(localStorage.getItem(STORED) ?? "[]");
/** @type {AbortController | null} */
let answering = null;

/** @param {Turn[]} conversation */
function describe(conversation) {
  const category = form.elements.category.value.trim();
  const messages = conversation.map(({ role, content }) => ({ role, content }));
  return { path: "/v1/chat/completions", json: { messages, stream: true, ...(category && { category }) } };
}

/** The conversation with the message being written. */
const asWritten = () => [...turns, { role: "user", content: form.elements.text.value.trim() || "Hello" }];

/** @param {Turn} turn */
function bubble(turn) {
  const text = el("p", { class: "said" }, turn.content);
  const node = el("article", { class: `turn ${turn.role}` }, el("h2", {}, turn.role === "user" ? "You" : "Sensorium"), text);
  if (turn.sources) node.append(sources(turn.sources));
  return { node, text };
}

/** @param {Source[]} found */
function sources(found) {
  if (!found.length) return el("p", { class: "hint" }, "No passage of this category answers this question.");
  return el(
    "div",
    { class: "sources" },
    ...found.map((source) =>
      el(
        "blockquote",
        {},
        el("p", {}, source.passage),
        el("footer", {}, el("cite", {}, source.document), source.page ? `, page ${source.page}` : "", `, score ${source.score.toFixed(2)}`),
      ),
    ),
  );
}

function save() {
  localStorage.setItem(STORED, JSON.stringify(turns));
}

function drawAll() {
  log.replaceChildren(...turns.map((turn) => bubble(turn).node));
  log.scrollTop = log.scrollHeight;
}

/** Get the answer to the conversation so far. */
async function answer() {
  const stopping = (answering = new AbortController());
  const turn = /** @type {Turn} */ ({ role: "assistant", content: "" });
  const { node, text } = bubble(turn);
  node.classList.add("coming");
  log.append(node);
  showBusy(true);
  try {
    await receive(turn, text, stopping.signal);
  } catch (problem) {
    if (!stopping.signal.aborted) {
      if (!(problem instanceof Problem)) throw problem;
      const box = problemBox(problem, () => {
        box.remove();
        answer();
      });
      node.replaceWith(box);
      scroll();
      return;
    }
    text.append(el("span", { class: "hint" }, turn.content ? " (stopped)" : "Stopped."));
  } finally {
    answering = null;
    node.classList.remove("coming");
    showBusy(false);
  }
  if (turn.content) turns.push(turn);
  if (turn.sources) node.append(sources(turn.sources));
  save();
  scroll();
}

/**
 * @param {Turn} turn
 * @param {HTMLElement} text
 * @param {AbortSignal} signal
 */
async function receive(turn, text, signal) {
  const description = describe(turns);
  for await (const event of events(description.path, { ...messageOf(description), signal })) {
    if (event.error) throw problemOf(0, JSON.stringify(event), null);
    const piece = event.choices?.[0]?.delta?.content ?? "";
    turn.content += piece;
    text.append(piece);
    if (event.sources) turn.sources = event.sources;
    if (piece) scroll();
  }
}

/** Stay at the end, unless the user has scrolled up to read. */
function scroll() {
  if (log.scrollHeight - log.scrollTop - log.clientHeight < 160) log.scrollTop = log.scrollHeight;
}

/** @param {boolean} busy */
function showBusy(busy) {
  log.setAttribute("aria-busy", String(busy));
  sendButton.disabled = busy;
  stopButton.hidden = !busy;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const content = form.elements.text.value.trim();
  if (!content || answering) return;
  addCategory(form.elements.category.value.trim());
  one(".problem", log)?.remove();
  turns.push({ role: "user", content });
  log.append(bubble(turns[turns.length - 1]).node);
  log.scrollTop = log.scrollHeight;
  form.elements.text.value = "";
  save();
  answer();
});

form.elements.text.addEventListener("keydown", (event) => {
  // Enter also confirms a word in input methods, as for Chinese
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

stopButton.addEventListener("click", () => answering?.abort());

one("[data-do=new]", form).addEventListener("click", () => {
  answering?.abort();
  turns = [];
  save();
  drawAll();
  form.elements.text.focus();
});

addCurl(panel, () => describe(asWritten()));
drawAll();
