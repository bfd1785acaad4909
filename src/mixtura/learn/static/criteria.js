// How many clusters: AIC and BIC for K = 1 to 10, and the mixture with the selected K.

import { blended, colourOf } from "./colours.js";
import { capitalised, element, number, table } from "./elements.js";
import { lineChart } from "./lines.js";
import { sharesAt } from "./mixture.js";
import { Plane } from "./plane.js";

const NOT_VALID = "not a valid fit: a component is empty, a copy of another, or collapsed";

export function criteria(place, data) {
  let [found, chosen] = [null, 1];
  const plane = new Plane({ label: "The mixture with the selected K" });
  const [chart, caption, said, numbers, choices] = ["figure", "figcaption", "p", "div", "p"].map(
    (name) => element(name),
  );
  said.setAttribute("role", "status");
  place.replaceChildren(
    said,
    element("div", { class: "two" }, chart, element("figure", {}, plane.canvas, caption)),
    choices,
    numbers,
  );

  async function renew() {
    found = await data.ask("criteria");
    choose(found.choices.bic ?? 1);
    said.textContent = found.sentences.join(" ");
    const by = Object.entries(found.choices).map(([name, K]) => `${found.titles[name]} ${K}`);
    choices.textContent =
      `K by each criterion: ${by.join(", ")}. The criteria have different aims: AIC good ` +
      "predictions, BIC the true model, ICL well separated clusters.";
  }

  function choose(K) {
    chosen = K;
    const focused = chart.contains(document.activeElement) ? document.activeElement.dataset : null;
    const line = (name, colour) => ({
      name: name.toUpperCase(),
      colour,
      dots: true,
      points: found.cells
        .filter((cell) => cell.criteria[name] !== undefined)
        .map((cell) => [cell.K, cell.criteria[name]]),
    });
    chart.replaceChildren(
      lineChart({
        lines: [line("bic", colourOf(0)), line("aic", colourOf(1))],
        xName: "K",
        yName: "lower is better",
        label: "AIC and BIC over K; lower is better",
        pick: choose,
        chosen,
      }),
      element("figcaption", {}, "Click a point to see the mixture with that K."),
    );
    if (focused) chart.querySelector(`[data-x="${chosen}"][data-line="${focused.line}"]`)?.focus();
    const cell = found.cells.find((one) => one.K === K);
    if (cell.means)
      plane.show({
        rows: data.rows,
        names: data.names,
        colours: data.rows.map((place) => blended(sharesAt(cell, place))),
        mixture: cell,
      });
    const { bic, aic } = cell.criteria;
    const lowest = K === found.choices.bic ? ", the lowest BIC" : "";
    const invalid = cell.eligible ? "" : `. ${capitalised(NOT_VALID)}`;
    const values = `BIC ${number(bic, 6)}, AIC ${number(aic, 6)}`;
    caption.textContent = `K = ${K}: ${values}${lowest}${invalid}.`;
    numbers.replaceChildren(allCriteria());
  }

  function allCriteria() {
    const names = Object.keys(found.titles);
    const rows = found.cells.map((cell) => [
      `${cell.K}${cell.eligible ? "" : "\u00a0†"}`,
      ...names.map((name) => mark(cell, name)),
    ]);
    const barred = found.cells.every((cell) => cell.eligible) ? "" : ` † ${NOT_VALID}.`;
    const made = table(
      ["K", ...names.map((name) => found.titles[name])],
      rows,
      `Lower is better in every column; the lowest value of a valid fit is bold.${barred}`,
    );
    found.cells.forEach(
      (cell, i) => cell.K === chosen && made.tBodies[0].rows[i].classList.add("chosen"),
    );
    found.cells.forEach((cell, i) =>
      names.forEach(
        (name, j) =>
          found.choices[name] === cell.K &&
          made.tBodies[0].rows[i].cells[j + 1].classList.add("lowest"),
      ),
    );
    return made;
  }

  function mark(cell, name) {
    const value = cell.criteria[name];
    return value === undefined
      ? "–"
      : name === "nec"
        ? value.toFixed(3).replace("-", "−")
        : value.toFixed(1).replace("-", "−");
  }

  return renew;
}
