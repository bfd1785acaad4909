// EM step by step: the E-step colours the points, the M-step moves the Gaussians.

import { blended, colourOf } from "./colours.js";
import {
  button,
  choice,
  clusterName,
  element,
  inWords,
  number,
  percent,
  rowName,
  table,
} from "./elements.js";
import { lineChart } from "./lines.js";
import { logHeights, sharesAt, softmax } from "./mixture.js";
import { Plane } from "./plane.js";

const STEP_TIME = 500; // milliseconds between two half steps

export function em(place, data, complain) {
  let [K, seed, run, at, marked, timer] = [2, 0, null, 0, null, null];
  const plane = new Plane({
    label: "The rows and the Gaussians of this step; click a row to see its E-step",
    pick: (i) => i >= 0 && ((marked = i), draw()),
  });
  const [said, numbers, curve, row] = ["p", "div", "figure", "div"].map((name) => element(name));
  said.setAttribute("role", "status");
  said.className = "said";
  const buttons = {
    back: button("◀ Back", () => go(at - 1)),
    step: button("Step ▶", () => go(at + 1), { class: "primary" }),
    play: button("Play", () => (timer ? pause() : play())),
    end: button("To the end", () => go(last())),
    start: button("To the start", () => go(0)),
  };
  const again = button("Another random start", () => ((seed += 1), renew().catch(complain)));
  const ks = choice(
    "clusters K",
    [2, 3, 4, 5, 6].map((k) => [String(k), String(k)]),
    "2",
    (value) => ((K = Number(value)), renew().catch(complain)),
  );
  place.replaceChildren(
    element("div", { class: "controls" }, ks, again),
    element(
      "div",
      { class: "controls" },
      buttons.start,
      buttons.back,
      buttons.step,
      buttons.play,
      buttons.end,
    ),
    said,
    element("div", { class: "side" }, element("figure", {}, plane.canvas), curve),
    numbers,
    row,
  );

  // Half steps: 0 is the start, odd numbers are E-steps, even numbers are M-steps.
  const last = () => 2 * (run.steps.length - 1) + 1;

  function go(to) {
    at = Math.min(Math.max(to, 0), last());
    if (at === last()) pause();
    draw();
  }

  function play() {
    if (at === last()) at = 0;
    timer = setInterval(() => go(at + 1), STEP_TIME);
    buttons.play.textContent = "Pause";
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    buttons.play.textContent = "Play";
  }

  async function renew() {
    pause();
    const answer = await data.ask("em", { K, seed });
    run = answer;
    [at, marked] = [0, null];
    draw();
  }

  function draw() {
    const [iteration, expected] = [Math.floor(at / 2), at % 2 === 1];
    const now = run.steps[iteration];
    const shares = data.rows.map((place) => sharesAt(now, place));
    marked ??= shares.reduce(
      (best, row, i) => (Math.max(...row) < Math.max(...shares[best]) ? i : best),
      0,
    );
    const coloured = expected
      ? shares
      : at === 0
        ? null
        : data.rows.map((place) => sharesAt(run.steps[iteration - 1], place));
    plane.show({
      rows: data.rows,
      names: data.names,
      colours: coloured?.map(blended),
      mixture: now,
      marked,
    });
    said.textContent = words(iteration, expected);
    numbers.replaceChildren(parameterTable(now, iteration));
    row.replaceChildren(eStep(now, data.rows[marked], marked));
    const points = run.steps.map((step, i) => [i, step.log_likelihood]);
    const line = {
      name: "",
      colour: colourOf(0),
      points: points.slice(0, iteration + 1),
      dots: iteration === 0,
    };
    curve.replaceChildren(
      lineChart({
        lines: [line],
        frame: points,
        xName: "iteration",
        yName: "log-likelihood",
        label: "The log-likelihood so far",
        width: 320,
        height: 240,
      }),
    );
    buttons.back.disabled = buttons.start.disabled = at === 0;
    buttons.step.disabled = buttons.end.disabled = at === last();
  }

  function words(iteration, expected) {
    if (at === 0)
      return (
        `1. Start: ${K} Gaussians at random rows, each with the covariance of all data. There ` +
        "are no memberships yet."
      );
    if (at === last()) return `4. Done after ${run.steps.length - 1} iterations, ${run.ending}.`;
    if (expected)
      return (
        `2. E-step of iteration ${iteration + 1}: the memberships of each row were computed ` +
        "under the current Gaussians."
      );
    const gain = run.steps[iteration].log_likelihood - run.steps[iteration - 1].log_likelihood;
    return (
      `3. M-step of iteration ${iteration}: the Gaussians were refitted to the rows, weighted by ` +
      `these memberships. The log-likelihood increased by ${number(gain, 3)}.`
    );
  }

  return renew;

  function parameterTable(now, iteration) {
    const [x, y] = data.names;
    const rows = now.weights.map((weight, k) => {
      const [[a, b], [, c]] = now.covariances[k];
      const name = element("span", {}, swatch(k), clusterName(k));
      return [
        name,
        percent(weight),
        ...now.means[k].map((value) => number(value)),
        number(Math.sqrt(a)),
        number(Math.sqrt(c)),
        number(b / Math.sqrt(a * c), 2),
      ];
    });
    return table(
      ["", "weight", `mean ${x}`, `mean ${y}`, `sd ${x}`, `sd ${y}`, "corr."],
      rows,
      `The Gaussians after ${iteration} iteration${iteration === 1 ? "" : "s"}; ` +
        `log-likelihood ${now.log_likelihood.toFixed(3).replace("-", "−")}`,
    );
  }

  function eStep(now, place, i) {
    const logs = logHeights(now, place);
    const shares = softmax(logs);
    const rows = shares.map((share, k) => [
      element("span", {}, swatch(k), clusterName(k)),
      percent(now.weights[k]),
      number(Math.exp(logs[k]) / now.weights[k], 3),
      number(Math.exp(logs[k]), 3),
      percent(share),
    ]);
    const found = table(
      ["", "weight", "density", "product", "membership"],
      rows,
      `The E-step of ${rowName(i)}`,
    );
    return element(
      "div",
      {},
      found,
      element(
        "p",
        { class: "note" },
        `A membership is the product divided by the sum of the products: ${inWords(shares)}.`,
      ),
    );
  }
}

export function swatch(k) {
  const made = element("span", { class: "swatch" });
  made.style.background = colourOf(k);
  return made;
}
