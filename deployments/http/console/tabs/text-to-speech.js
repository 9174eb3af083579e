/** Text to speech: a text → a player, and the MP3. */

import { call } from "../api.js";
import { addCurl } from "../curl-box.js";
import { clear, el, one } from "../dom.js";
import { numberOf } from "../job-tab.js";
import { download } from "../media.js";
import { Problem, problemBox } from "../problem.js";
import { addressOf } from "../request.js";
import { bytes } from "../words.js";

const panel = one("#panel-text-to-speech");
const form = /** @type {HTMLFormElement} */ (one("form", panel));
const result = one(".result", panel);
const button = one("[type=submit]", form);

function describe() {
  const { text, voice, language, speed } = form.elements;
  const query = { text: text.value, voice: voice.value.trim(), language: language.value.trim(), speed: numberOf(speed) };
  return { method: /** @type {"GET"} */ ("GET"), path: "/v1/tts", query, output: "speech.mp3" };
}

async function speak() {
  button.disabled = true;
  clear(result);
  result.append(el("p", { class: "hint working" }, "Speaking …"));
  try {
    const speech = await (await call(addressOf(describe()))).blob();
    const src = URL.createObjectURL(speech);
    const player = el("audio", { controls: true, src, "aria-label": "The speech" });
    result.replaceChildren(el("div", { class: "card row" }, player, download(src, "speech.mp3"), el("small", {}, bytes(speech.size))));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    result.replaceChildren(problemBox(problem, speak));
  } finally {
    button.disabled = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  speak();
});
addCurl(panel, describe);
