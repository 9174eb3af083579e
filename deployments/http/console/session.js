/** Who uses the console. A key is exchanged for a cookie, which scripts cannot read, and then forgotten. */

import { one } from "./dom.js";

/** @typedef {{principal: string, scopes: string[], signed_in: boolean}} Session */

/** @type {Session | null} */
let current = null;
/** @type {Promise<boolean> | null} */
let asking = null;
let signIns = 0;

/** Who uses the console; null if the server wants a key first. */
export const session = () => current;

/** How often somebody has signed in: a call that was refused before is worth another try. */
export const signInCount = () => signIns;

/** Ask the server who uses the console. Whoever listens on the window for "session" learns of it. */
export async function readSession() {
  try {
    const response = await fetch("/v1/session");
    current = response.ok ? await response.json() : null;
  } catch {
    return; // no answer: the banner says so
  }
  one("#account-link").textContent = current?.signed_in ? current.principal : "Account";
  dispatchEvent(new Event("session"));
}

/**
 * Ask for a key after a 401. Calls refused at the same time share one dialog.
 * @param {number} before `signInCount` when the call was made
 * @returns {Promise<boolean>} whether somebody has signed in since
 */
export function signIn(before) {
  if (signIns !== before) return Promise.resolve(true);
  asking ??= openDialog().finally(() => {
    asking = null;
  });
  return asking;
}

/** End the session; the page begins again without it. */
export async function signOut() {
  await fetch("/v1/session", { method: "DELETE" });
  location.reload();
}

/** @returns {Promise<boolean>} whether somebody has signed in */
function openDialog() {
  const dialog = one("#key-dialog");
  const form = one("form", dialog);
  const why = one(".key-why", dialog);
  why.textContent = "This server requires an API key. Ask its administrator for one.";
  form.reset();
  return new Promise((resolve) => {
    const done = (/** @type {boolean} */ signedIn) => {
      listening.abort();
      dialog.close();
      resolve(signedIn);
    };
    const listening = new AbortController();
    const { signal } = listening;
    const submit = async (/** @type {Event} */ event) => {
      event.preventDefault();
      why.textContent = await exchange(form.elements.key.value.trim());
      if (!why.textContent) done(true);
    };
    form.addEventListener("submit", submit, { signal });
    one("[data-do=cancel]", dialog).addEventListener("click", () => done(false), { signal });
    dialog.addEventListener("cancel", () => done(false), { signal });
    dialog.showModal();
  });
}

/**
 * Sign in.
 * @param {string} key
 * @returns {Promise<string>} what went wrong; empty if nothing
 */
async function exchange(key) {
  const headers = { "Content-Type": "application/json" };
  try {
    const response = await fetch("/v1/session", { method: "POST", headers, body: JSON.stringify({ key }) });
    if (!response.ok) return (await response.json()).error.message;
  } catch {
    return "Sensorium cannot be reached.";
  }
  signIns += 1;
  await readSession();
  return "";
}
