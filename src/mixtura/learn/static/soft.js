// Hard against soft: the least sure row of the mixture, and its label by three methods.

import { blended, colourOf } from "./colours.js";
import {
  capitalised,
  button,
  choice,
  clusterName,
  element,
  inWords,
  membershipBars,
  percent,
  rowName,
} from "./elements.js";
import { Plane } from "./plane.js";

export function soft(place, data, complain) {
  let [K, found, marked] = [2, null, 0];
  const plane = new Plane({
    label: "The rows, coloured by their memberships; click one to see its memberships",
    pick: (i) => i >= 0 && mark(i),
  });
  const [title, answers, bars, rows, unsure] = ["h4", "dl", "div", "div", "p"].map((name) =>
    element(name),
  );
  answers.className = "answers";
  rows.className = "controls";
  title.className = "marked-row";
  const ks = choice(
    "clusters K",
    [2, 3, 4, 5].map((k) => [String(k), String(k)]),
    "2",
    (value) => {
      K = Number(value);
      renew().catch(complain);
    },
  );
  place.replaceChildren(
    element("div", { class: "controls" }, ks, rows),
    element(
      "div",
      { class: "side" },
      element(
        "figure",
        {},
        plane.canvas,
        element(
          "figcaption",
          {},
          "The colour of a row is the mean of its clusters' colours, weighted by its " +
            "memberships. Ellipses contain 50\u00a0% and 90\u00a0% of their component.",
        ),
      ),
      element("div", { "aria-live": "polite" }, title, answers, bars, unsure),
    ),
  );

  async function renew() {
    found = await data.ask("soft", { K });
    const names = ["least sure", "2nd", "3rd", "4th", "5th"];
    rows.replaceChildren(
      "rows:",
      ...found.least_sure.map((i, j) => button(names[j], () => mark(i), { "data-row": i })),
      button("most sure", () => mark(found.most_sure), { "data-row": found.most_sure }),
    );
    unsure.textContent =
      `${found.unsure} of ${data.rows.length} rows are unsure: their largest membership is below ` +
      `${percent(found.sure)}. Only the mixture can say which rows these are.`;
    mark(found.least_sure[0]);
  }

  function mark(i) {
    if (!found || i >= found.memberships.length) return;
    marked = i;
    const shares = found.memberships[i];
    for (const one of rows.querySelectorAll("button"))
      one.setAttribute("aria-pressed", String(Number(one.dataset.row) === i));
    const values = data.rows[i]
      .map((value, j) => `${data.names[j]} ${Number(value.toPrecision(5))}`)
      .join(", ");
    title.textContent = `${capitalised(rowName(i))}: ${values}`;
    answers.replaceChildren(
      ...[
        ["K-Means", hard(found.k_means[i])],
        ["DBSCAN", hard(found.dbscan[i])],
        ["mixture", inWords(shares)],
      ].flatMap(([name, words]) => [
        element("dt", {}, name),
        element("dd", { "data-method": name }, words),
      ]),
    );
    bars.replaceChildren(membershipBars(shares, colourOf));
    plane.show({
      rows: data.rows,
      names: data.names,
      colours: found.memberships.map(blended),
      mixture: found,
      marked,
    });
  }

  return renew;
}

function hard(label) {
  return label < 0 ? "noise (100 %)" : `${clusterName(label)} (100 %)`;
}
