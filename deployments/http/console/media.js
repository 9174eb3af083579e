/** Pictures, sounds and videos on the page. */

import { call } from "./api.js";
import { el } from "./dom.js";
import { currentKey } from "./keys.js";

/**
 * Where the page itself may fetch a result.
 * An absolute address carries its own signature. A relative one wants the key, which an element's `src` cannot send:
 * it is fetched as a blob then.
 * @param {string} address as the server gives it
 * @returns {Promise<string>}
 */
export async function sourceOf(address) {
  if (/^https?:/.test(address)) return address;
  const path = `/${address.replace(/^\/+/, "")}`;
  if (!currentKey()) return path;
  return URL.createObjectURL(await (await call(path)).blob());
}

/**
 * A picture or video with its caption.
 * @param {HTMLElement} media
 * @param {...(string | Node | null)} caption
 */
export const figure = (media, ...caption) => el("figure", {}, media, el("figcaption", {}, ...caption));

/** @param {string} src @param {string} alt */
export const picture = (src, alt) => /** @type {HTMLImageElement} */ (el("img", { src, alt }));

/**
 * A player; where the browser cannot play the file, it says so instead.
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
 * Two pictures of one thing, with a line to drag between them; the arrow keys move it too.
 * @param {string} before
 * @param {string} after
 */
export function compare(before, after) {
  const range = /** @type {HTMLInputElement} */ (
    el("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "How much of the original is shown, in percent" })
  );
  const box = el(
    "div",
    { class: "compare" },
    picture(after, "Enhanced"),
    picture(before, "Original"),
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
 * A video that was made, beside the one that it was made of.
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
