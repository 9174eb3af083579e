/** The categories that this browser has met, offered where one is asked for. */

import { el, one } from "./dom.js";

const STORED = "sensorium.categories";
const MOST_KEPT = 50;

/** @returns {string[]} */
const known = () => JSON.parse(localStorage.getItem(STORED) ?? "[]");

/** @param {string} category */
export function addCategory(category) {
  if (!category) return;
  const all = [category, ...known().filter((each) => each !== category)].slice(0, MOST_KEPT);
  localStorage.setItem(STORED, JSON.stringify(all));
  showCategories();
}

/** Fill the list that the fields point at. */
export function showCategories() {
  one("#categories").replaceChildren(...known().map((value) => el("option", { value })));
}
