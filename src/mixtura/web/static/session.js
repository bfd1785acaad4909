// The page's way to its server. The key comes with the page that the token opened; it is kept for
// this origin (host and port), so that reloading works, and leaves the address bar together with
// the token.

const place = document.querySelector('meta[name="mixtura-key"]');
if (place.content) {
  localStorage.setItem("mixtura-key", place.content);
  place.content = "";
  history.replaceState(null, "", "/");
}
const key = localStorage.getItem("mixtura-key") ?? "";

/** What the server answers; a refusal is an Error with the server's own words. */
async function ask(path, body, signal) {
  const headers = { "X-Mixtura-Key": key };
  const options = { headers, signal };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    options.method = "POST";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error(await words(answer));
  return answer;
}

async function words(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text).error;
  } catch {
    return text.trim();
  }
}

/** JSON from the server: GET without a body, POST with one. */
export async function askJson(path, body) {
  return (await ask(path, body)).json();
}

/** Numbers from the server, as an ArrayBuffer. */
export async function askBytes(path, body) {
  return (await ask(path, body)).arrayBuffer();
}

/** A file from the server, as a Blob. */
export async function askBlob(path, body) {
  return (await ask(path, body)).blob();
}

/** A WebSocket that shows the key; the only way there is. */
export function openSocket(path) {
  return new WebSocket(`ws://${location.host}${path}`, ["mixtura", key]);
}

/** What the server sends bit by bit, as text, as it comes; ends early when the signal is given. */
export async function* askStream(path, body, signal) {
  const answer = await ask(path, body, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let bit = await reader.read(); !bit.done; bit = await reader.read()) yield bit.value;
}
