// Requests of the page to its server. The page that the token opened contains the key. The key is
// kept for this origin (host and port), so that reloading works. The token is removed from the
// address bar.

const place = document.querySelector('meta[name="mixtura-key"]');
if (place.content) {
  localStorage.setItem("mixtura-key", place.content);
  place.content = "";
  history.replaceState(null, "", "/");
}
const key = localStorage.getItem("mixtura-key") ?? "";

/** The answer of the server; a refusal is an Error with the server's message. */
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

/** A WebSocket, which sends the key as its sub-protocol. */
export function openSocket(path) {
  return new WebSocket(`ws://${location.host}${path}`, ["mixtura", key]);
}

/** The text that the server sends, as it arrives; it ends early when the signal is given. */
export async function* askStream(path, body, signal) {
  const answer = await ask(path, body, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let bit = await reader.read(); !bit.done; bit = await reader.read()) yield bit.value;
}
