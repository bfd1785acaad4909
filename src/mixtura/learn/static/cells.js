// Code cells: run, stop and reset; the output shows text as it arrives, then figures, then the end.

import { askJson, askStream } from "/static/web/session.js";
import { element } from "./elements.js";

export function codeCell(cell, data) {
  const [code, output] = [cell.querySelector("textarea"), cell.querySelector(".output")];
  const [runs, stops, resets] = ["run", "stop", "reset"].map((name) =>
    cell.querySelector(`button.${name}`),
  );
  const [original, hint] = [code.defaultValue, output.firstElementChild.cloneNode(true)];

  async function run() {
    if (runs.disabled) return;
    busy(true);
    const text = element("pre");
    const status = element("p", { class: "status" }, "Running …");
    output.replaceChildren(text, status);
    try {
      await show(askStream("/api/run", { code: code.value, data: data.chosen }), text, status);
    } catch (error) {
      ended(status, error.message, true);
    }
    busy(false);
  }

  async function show(stream, text, status) {
    let rest = "";
    for await (const bit of stream) {
      const lines = (rest + bit).split("\n");
      rest = lines.pop();
      for (const line of lines) event(JSON.parse(line), text, status);
    }
    if (status.textContent === "Running …")
      ended(status, "Ended: the server has stopped. Start it again and open its new link.", true);
  }

  function event(document, text, status) {
    if (document.kind === "text") text.append(document.text);
    if (document.kind === "figure")
      status.before(
        element("img", {
          src: `data:image/png;base64,${document.png}`,
          alt: "A figure drawn by main.py",
        }),
      );
    if (document.kind === "started") isolation(document);
    if (document.kind === "ended") {
      const n = document.left_behind;
      const left = n ? ` ${n} process${n > 1 ? "es" : ""} that it had started ended with it.` : "";
      const detail = document.detail ? ` ${document.detail}` : "";
      ended(
        status,
        `${document.sentence}${detail} ${document.seconds.toFixed(1)} s.${left}`,
        document.reason !== "finished",
      );
    }
    text.scrollTop = text.scrollHeight;
  }

  function busy(on) {
    [runs.disabled, stops.disabled] = [on, !on];
    cell.classList.toggle("running", on);
  }

  runs.addEventListener("click", run);
  stops.addEventListener("click", () =>
    askJson("/api/stop", {}).catch((error) =>
      output.append(element("p", { class: "status bad" }, error.message)),
    ),
  );
  resets.addEventListener("click", () => {
    code.value = original;
    if (!runs.disabled) output.replaceChildren(hint.cloneNode(true));
  });
  code.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
  });
}

function ended(status, words, bad) {
  status.textContent = words;
  status.classList.toggle("bad", bad);
}

/** Show at the foot of the page how the code cells are isolated on this computer. */
function isolation({ user, files, network, missing }) {
  const has = [
    user === null ? "under your own user" : `under a separate user without rights (number ${user})`,
    files
      ? "with access only to Python's files and its own empty folder"
      : "with access to all files that you may read",
    network ? "without network" : "with network",
  ];
  const lacks = missing.length ? ` Not available on this system: ${missing.join("; ")}.` : "";
  document.querySelector("#isolation").textContent =
    `The last code cell ran in a separate process ${has.join(", ")}, and with limits of time, ` +
    `memory and output.${lacks}`;
}
