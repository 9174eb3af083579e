/** The categories used in this browser, suggested in the category fields. */

import { el, one } from "./dom.js";

const STORED = "sensorium.categories";
const MAX_KEPT = 50;

/** @returns {string[]} */
const known = () => JSON.parse(localStorage.getItem(STORED) ?? "[]");

/** @param {string} category */
export function addCategory(category) {
  if (!category) return;
  const all = [category, ...known().filter((each) => each !== category)].slice(0, MAX_KEPT);
  localStorage.setItem(STORED, JSON.stringify(all));
  showCategories();
}

/** Fill the list that the fields suggest from. */
export function showCategories() {
  one("#categories").replaceChildren(...known().map((value) => el("option", { value })));
}
