// The model in one dimension: two bell curves and a point, to drag or to move with the arrow keys.

import { colourOf } from "./colours.js";
import {
  button,
  clusterName,
  drawn,
  element,
  inWords,
  membershipBars,
  number,
  slider,
} from "./elements.js";
import { bell } from "./mixture.js";
import { ticks } from "./plane.js";

const [WIDTH, HEIGHT, BASE, TOP] = [640, 400, 345, 14];
const [LOW, HIGH, MOST] = [-5, 8, 0.45];
const WIDEST = 3;
const u = (x) => ((x - LOW) / (HIGH - LOW)) * WIDTH;
const v = (height) => BASE - (height / MOST) * (BASE - TOP);
const within = (value, low, high) => Math.min(Math.max(value, low), high);

export function bells(place) {
  const state = { weight: [0.6, 0.4], mean: [0, 2.6], spread: [1, 0.8], x: 1.4, sample: [] };
  const chart = drawn("svg", {
    class: "chart wide",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "group",
    "aria-label": "Two bell curves and a point",
  });
  const numbers = element("div");
  const said = element("p", { role: "status" });
  const weight = slider(
    `weight of ${clusterName(0)}`,
    { min: 0.05, max: 0.95, step: 0.01, value: 0.6, says: (w) => `${Math.round(100 * w)} %` },
    (w) => {
      state.weight = [w, 1 - w];
      state.spread = state.spread.map((spread, k) => bounded(k, spread));
      state.sample = [];
      draw();
    },
  );
  const handles = [handle(0), handle(1), pointHandle()];
  const layers = {
    axis: drawn("g"),
    curves: drawn("g", { "pointer-events": "none" }),
    sample: drawn("g", { "pointer-events": "none" }),
  };
  chart.append(...Object.values(layers), ...handles);
  axis(layers.axis);
  place.replaceChildren(
    element(
      "div",
      { class: "controls" },
      weight,
      button("Draw 100 rows", sample),
      button("Remove the rows", () => ((state.sample = []), draw())),
    ),
    element(
      "div",
      { class: "side" },
      element(
        "figure",
        {},
        chart,
        element(
          "figcaption",
          {},
          "Drag the top of a curve or the point; with the keyboard: Tab, then arrow keys. The " +
            "dashed line is the sum.",
        ),
      ),
      element("div", {}, said, numbers),
    ),
  );

  function heights(x) {
    return [0, 1].map((k) => state.weight[k] * bell(x, state.mean[k], state.spread[k]));
  }

  function sharesAt(x) {
    const both = heights(x);
    return both.map((height) => height / (both[0] + both[1] || Number.MIN_VALUE));
  }

  function draw() {
    const places = Array.from({ length: 261 }, (_, i) => LOW + ((HIGH - LOW) * i) / 260);
    const line = (of) => places.map((x) => `${u(x).toFixed(1)},${v(of(x)).toFixed(1)}`).join(" ");
    const both = heights(state.x);
    layers.curves.replaceChildren(
      drawn("polygon", {
        points: `0,${BASE} ${line((x) => Math.min(...heights(x)))} ${WIDTH},${BASE}`,
        fill: "currentColor",
        "fill-opacity": 0.12,
      }),
      drawn("polyline", {
        points: line((x) => heights(x)[0] + heights(x)[1]),
        fill: "none",
        stroke: "currentColor",
        "stroke-width": 1.2,
        "stroke-dasharray": "5 4",
      }),
      ...[0, 1].map((k) =>
        drawn("polyline", {
          points: line((x) => heights(x)[k]),
          fill: "none",
          stroke: colourOf(k),
          "stroke-width": 2.5,
        }),
      ),
      ...[0, 1].map((k) =>
        drawn("line", {
          x1: u(state.x) + 4 * k - 2,
          x2: u(state.x) + 4 * k - 2,
          y1: BASE,
          y2: v(both[k]),
          stroke: colourOf(k),
          "stroke-width": 3,
        }),
      ),
    );
    layers.sample.replaceChildren(
      ...state.sample.map(([x, k, y]) =>
        drawn("circle", {
          cx: u(x),
          cy: BASE + 26 + y,
          r: 2.6,
          fill: colourOf(k),
          "fill-opacity": 0.75,
        }),
      ),
    );
    for (const k of [0, 1]) {
      set(handles[k], {
        cx: u(state.mean[k]),
        cy: v(state.weight[k] * bell(state.mean[k], state.mean[k], state.spread[k])),
      });
      set(handles[k], {
        "aria-valuenow": state.mean[k].toFixed(2),
        "aria-valuetext": `mean ${state.mean[k].toFixed(2)}, sd ${state.spread[k].toFixed(2)}`,
      });
    }
    set(handles[2], { cx: u(state.x), "aria-valuenow": state.x.toFixed(2) });
    tell(both);
  }

  function tell(both) {
    const shares = sharesAt(state.x);
    said.textContent = `The point at x = ${number(state.x, 3)}: ${inWords(shares)}.`;
    const line = (k) => {
      const [weight, density] = [state.weight[k], both[k] / state.weight[k]];
      return `${number(weight, 2)} × ${number(density, 3)} = ${number(both[k], 3)}`;
    };
    const crossing = state.sample.filter(([x, k]) => sharesAt(x)[k] < 0.5).length;
    numbers.replaceChildren(
      membershipBars(shares, colourOf),
      element(
        "p",
        { class: "note" },
        `Height of curve 0 (weight × density): ${line(0)}`,
        element("br"),
        `Height of curve 1: ${line(1)}`,
      ),
      ...[0, 1].map((k) =>
        element(
          "p",
          { class: "note", "data-bell": k },
          `${clusterName(k)}: mean ${state.mean[k].toFixed(2)}, ` +
            `standard deviation ${state.spread[k].toFixed(2)}`,
        ),
      ),
      state.sample.length
        ? element(
            "p",
            { class: "note" },
            `${state.sample.length} rows drawn; ${crossing} of them lie where the other curve is ` +
              "higher. No method can assign these correctly from their value alone.",
          )
        : "",
    );
  }

  function sample() {
    const draws = Array.from({ length: 100 }, () => {
      const k = Math.random() < state.weight[0] ? 0 : 1;
      const normal =
        Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
      return [state.mean[k] + state.spread[k] * normal, k, 18 * Math.random()];
    });
    state.sample = [...state.sample, ...draws].slice(-1000);
    draw();
  }

  function move(k, x, height) {
    state.mean[k] = within(x, LOW + 0.5, HIGH - 0.5);
    if (height !== null)
      state.spread[k] = bounded(
        k,
        state.weight[k] / (Math.max(height, 0.01) * Math.sqrt(2 * Math.PI)),
      );
    state.sample = [];
    draw();
  }

  /** A standard deviation whose curve stays inside the picture. */
  function bounded(k, spread) {
    return within(spread, state.weight[k] / (0.97 * MOST * Math.sqrt(2 * Math.PI)), WIDEST);
  }

  function handle(k) {
    const made = drawn("circle", {
      class: "handle",
      r: 10,
      fill: colourOf(k),
      tabindex: 0,
      role: "slider",
      "aria-label": `top of curve ${k}`,
      "aria-valuemin": LOW,
      "aria-valuemax": HIGH,
      "data-handle": k,
    });
    draggable(made, (x, height) => move(k, x, height));
    arrows(made, {
      ArrowLeft: () => move(k, state.mean[k] - 0.1, null),
      ArrowRight: () => move(k, state.mean[k] + 0.1, null),
      ArrowUp: () => widen(k, 1 / 1.05),
      ArrowDown: () => widen(k, 1.05),
    });
    return made;
  }

  function widen(k, factor) {
    state.spread[k] = bounded(k, state.spread[k] * factor);
    state.sample = [];
    draw();
  }

  function pointHandle() {
    const made = drawn("circle", {
      class: "handle",
      r: 9,
      cy: BASE,
      fill: "currentColor",
      tabindex: 0,
      role: "slider",
      "aria-label": "the point",
      "aria-valuemin": LOW,
      "aria-valuemax": HIGH,
      "data-handle": "x",
    });
    const to = (x) => ((state.x = within(x, LOW, HIGH)), draw());
    draggable(made, to);
    arrows(made, { ArrowLeft: () => to(state.x - 0.05), ArrowRight: () => to(state.x + 0.05) });
    return made;
  }

  function draggable(made, moved) {
    made.style.touchAction = "none";
    made.addEventListener("pointerdown", (event) => made.setPointerCapture(event.pointerId));
    made.addEventListener("pointermove", (event) => {
      if (!made.hasPointerCapture(event.pointerId)) return;
      const box = chart.getBoundingClientRect();
      const x = LOW + ((event.clientX - box.left) / box.width) * (HIGH - LOW);
      const y = ((event.clientY - box.top) / box.height) * HEIGHT;
      moved(x, ((BASE - y) / (BASE - TOP)) * MOST);
    });
  }

  return draw;
}

function arrows(made, moves) {
  made.addEventListener("keydown", (event) => {
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  });
}

function axis(layer) {
  layer.append(drawn("path", { class: "axis", d: `M0 ${BASE}H${WIDTH}` }));
  for (const x of ticks(LOW, HIGH - 0.5, 12))
    layer.append(
      drawn(
        "text",
        { x: u(x), y: BASE + 20, "text-anchor": "middle" },
        String(x).replace("-", "−"),
      ),
    );
}

function set(made, attributes) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
}
