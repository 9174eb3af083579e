/** Making elements. Text becomes text nodes: nothing in the console parses HTML. */

/** @typedef {string | number | Node | null | undefined | false} Child */

/**
 * Make an element.
 * @param {string} tag
 * @param {Record<string, unknown>} [props] attributes; `onclick` and the like are listeners; false, null and undefined are left out
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child !== false && child !== null && child !== undefined).map(asNode));
  return node;
}

/** @param {Exclude<Child, false | null | undefined>} child */
const asNode = (child) => (child instanceof Node ? child : String(child));

/**
 * The first element that matches; the page's own markup guarantees one.
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {any}
 */
export const one = (selector, root = document) => root.querySelector(selector);

/**
 * Empty an element, and release the blobs shown in it.
 * @param {Element} place
 */
export function clear(place) {
  for (const node of place.querySelectorAll("[src^='blob:'], [href^='blob:']")) {
    URL.revokeObjectURL(node.getAttribute("src") ?? node.getAttribute("href") ?? "");
  }
  place.replaceChildren();
}
