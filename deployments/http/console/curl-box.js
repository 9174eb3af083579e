/** The command that does what the form does. */

import { one } from "./dom.js";
import { currentKey } from "./keys.js";
import { curlOf } from "./request.js";

/**
 * Put the command under a form, and keep it as the form is.
 * @param {HTMLElement} panel
 * @param {() => import("./request.js").Description} describe what the form says now
 */
export function addCurl(panel, describe) {
  const form = one("form", panel);
  const box = one("#curl-template").content.cloneNode(true);
  const code = one("code", box);
  const told = one("[role=status]", box);
  const write = () => {
    code.textContent = curlOf(describe(), location.origin, Boolean(currentKey()));
    told.textContent = "";
  };
  one("[data-do=copy]", box).addEventListener("click", () => copy(code, told));
  form.after(box);
  for (const type of ["input", "change"]) form.addEventListener(type, write);
  panel.addEventListener("shown", write);
  write();
}

/**
 * @param {HTMLElement} source
 * @param {HTMLElement} told where to say how it went
 */
export async function copy(source, told) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(source.textContent ?? "");
    told.textContent = "Copied.";
    return;
  }
  // browsers keep the clipboard from pages that came over plain HTTP
  getSelection()?.selectAllChildren(source);
  told.textContent = "Selected: press Ctrl and C.";
}
