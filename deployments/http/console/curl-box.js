/** The command that does what the form does. */

import { one } from "./dom.js";
import { curlOf } from "./request.js";
import { session } from "./session.js";

/**
 * Add the command below a form, and keep it in step with the form.
 * @param {HTMLElement} panel
 * @param {() => import("./request.js").Description} describe the call that the form stands for
 */
export function addCurl(panel, describe) {
  const form = one("form", panel);
  const box = one("#curl-template").content.cloneNode(true);
  const code = one("code", box);
  const status = one("[role=status]", box);
  const write = () => {
    code.textContent = curlOf(describe(), location.origin, Boolean(session()?.signed_in));
    status.textContent = "";
  };
  one("[data-do=copy]", box).addEventListener("click", () => copy(code, status));
  form.after(box);
  for (const type of ["input", "change"]) form.addEventListener(type, write);
  panel.addEventListener("shown", write);
  addEventListener("session", write);
  write();
}

/**
 * @param {HTMLElement} source
 * @param {HTMLElement} status reports the outcome
 */
export async function copy(source, status) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(source.textContent ?? "");
    status.textContent = "Copied.";
    return;
  }
  // browsers deny the clipboard to pages served over plain HTTP
  getSelection()?.selectAllChildren(source);
  status.textContent = "Selected: press Ctrl+C.";
}
