/** Speech to text: a recording or an audio file → a transcript. */

import { json } from "../api.js";
import { addCurl, copy } from "../curl-box.js";
import { clear, el, one } from "../dom.js";
import { takeFiles } from "../pick.js";
import { Problem, problemBox } from "../problem.js";
import { addressOf, messageOf } from "../request.js";
import { clock } from "../words.js";

const panel = one("#panel-speech-to-text");
const form = /** @type {HTMLFormElement} */ (one("form", panel));
const result = one(".result", panel);
const button = one("[data-do=record]", form);
const status = one(".recording", form);

/** @type {File | null} what was recognized last */
let latest = null;
/** @type {MediaRecorder | null} */
let recorder = null;

const describe = () => ({
  path: "/v1/asr",
  query: { language: form.elements.language.value.trim() },
  binary: { file: latest, example: "speech.wav" },
});

/** @param {File} file */
async function recognize(file) {
  latest = file;
  form.dispatchEvent(new Event("change")); // the command names the file
  const source = file.type.startsWith("video/") ? "video" : "audio";
  const player = el(source, { controls: true, src: URL.createObjectURL(file), "aria-label": file.name });
  const text = el("div", { class: "transcript" }, el("p", { class: "hint working" }, "Transcribing …"));
  clear(result);
  result.append(el("div", { class: "card" }, el("b", { class: "name" }, file.name), player, text));
  const description = describe();
  try {
    const answer = await json(addressOf(description), messageOf(description));
    text.replaceChildren(...transcript(answer.result));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    text.replaceChildren(problemBox(problem, () => recognize(file)));
  }
}

/** @param {string} words */
function transcript(words) {
  if (!words) return [el("p", { class: "hint" }, "No speech was found in it.")];
  const said = el("p", { class: "said" }, words);
  const copied = el("span", { class: "hint", role: "status" });
  const copyButton = el("button", { type: "button", class: "small", onclick: () => copy(said, copied) }, "Copy");
  return [said, el("div", { class: "row" }, copyButton, copied)];
}

async function record() {
  if (!navigator.mediaDevices) {
    status.textContent = "Browsers allow the microphone only on pages served over HTTPS or from this machine.";
    return;
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    listen(stream);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    status.textContent =
      error.name === "NotAllowedError"
        ? "The microphone is blocked for this page: allow it in the browser’s address bar."
        : "No usable microphone was found.";
  }
}

/** @param {MediaStream} stream */
function listen(stream) {
  /** @type {Blob[]} */
  const pieces = [];
  const began = Date.now();
  const show = () => {
    status.textContent = `Recording, ${clock((Date.now() - began) / 1000)}`;
  };
  const ticking = setInterval(show, 500);
  recorder = new MediaRecorder(stream);
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.addEventListener("stop", () => {
    clearInterval(ticking);
    for (const track of stream.getTracks()) track.stop();
    const type = recorder.mimeType.split(";")[0];
    recorder = null;
    showRecording(false);
    recognize(new File(pieces, `recording.${type.split("/")[1]}`, { type }));
  });
  recorder.start();
  showRecording(true);
  show();
}

/** @param {boolean} on */
function showRecording(on) {
  button.textContent = on ? "Stop and recognize" : "Record";
  button.classList.toggle("live", on);
  if (!on) status.textContent = "";
}

button.addEventListener("click", () => (recorder ? recorder.stop() : record()));
form.addEventListener("submit", (event) => event.preventDefault());
takeFiles(panel, ([file]) => {
  if (file) recognize(file);
});
addCurl(panel, describe);
