// K-Means, a mixture, DBSCAN and HDBSCAN, measured on the reader's data.

import { colourOf } from "./colours.js";
import { element, number, table } from "./elements.js";
import { Plane } from "./plane.js";

const TABLE_ROWS = [
  ["soft clusters", (m) => (m.soft ? "yes" : "no")],
  ["shape assumed", (m) => m.shape],
  ["seconds for one fit", (m) => (m.reason ? `failed: ${m.reason}` : number(m.seconds, 2))],
  [
    "seconds to choose K or eps",
    (m) => (m.seconds_to_choose === null ? "nothing to choose" : number(m.seconds_to_choose, 2)),
  ],
  ["K needed", (m) => (m.needs_k ? "yes" : "no")],
  ["how K was found", (m) => m.k_chosen_by],
  ["clusters found", (m) => m.n_clusters],
  ["output", (m) => m.output],
  ["interpretability", (m) => m.interpretation],
  ["rows in no cluster", (m) => m.noise_rows ?? "has no noise"],
  ["unsure rows", (m) => m.unsure_rows ?? "cannot say"],
  ["silhouette (favours round clusters)", (m) => number(m.silhouette, 2)],
];

export function comparison(place, data) {
  const [planes, said, numbers, agreement] = [
    element("div", { class: "two" }),
    element("p", { role: "status" }),
    element("div"),
    element("p"),
  ];
  place.replaceChildren(said, planes, numbers, agreement);

  return async function renew() {
    const found = await data.ask("comparison");
    said.textContent = found.sentences.join(" ");
    planes.replaceChildren(
      ...found.methods
        .filter((method) => found.labels[method.name])
        .map((method) => picture(method, found.labels[method.name])),
    );
    numbers.replaceChildren(
      table(
        ["", ...found.methods.map((method) => method.name)],
        TABLE_ROWS.map(([title, of]) => [title, ...found.methods.map(of)]),
        "Measured on these data, on this computer",
      ),
    );
    const pairs = found.agreement.map(([a, b, value]) => `${a} and ${b} ${number(value, 2)}`);
    agreement.textContent =
      "Agreement (adjusted Rand index; 1 is identical, 0 is chance): " + pairs.join(", ");
  };

  function picture(method, labels) {
    const plane = new Plane({ label: `Clusters by ${method.name}` });
    const figure = element(
      "figure",
      {},
      plane.canvas,
      element(
        "figcaption",
        {},
        element("b", {}, method.name),
        `: ${method.n_clusters} cluster${method.n_clusters === 1 ? "" : "s"}`,
      ),
    );
    plane.show({
      rows: data.rows,
      names: data.names,
      colours: labels.map(colourOf),
      noise: labels.map((label) => label < 0),
    });
    return figure;
  }
}
