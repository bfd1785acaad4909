// A scatter plot on a canvas: axes, points, ellipses, and one marked point.

import { element } from "./elements.js";
import { colourOf, themed } from "./colours.js";
import { ellipse } from "./mixture.js";

const MARGIN = { left: 46, right: 12, top: 10, bottom: 36 };
const NEAR = 24; // pixels within which a click finds a point
export const LEVELS = [0.5, 0.9];

export class Plane {
  /**
   * Options: `label` for screen readers, `pick(index, place)` for clicks and arrow keys.
   */
  constructor({ label, pick }) {
    this.canvas = element("canvas", {
      role: "img",
      "aria-label": label,
      tabindex: pick ? 0 : null,
    });
    this.pick = pick;
    this.picture = null;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    if (pick) {
      this.canvas.addEventListener("click", (event) => this.#clicked(event));
      this.canvas.addEventListener("keydown", (event) => this.#pressed(event));
    }
  }

  /** Show a picture: { rows, names, colours, sizes, rings, mixture, marked, centres }. */
  show(picture) {
    this.picture = picture;
    this.draw();
  }

  draw() {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    if (!this.picture || !width) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    this.#place(width, height);
    this.#axes(pen, width, height);
    this.#points(pen);
    if (this.picture.mixture) this.#ellipses(pen);
    for (const [k, place] of (this.picture.centres ?? []).entries()) this.#cross(pen, place, k);
    this.#mark(pen);
  }

  /** Where a pair of values lies on the canvas, and back. */
  toPixels([x, y]) {
    return [this.x0 + (x - this.box[0]) * this.sx, this.y0 - (y - this.box[2]) * this.sy];
  }

  toValues([u, v]) {
    return [this.box[0] + (u - this.x0) / this.sx, this.box[2] + (this.y0 - v) / this.sy];
  }

  #place(width, height) {
    this.box = this.picture.box ?? boxOf(this.picture.rows);
    [this.x0, this.y0] = [MARGIN.left, height - MARGIN.bottom];
    this.sx = (width - MARGIN.left - MARGIN.right) / (this.box[1] - this.box[0]);
    this.sy = (height - MARGIN.top - MARGIN.bottom) / (this.box[3] - this.box[2]);
  }

  #axes(pen, width, height) {
    const [left, right, low, high] = this.box;
    pen.strokeStyle = themed("--line");
    pen.fillStyle = themed("--soft");
    pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
    pen.lineWidth = 1;
    pen.strokeRect(
      MARGIN.left,
      MARGIN.top,
      width - MARGIN.left - MARGIN.right,
      height - MARGIN.top - MARGIN.bottom,
    );
    pen.textAlign = "center";
    for (const tick of ticks(left, right))
      pen.fillText(shown(tick), this.toPixels([tick, low])[0], height - MARGIN.bottom + 15);
    pen.fillText(this.picture.names[0], width / 2, height - 5);
    pen.textAlign = "right";
    for (const tick of ticks(low, high))
      pen.fillText(shown(tick), MARGIN.left - 5, this.toPixels([left, tick])[1] + 4);
    pen.save();
    pen.translate(11, height / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(this.picture.names[1], 0, 0);
    pen.restore();
  }

  #points(pen) {
    const { rows, colours, sizes, noise } = this.picture;
    pen.globalAlpha = rows.length > 1500 ? 0.55 : 0.85;
    for (const [i, row] of rows.entries()) {
      const [u, v] = this.toPixels(row);
      pen.fillStyle = pen.strokeStyle = colours ? colours[i] : themed("--soft");
      pen.beginPath();
      if (noise?.[i]) {
        pen.moveTo(u - 3, v - 3);
        pen.lineTo(u + 3, v + 3);
        pen.moveTo(u - 3, v + 3);
        pen.lineTo(u + 3, v - 3);
        pen.stroke();
      } else {
        pen.arc(u, v, sizes ? sizes[i] : rows.length > 1500 ? 2 : 3.4, 0, 2 * Math.PI);
        pen.fill();
      }
    }
    pen.globalAlpha = 1;
  }

  #ellipses(pen) {
    const { means, covariances } = this.picture.mixture;
    pen.save();
    pen.beginPath();
    pen.rect(
      MARGIN.left,
      MARGIN.top,
      (this.box[1] - this.box[0]) * this.sx,
      (this.box[3] - this.box[2]) * this.sy,
    );
    pen.clip();
    for (const [k, mean] of means.entries()) {
      pen.strokeStyle = colourOf(k);
      for (const [i, level] of LEVELS.entries()) {
        pen.lineWidth = i ? 1.4 : 2.4;
        pen.beginPath();
        for (const point of ellipse(mean, covariances[k], level))
          pen.lineTo(...this.toPixels(point));
        pen.stroke();
      }
      this.#cross(pen, mean, k);
    }
    pen.restore();
  }

  #cross(pen, place, k) {
    const [u, v] = this.toPixels(place);
    for (const [width, colour] of [
      [5, themed("--card")],
      [2.5, colourOf(k)],
    ]) {
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.moveTo(u - 6, v);
      pen.lineTo(u + 6, v);
      pen.moveTo(u, v - 6);
      pen.lineTo(u, v + 6);
      pen.stroke();
    }
  }

  #mark(pen) {
    const row = this.picture.rows[this.picture.marked];
    if (!row) return;
    const [u, v] = this.toPixels(row);
    for (const [width, colour] of [
      [6, themed("--card")],
      [2.5, themed("--ink")],
    ]) {
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(u, v, 9, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  #clicked(event) {
    if (!this.picture) return;
    const at = [event.offsetX, event.offsetY];
    let nearest = -1;
    let distance = NEAR;
    for (const [i, row] of this.picture.rows.entries()) {
      const [u, v] = this.toPixels(row);
      const away = Math.hypot(u - at[0], v - at[1]);
      if (away < distance) [nearest, distance] = [i, away];
    }
    this.pick(nearest, this.toValues(at));
  }

  #pressed(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !this.picture) return;
    event.preventDefault();
    const { rows, marked } = this.picture;
    const order = rows.map((_, i) => i).sort((a, b) => rows[a][0] - rows[b][0]);
    const next = marked === undefined ? 0 : order.indexOf(marked) + step;
    const index = order[(next + order.length) % order.length];
    this.pick(index, rows[index]);
  }
}

/** [left, right, low, high] with a margin around the rows. */
export function boxOf(rows) {
  const edges = [0, 1].flatMap((j) => {
    const values = rows.map((row) => row[j]);
    const low = values.reduce((a, b) => Math.min(a, b));
    const high = values.reduce((a, b) => Math.max(a, b));
    const room = 0.08 * (high - low || 1);
    return [low - room, high + room];
  });
  return edges;
}

/** Round numbers between two values. */
export function ticks(low, high, wanted = 5) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const first = Math.ceil(low / step);
  return Array.from(
    { length: Math.max(Math.floor(high / step) - first + 1, 0) },
    (_, i) => (first + i) * step,
  );
}

export function shown(tick) {
  return Number(tick.toPrecision(6)).toString().replace("-", "−");
}
