/** One description of a call, for sending it and for showing it as curl: the two cannot differ. */

/**
 * @typedef {object} Description
 * @property {"GET" | "POST"} [method] POST by default
 * @property {string} path
 * @property {Record<string, string | number | null>} [query] null and empty values are left out
 * @property {object} [json] body
 * @property {{field: string, file: File | null, example: string, texts?: Record<string, string>}} [form] body: a
 *   multipart form with one file and texts; empty ones are left out
 * @property {{file: Blob | null, example: string}} [binary] body: the file's bytes
 * @property {boolean} [asJob] answer with a job at once
 * @property {string} [output] file that curl writes the response to
 */

/** @param {Description} call */
function queryOf(call) {
  const given = Object.entries(call.query ?? {}).filter(([, value]) => value !== null && value !== "");
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
}

/** @param {Description} call */
export function addressOf(call) {
  const query = queryOf(call).toString();
  return query ? `${call.path}?${query}` : call.path;
}

/** @param {Description} call */
const textsOf = (call) => Object.entries(call.form?.texts ?? {}).filter(([, text]) => text !== "");

/**
 * Body and headers as fetch and XMLHttpRequest take them.
 * @param {Description} call
 * @returns {{method: string, headers: Record<string, string>, body: BodyInit | null}}
 */
export function messageOf(call) {
  /** @type {Record<string, string>} */
  const headers = call.asJob ? { Prefer: "respond-async" } : {};
  const method = call.method ?? "POST";
  if (call.json) return { method, headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(call.json) };
  if (call.form?.file) {
    const body = new FormData();
    for (const [name, text] of textsOf(call)) body.append(name, text);
    body.append(call.form.field, call.form.file);
    return { method, headers, body };
  }
  if (call.binary?.file) {
    return { method, headers: { ...headers, "Content-Type": "application/octet-stream" }, body: call.binary.file };
  }
  return { method, headers, body: null };
}

/**
 * A word, quoted for the shell if need be.
 * @param {string} text
 */
const quoted = (text) => (/^[\w./:=@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/**
 * A file name that curl does not mistake for an option or for standard input.
 * @param {string} name
 */
const asPath = (name) => (name.startsWith("-") ? `./${name}` : name);

/**
 * The call as a command for a POSIX shell.
 * @param {Description} call
 * @param {string} origin
 * @param {boolean} withKey the server requires a key, which the command takes from a variable
 */
export function curlOf(call, origin, withKey) {
  const parts = [call.output ? `curl -s -o ${quoted(call.output)}` : "curl -sN"];
  if (call.method === "GET") {
    parts[0] += ` -G ${quoted(origin + call.path)}`;
    for (const [name, value] of queryOf(call)) parts.push(`--data-urlencode ${quoted(`${name}=${value}`)}`);
  } else {
    parts[0] += ` ${quoted(origin + addressOf(call))}`;
  }
  if (withKey) parts.push('-H "Authorization: Bearer $SENSORIUM_API_KEY"');
  if (call.asJob) parts.push("-H 'Prefer: respond-async'");
  if (call.json) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(call.json))}`);
  if (call.form) {
    // -F would read a file if the text began with @ or <
    for (const [name, text] of textsOf(call)) parts.push(`--form-string ${quoted(`${name}=${text}`)}`);
    const name = asPath(call.form.file?.name ?? call.form.example);
    // inside its own quotes, curl takes ; and , literally
    const inQuotes = /[;,"\\]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
    parts.push(`-F ${quoted(`${call.form.field}=@${inQuotes}`)}`);
  }
  if (call.binary) {
    const name = call.binary.file instanceof File ? call.binary.file.name : call.binary.example;
    parts.push("-H 'Content-Type: application/octet-stream'", `--data-binary ${quoted(`@${asPath(name)}`)}`);
  }
  return parts.join(" \\\n  ");
}
