/** The API key: asked for once, kept in this browser, sent to this server. */

import { one } from "./dom.js";

const STORED = "sensorium.key";

/** @type {Promise<boolean> | null} */
let asking = null;

/** The key in use, or an empty string. */
export const currentKey = () => localStorage.getItem(STORED) ?? "";

/** @returns {Record<string, string>} */
export const keyHeaders = () => (currentKey() ? { Authorization: `Bearer ${currentKey()}` } : {});

/**
 * Ask for a key after a 401. Calls refused at the same time share one dialog.
 * @param {string} refused the key that was sent
 * @returns {Promise<boolean>} whether there is another key to try
 */
export function askForKey(refused) {
  if (currentKey() !== refused) return Promise.resolve(true);
  asking ??= openDialog(
    refused ? "The server does not accept this key. Enter another." : "This server requires an API key. Ask its administrator for one.",
  ).finally(() => {
    asking = null;
  });
  return asking;
}

/** Let the button at the top change or forget the key. */
export function setUpKeyButton() {
  if (currentKey()) showKeyIsRequired();
  one("#key-button").addEventListener("click", async () => {
    if (await openDialog("The API key that this browser sends.")) location.reload();
  });
}

/** A link cannot send a key: the API reference would only answer 401. */
function showKeyIsRequired() {
  one("#key-button").hidden = false;
  one("#docs-link").hidden = true;
}

/**
 * @param {string} why
 * @returns {Promise<boolean>} whether the key was changed
 */
function openDialog(why) {
  const dialog = one("#key-dialog");
  const form = one("form", dialog);
  one(".key-why", dialog).textContent = why;
  one("[data-do=forget]", dialog).hidden = !currentKey();
  showKeyIsRequired();
  form.reset();
  return new Promise((resolve) => {
    const done = (/** @type {boolean} */ changed) => {
      listening.abort();
      dialog.close();
      resolve(changed);
    };
    const listening = new AbortController();
    const { signal } = listening;
    form.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        localStorage.setItem(STORED, form.elements.key.value.trim());
        done(true);
      },
      { signal },
    );
    one("[data-do=forget]", dialog).addEventListener("click", () => (localStorage.removeItem(STORED), done(true)), { signal });
    one("[data-do=cancel]", dialog).addEventListener("click", () => done(false), { signal });
    dialog.addEventListener("cancel", () => done(false), { signal });
    dialog.showModal();
  });
}
