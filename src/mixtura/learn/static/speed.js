// The times of K-Means and the mixture, on the reader's computer.

import { askJson } from "/static/web/session.js";
import { colourOf } from "./colours.js";
import { button, drawn, element } from "./elements.js";

export function speed(place, _, complain) {
  const result = element(
    "div",
    { "aria-live": "polite" },
    element("p", { class: "hint" }, "Choose a number of rows to start the measurement."),
  );
  const buttons = [1000, 10000, 100000].map((rows) =>
    button(`${rows.toLocaleString("en")} rows`, () => run(rows).catch(complain), {
      "data-rows": rows,
    }),
  );
  place.replaceChildren(element("div", { class: "controls" }, "Measure with", ...buttons), result);

  async function run(rows) {
    complain(null);
    for (const one of buttons) one.disabled = true;
    result.replaceChildren(element("p", { class: "hint" }, "Running …"));
    try {
      show(await askJson("/api/speed", { rows }));
    } finally {
      for (const one of buttons) one.disabled = false;
    }
  }

  function show({ rows, columns, K, methods, seconds }) {
    const longest = Math.max(...seconds);
    const bars = methods.flatMap((name, i) => [
      element("span", {}, name),
      drawn(
        "svg",
        { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
        drawn("rect", { width: (100 * seconds[i]) / longest, height: 10, fill: colourOf(i % 2) }),
      ),
      element("span", {}, `${seconds[i].toPrecision(2)} s`),
    ]);
    const times = (a, b) =>
      seconds[a] > seconds[b]
        ? `${(seconds[a] / seconds[b]).toPrecision(2)} times the time of`
        : `${(seconds[a] / seconds[b]).toPrecision(2)} of the time of`;
    result.replaceChildren(
      element("div", { class: "bars" }, ...bars),
      element(
        "p",
        {},
        `Measured just now on ${rows.toLocaleString("en")} rows, ${columns} columns, K = ${K}: ` +
          `from one start, the mixture took ${times(1, 0)} K-Means. With its usual search, it ` +
          `took ${times(3, 2)} K-Means with ten starts.`,
      ),
    );
  }

  return () => {};
}
