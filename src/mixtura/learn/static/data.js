// The reader's data: the choice, the rows that the server makes from it, and the parts to update.

import { askJson } from "/static/web/session.js";
import { button, choice, element, slider } from "./elements.js";
import { Plane } from "./plane.js";

const KINDS = [
  ["faithful", "Old Faithful (a geyser)"],
  ["blobs", "two blobs that may overlap"],
  ["moons", "two moons"],
  ["stretched", "three stretched clusters"],
];

export class Data {
  constructor() {
    this.chosen = { kind: "faithful", n: 272, distance: 2.5, seed: 1, added: [] };
    this.names = ["", ""];
    this.rows = [];
    this.listeners = [];
  }

  /** Call a function after each change of the rows. */
  onChange(listener) {
    this.listeners.push(listener);
  }

  /** Send a question about these data to the server. */
  ask(question, more = {}) {
    return askJson(`/api/${question}`, { data: this.chosen, ...more });
  }

  async change(part) {
    this.chosen = { ...this.chosen, ...part };
    const asked = this.chosen;
    const answer = await this.ask("data");
    if (asked !== this.chosen) return;
    Object.assign(this, { names: answer.names, rows: answer.rows });
    for (const listener of this.listeners) listener();
  }
}

/** The controls for the data: kind, number of rows, distance, and points added by hand. */
export function dataPicker(place, data, complain) {
  const plane = new Plane({ label: "The data; click to add a point", pick: (_, at) => add(at) });
  const count = element("p", { class: "note", role: "status" });
  const rows = slider(
    "rows",
    { min: 50, max: 272, step: 1, value: 272 },
    later((n) => change({ n })),
  );
  const distance = slider(
    "distance",
    { min: 0, max: 6, step: 0.1, value: 2.5, says: (x) => `${x} σ` },
    later((d) => change({ distance: d })),
  );
  const kind = choice("data", KINDS, data.chosen.kind, (value) => {
    const most = value === "faithful" ? 272 : 1000;
    rows.querySelector("input").max = most;
    rows.set(value === "faithful" ? 272 : 300);
    change({ kind: value, n: value === "faithful" ? 272 : 300, added: [] });
  });
  const fresh = button("Draw again", () => change({ seed: data.chosen.seed + 1, added: [] }));
  const undo = button("Remove a point", () => change({ added: data.chosen.added.slice(0, -1) }));
  const change = (part) => data.change(part).catch(complain);
  const add = (at) =>
    change({ added: [...data.chosen.added, at.map((value) => Number(value.toPrecision(6)))] });

  place.replaceChildren(
    element("div", { class: "controls" }, kind, rows, distance, fresh, undo),
    element(
      "div",
      { class: "side" },
      element("figure", {}, plane.canvas),
      element(
        "div",
        {},
        count,
        element(
          "p",
          { class: "note" },
          "Click into the picture to add a point, even one far from all others. Everything below " +
            "is updated.",
        ),
      ),
    ),
  );
  data.onChange(() => {
    distance.hidden = data.chosen.kind !== "blobs";
    undo.disabled = data.chosen.added.length === 0;
    fresh.disabled = data.chosen.kind === "faithful" && data.chosen.n >= 272;
    const added = data.chosen.added.length;
    const own = added ? ` ${added} of the rows ${added > 1 ? "are" : "is"} yours.` : "";
    count.textContent = `${data.rows.length} rows, 2 columns: ${data.names.join(" and ")}.${own}`;
    plane.show({ rows: data.rows, names: data.names });
  });
}

/** A function that is called once its input has not changed for some time. */
export function later(call, wait = 150) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), wait);
  };
}
