/** Choosing files: by the button or by dropping them anywhere on the tab. */

import { clear, el, one } from "./dom.js";
import { img } from "./media.js";
import { bytes } from "./words.js";

/**
 * Accept files that are chosen or dropped.
 * @param {HTMLElement} panel
 * @param {(files: File[]) => void} onfiles
 */
export function takeFiles(panel, onfiles) {
  const input = /** @type {HTMLInputElement} */ (one(".drop input", panel));
  const zone = one(".drop", panel);
  input.addEventListener("change", () => onfiles([...(input.files ?? [])]));
  panel.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  panel.addEventListener("dragleave", (event) => {
    if (!panel.contains(/** @type {Node | null} */ (event.relatedTarget))) zone.classList.remove("over");
  });
  panel.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const dropped = [...(event.dataTransfer?.files ?? [])];
    if (!dropped.length) return;
    const kept = new DataTransfer();
    for (const file of input.multiple ? dropped : dropped.slice(0, 1)) kept.items.add(file);
    input.files = kept.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}

/** A file dropped outside the panels must not replace the page. */
export function refuseStrayDrops() {
  for (const type of ["dragover", "drop"]) window.addEventListener(type, (event) => event.preventDefault());
}

/**
 * Show the chosen file.
 * @param {HTMLElement} panel
 * @param {File | null} file
 */
export function showChosen(panel, file) {
  const zone = one(".drop", panel);
  const old = one(".chosen", zone);
  if (old) {
    clear(old);
    old.remove();
  }
  zone.classList.toggle("filled", file !== null);
  if (!file) return;
  zone.append(el("div", { class: "chosen" }, preview(file), el("div", {}, el("b", {}, file.name), el("small", {}, bytes(file.size)))));
}

/** @param {File} file */
function preview(file) {
  const [kind] = file.type.split("/");
  if (kind !== "image" && kind !== "video") return null;
  const src = URL.createObjectURL(file);
  const shown = kind === "image" ? img(src, "") : el("video", { src, preload: "metadata", "aria-hidden": "true" });
  shown.addEventListener("error", () => shown.remove()); // a format that only the server reads
  return shown;
}
