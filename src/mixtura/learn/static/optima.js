// Local optima: where single random starts end, the worst of them, and where the search ends.

import { blended, colourOf } from "./colours.js";
import { choice, drawn, element, number } from "./elements.js";
import { sharesAt } from "./mixture.js";
import { Plane } from "./plane.js";

export function optima(place, data, complain) {
  let [K, found] = [4, null];
  const planes = {
    worst: new Plane({ label: "Where the worst start ended" }),
    search: new Plane({ label: "Where the search ended" }),
  };
  const captions = { worst: element("figcaption"), search: element("figcaption") };
  const [bars, said] = [element("figure"), element("p", { role: "status" })];
  const ks = choice(
    "clusters K",
    [2, 3, 4, 5, 6, 7].map((k) => [String(k), String(k)]),
    "4",
    (value) => ((K = Number(value)), renew().catch(complain)),
  );
  place.replaceChildren(
    element("div", { class: "controls" }, ks),
    bars,
    said,
    element(
      "div",
      { class: "two" },
      ...["worst", "search"].map((name) =>
        element("figure", {}, planes[name].canvas, captions[name]),
      ),
    ),
  );

  async function renew() {
    found = await data.ask("optima", { K });
    const { best, worst, search, log_likelihoods: ends, stuck, unsound } = found;
    for (const name of ["worst", "search"]) {
      const mixture = found[name];
      planes[name].show({
        rows: data.rows,
        names: data.names,
        colours: data.rows.map((place) => blended(sharesAt(mixture, place))),
        mixture,
      });
    }
    captions.worst.replaceChildren(
      element("b", {}, "A bad start"),
      ` ended at ${number(worst.log_likelihood, 7)}, ` +
        `${number(best.score - worst.score, 3)} below the best optimum found, and has converged.`,
    );
    const behind = best.score - search.score;
    const rank = behind > 0.01 ? `${number(behind, 3)} below the best optimum` : "the best optimum";
    captions.search.replaceChildren(
      element("b", {}, "mixtura's search"),
      ` ended at ${number(search.log_likelihood, 7)}, ${rank} found.`,
    );
    const lost = unsound
      ? ` ${unsound} more ended with a spurious component, which can arise by chance, and ` +
        "are not counted."
      : "";
    said.textContent =
      `${stuck} of ${ends.length} random starts got stuck below the best optimum found ` +
      `(${number(best.log_likelihood, 7)}).${lost} Higher is better.`;
    const all = [...ends, search.log_likelihood];
    const [lowest, highest] = [Math.min(...all), Math.max(...all)];
    bars.replaceChildren(
      barChart(ends, search.log_likelihood),
      element(
        "figcaption",
        {},
        "One bar for each random start, best first; the last bar, in another colour, is the " +
          `search. The lowest is at ${number(lowest, 7)}, the highest at ${number(highest, 7)}; ` +
          "the bars do not start at 0.",
      ),
    );
  }

  return renew;
}

function barChart(ends, search) {
  const [width, height, base] = [640, 165, 160];
  const all = [...ends, search];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const tall = (value) => 10 + ((value - low) / (high - low || 1)) * (base - 18);
  const step = (width - 20) / all.length;
  const bar = (value, i, colour) =>
    drawn(
      "rect",
      {
        x: 10 + i * step,
        y: base - tall(value),
        width: Math.max(step - 3, 2),
        height: tall(value),
        fill: colour,
      },
      drawn("title", {}, number(value, 7)),
    );
  return drawn(
    "svg",
    {
      class: "chart",
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label":
        `Final log-likelihoods of ${ends.length} random starts and of the search, from ` +
        `${number(low, 7)} to ${number(high, 7)}`,
    },
    ...ends.map((value, i) => bar(value, i, colourOf(0))),
    bar(search, ends.length, colourOf(1)),
  );
}
