/** Images and videos on the page. */

import { el } from "./dom.js";

/**
 * A URL that an element's `src` can load.
 * @param {string} address as the server gives it: an absolute URL, or a path relative to the server
 */
export const sourceOf = (address) => (/^https?:/.test(address) ? address : `/${address.replace(/^\/+/, "")}`);

/**
 * An image or video with its caption.
 * @param {HTMLElement} media
 * @param {...(string | Node | null)} caption
 */
export const figure = (media, ...caption) => el("figure", {}, media, el("figcaption", {}, ...caption));

/** @param {string} src @param {string} alt */
export const img = (src, alt) => /** @type {HTMLImageElement} */ (el("img", { src, alt }));

/**
 * A video player, replaced by a note if the browser cannot play the file.
 * @param {string} src
 * @param {string} label
 */
export function player(src, label) {
  const video = el("video", { src, controls: true, playsinline: true, preload: "metadata", "aria-label": label });
  video.addEventListener("error", () => {
    video.replaceWith(el("p", { class: "unplayable" }, "This browser cannot play this file’s format. Sensorium may still read it."));
  });
  return video;
}

/** @param {string} src @param {string} name */
export const download = (src, name, text = "Download") =>
  el("a", { class: "button", href: src, download: name, target: "_blank", rel: "noopener" }, text);

/**
 * Two versions of an image with a divider to drag between them; the arrow keys move it too.
 * @param {string} before
 * @param {string} after
 */
export function compare(before, after) {
  const range = /** @type {HTMLInputElement} */ (
    el("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Share of the original shown, in percent" })
  );
  const box = el(
    "div",
    { class: "compare" },
    img(after, "Enhanced"),
    img(before, "Original"),
    el("span", { class: "compare-line" }),
    el("span", { class: "compare-tag left" }, "Original"),
    el("span", { class: "compare-tag right" }, "Enhanced"),
    range,
  );
  const move = () => box.style.setProperty("--shown", `${range.value}%`);
  range.addEventListener("input", move);
  move();
  return box;
}

/**
 * A resulting video beside its original.
 * @param {File | null} original
 * @param {string} src
 * @param {...(string | Node)} caption
 */
export const besideOriginal = (original, src, ...caption) =>
  el(
    "div",
    { class: "pair" },
    original && figure(player(URL.createObjectURL(original), "The original"), "Original"),
    figure(player(src, "The result"), ...caption),
  );
