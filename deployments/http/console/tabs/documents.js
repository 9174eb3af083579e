/** Documents: add, list, delete. */

import { json, send } from "../api.js";
import { addCategory } from "../categories.js";
import { addCurl } from "../curl-box.js";
import { el, one } from "../dom.js";
import { takeFiles } from "../pick.js";
import { Problem, problemBox } from "../problem.js";
import { bytes, moment, plural } from "../words.js";

/** @typedef {{id: string, name: string, pages: number, passages: number, bytes: number, added_at: number, not_read: string[]}} Document */

const panel = one("#panel-documents");
const form = /** @type {HTMLFormElement} */ (one("form", panel));
const uploads = one(".uploads", panel);
const place = one(".documents", panel);

const category = () => form.elements.category.value.trim();

/** @param {File | null} file */
const describe = (file) => ({
  path: "/uploadFile/uploadLearningFile",
  query: { category: category() },
  form: { field: "fileToUpload", file, example: "handbook.pdf" },
});

/** @param {string} path @param {Record<string, string>} query */
const withQuery = (path, query) => `${path}?${new URLSearchParams(query)}`;

/** One after the other: indexing is bound by the server's processor, not by the network. @param {File[]} files */
async function upload(files) {
  if (!form.reportValidity()) return;
  addCategory(category());
  const waiting = files.map((file) => ({ description: describe(file), row: uploadRow(file) }));
  for (const { description, row } of waiting) await uploadOne(description, row);
  form.elements.file.value = "";
}

/** @param {File} file */
function uploadRow(file) {
  const state = el("span", { class: "upload-state" }, "Waiting");
  const fill = el("div", { class: "fill" });
  const node = el("div", { class: "upload" }, el("b", {}, file.name), state, el("div", { class: "bar" }, fill));
  uploads.append(node);
  return { node, state, fill };
}

async function uploadOne(description, row) {
  const onprogress = (/** @type {number} */ fraction) => {
    row.fill.style.width = `${fraction * 100}%`;
    row.state.textContent = fraction < 1 ? `Uploading, ${Math.floor(fraction * 100)} %` : "Indexing";
  };
  onprogress(0);
  try {
    await send(description, { onprogress });
    row.node.remove();
    await list();
    markNew(description.form.file.name);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    row.state.textContent = "Not added";
    row.fill.parentElement.replaceWith(
      problemBox(problem, () => {
        row.node.remove();
        uploadOne(description, uploadRow(description.form.file));
      }),
    );
  }
}

/** @param {string} name */
function markNew(name) {
  const rows = [...place.querySelectorAll("tbody tr")];
  rows.find((row) => row.dataset.name === name)?.classList.add("new");
  uploads.append(el("p", { class: "done", role: "status" }, `${name} is indexed: ask about it in Chat, under “${category()}”.`));
}

/** Show the category's documents. */
async function list() {
  if (!category()) {
    place.replaceChildren();
    return;
  }
  try {
    const { data } = await json(withQuery("/uploadFile/learningFiles", { category: category() }));
    place.replaceChildren(data.length ? table(data) : el("p", { class: "empty" }, `There are no documents under “${category()}” yet.`));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    place.replaceChildren(problemBox(problem, list));
  }
}

/** @param {Document[]} documents */
function table(documents) {
  const head = ["Name", "Size", "Pages", "Added"].map((name) => el("th", { scope: "col" }, name));
  return el(
    "table",
    {},
    el("caption", {}, `${plural(documents.length, "document")} under “${category()}”`),
    el("thead", {}, el("tr", {}, ...head, el("th", { scope: "col" }, el("span", { class: "visually-hidden" }, "Delete")))),
    el("tbody", {}, ...documents.map(tableRow)),
  );
}

/** @param {Document} document */
function tableRow(document) {
  return el(
    "tr",
    { "data-name": document.name },
    el("th", { scope: "row" }, document.name, ...notRead(document)),
    el("td", { "data-label": "Size" }, bytes(document.bytes)),
    el("td", { "data-label": "Pages" }, document.pages || "–"),
    el("td", { "data-label": "Added" }, moment(document.added_at)),
    el("td", {}, deleteButton(document)),
  );
}

/** @param {Document} document */
function notRead({ not_read: parts }) {
  return parts.length ? [el("small", {}, `Not read: ${parts.join(", ")}`)] : [];
}

/** The first press asks, the second deletes; leaving the button withdraws the question. @param {Document} document */
function deleteButton(document) {
  const words = "Delete";
  const button = el("button", { type: "button", class: "small", "aria-label": `Delete ${document.name}` }, words);
  button.addEventListener("click", () => {
    if (button.classList.contains("sure")) {
      remove(document);
      return;
    }
    button.classList.add("sure");
    button.textContent = "Really delete?";
    button.setAttribute("aria-label", `Really delete ${document.name}?`);
  });
  button.addEventListener("blur", () => {
    button.classList.remove("sure");
    button.textContent = words;
    button.setAttribute("aria-label", `Delete ${document.name}`);
  });
  return button;
}

/** @param {Document} document */
async function remove(document) {
  try {
    await json(withQuery("/uploadFile/learningFile", { category: category(), id: document.id }), { method: "DELETE" });
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.code !== "not_found") {
      place.prepend(problemBox(problem));
      return;
    }
  }
  one(".done", uploads)?.remove();
  await list();
}

takeFiles(panel, upload);
addCurl(panel, () => describe(form.elements.file.files?.[0] ?? null));
form.addEventListener("submit", (event) => event.preventDefault());
form.elements.category.addEventListener("change", () => {
  uploads.replaceChildren();
  list();
});
panel.addEventListener("shown", list);
