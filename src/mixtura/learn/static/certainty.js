// How certain the choice of K is: a bootstrap of the rows.

import { colourOf } from "./colours.js";
import { button, drawn, element, percent } from "./elements.js";

export function certainty(place, data, complain) {
  const result = element("div", { "aria-live": "polite" });
  const ask = button("Draw 40 bootstrap resamples", () => run().catch(complain));
  place.replaceChildren(element("div", { class: "controls" }, ask), result);

  async function run() {
    complain(null);
    ask.disabled = true;
    result.replaceChildren(
      element("p", { class: "hint" }, "Running: mixtures with K = 1 to 10 on 40 resamples …"),
    );
    try {
      const { shares, sentence } = await data.ask("certainty");
      const bars = Object.entries(shares).filter(([, share]) => share > 0);
      result.replaceChildren(
        element(
          "div",
          { class: "bars" },
          ...bars.flatMap(([K, share]) => [
            element("span", {}, `K = ${K}`),
            drawn(
              "svg",
              { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
              drawn("rect", { width: 100 * share, height: 10, fill: colourOf(0) }),
            ),
            element("span", {}, percent(share)),
          ]),
        ),
        element("p", {}, sentence),
      );
    } finally {
      ask.disabled = false;
    }
  }

  return () =>
    result.replaceChildren(element("p", { class: "hint" }, "Not computed yet for these data."));
}
