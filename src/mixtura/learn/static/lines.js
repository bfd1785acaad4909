// Line charts as SVG, with points to click or to reach with the keyboard.

import { drawn } from "./elements.js";
import { shown, ticks } from "./plane.js";

const MARGIN = { left: 72, right: 48, top: 14, bottom: 42 };

/**
 * A chart of several lines over the same places.
 * lines: [{ name, colour, points: [[x, y], ...], dots }]; pick(x): makes the dots buttons; chosen:
 * a marked x; frame: future points, which the axes already include; width: that of the chart in
 * pixels, in which the text keeps its size.
 */
export function lineChart({
  lines,
  xName,
  yName,
  label,
  pick,
  chosen,
  frame = [],
  width: WIDTH = 460,
  height = 320,
  wholeX = true,
  low: least,
}) {
  const all = [...lines.flatMap((line) => line.points), ...frame];
  const [left, right] = extent(all.map(([x]) => x));
  const [bottom, top] = extent(
    all.map(([, y]) => y),
    0.06,
  );
  const low = least ?? bottom;
  const u = (x) =>
    MARGIN.left + ((x - left) / (right - left || 1)) * (WIDTH - MARGIN.left - MARGIN.right);
  const v = (y) =>
    height - MARGIN.bottom - ((y - low) / (top - low || 1)) * (height - MARGIN.top - MARGIN.bottom);
  const chart = drawn("svg", {
    class: WIDTH < 400 ? "chart narrow" : "chart",
    viewBox: `0 0 ${WIDTH} ${height}`,
    role: pick ? "group" : "img",
    "aria-label": label,
  });
  chart.append(
    drawn("path", {
      class: "axis",
      d: `M${MARGIN.left} ${MARGIN.top}V${height - MARGIN.bottom}H${WIDTH - MARGIN.right}`,
    }),
  );
  const places = wholeX
    ? ticks(left, right, Math.min(10, right - left)).filter(Number.isInteger)
    : ticks(left, right);
  for (const x of places)
    chart.append(
      drawn("text", { x: u(x), y: height - MARGIN.bottom + 17, "text-anchor": "middle" }, shown(x)),
    );
  for (const y of ticks(low, top))
    chart.append(
      drawn("text", { x: MARGIN.left - 7, y: v(y) + 4, "text-anchor": "end" }, shown(y)),
    );
  chart.append(
    drawn(
      "text",
      { x: (MARGIN.left + WIDTH - MARGIN.right) / 2, y: height - 6, "text-anchor": "middle" },
      xName,
    ),
  );
  chart.append(
    drawn(
      "text",
      {
        transform: `translate(13 ${(height - MARGIN.bottom) / 2}) rotate(-90)`,
        "text-anchor": "middle",
      },
      yName,
    ),
  );
  if (chosen !== undefined)
    chart.append(
      drawn("path", {
        class: "axis",
        d: `M${u(chosen)} ${MARGIN.top}V${height - MARGIN.bottom}`,
        "stroke-dasharray": "4 4",
      }),
    );
  const ends = lines.map((line) => v(line.points.at(-1)[1]));
  lines.forEach((line, i) => {
    const crowded = ends.some((end, j) => j < i && Math.abs(end - ends[i]) < 14);
    chart.append(
      drawn("polyline", {
        points: line.points.map(([x, y]) => `${u(x)},${v(y)}`).join(" "),
        fill: "none",
        stroke: line.colour,
        "stroke-width": 2,
      }),
    );
    if (line.dots)
      for (const point of line.points) chart.append(dot(line, point, u, v, pick, chosen));
    chart.append(
      drawn(
        "text",
        { class: "strong", x: u(line.points.at(-1)[0]) + 9, y: ends[i] + (crowded ? 17 : 4) },
        line.name,
      ),
    );
  });
  return chart;
}

function dot(line, [x, y], u, v, pick, chosen) {
  const attributes = {
    class: "dot",
    cx: u(x),
    cy: v(y),
    r: x === chosen ? 7 : 5,
    fill: line.colour,
  };
  if (pick) {
    const choose = () => pick(x);
    Object.assign(attributes, {
      tabindex: 0,
      role: "button",
      "aria-label": `${line.name} at ${shown(x)}: ${shown(y)}`,
      "data-x": x,
      "data-line": line.name,
    });
    Object.assign(attributes, {
      click: choose,
      keydown: (event) => ["Enter", " "].includes(event.key) && (event.preventDefault(), choose()),
    });
  }
  return drawn("circle", attributes);
}

function extent(values, room = 0) {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const around = room * (high - low || 1);
  return [low - around, high + around];
}
