// Points on a canvas, with the ellipses of a mixture: a module in anywidget's form, for a page and a notebook alike.
//
// The model holds: x, y (bytes, n float32 from 0 to 1), x_axis, y_axis ({name, low, high}), memberships (bytes, n x K, in
// 255ths), certainty (bytes, n float32), colours (K+ triples, 0 to 255), centres ([k][x, y]) and ellipses ([level][k][[x, y], ...])
// in units of the axes, threshold (rows whose certainty is below it are grey), selected (a row, or -1; set by clicks and
// arrow keys), title (what a screen reader says), plain (true: a small picture without axes). Nothing is computed here but pixels.

const MANY = 4000; // above so many points each one is small and see-through
const GREY_LIGHT = [0.34, 0.34, 0.34]; // of rows that are unsure, as linear light
const STEPS = 4096;

// ---- light: colours are mixed as light is, as in mixtura.plots --------------------------------------------------------

const toLight = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const toScreen = (v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);
const SCREEN = Uint8ClampedArray.from({ length: STEPS + 1 }, (_, i) => Math.round(255 * toScreen(i / STEPS)));

const floats = (value) => typed(value, Float32Array);
const bytes = (value) => typed(value, Uint8Array);

function typed(value, Kind) {
  if (!value) return new Kind(0);
  if (value instanceof Kind) return value;
  if (value instanceof ArrayBuffer) return new Kind(value);
  return new Kind(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength)); // a notebook sends a DataView
}

/** The light of each point (3 n): the blend of its components, or grey. */
function lights(memberships, certainty, colours, threshold, n) {
  const K = n ? memberships.length / n : 0;
  const own = colours.map((colour) => colour.map((v) => toLight(v / 255) / 255));
  const light = new Float32Array(3 * n);
  for (let i = 0; i < n; i++) {
    let [r, g, b] = [0, 0, 0];
    let total = 0;
    if (certainty[i] >= threshold) {
      for (let k = 0; k < K; k++) {
        const share = memberships[i * K + k];
        if (share === 0) continue;
        const colour = own[k % own.length];
        total += share;
        r += share * colour[0];
        g += share * colour[1];
        b += share * colour[2];
      }
    }
    if (total === 0) [r, g, b] = GREY_LIGHT;
    light[3 * i] = r;
    light[3 * i + 1] = g;
    light[3 * i + 2] = b;
  }
  return light;
}

// ---- discs: how much of each pixel a point covers ----------------------------------------------------------------------

function disc(radius) {
  const reach = Math.ceil(radius);
  const cells = [];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const cover = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(dx, dy)));
      if (cover > 0) cells.push([dx, dy, cover]);
    }
  }
  return cells;
}

/** Where points lie on top of each other, a pixel has the mean of their light, and is the less see-through the more there are. */
function paint(image, px, py, light, radius, opacity) {
  const { width, height, data } = image;
  const sums = new Float32Array(4 * width * height);
  const cells = disc(radius);
  for (const [dx, dy, cover] of cells) {
    for (let i = 0; i < px.length; i++) {
      const u = Math.round(px[i]) + dx;
      const v = Math.round(py[i]) + dy;
      if (u < 0 || v < 0 || u >= width || v >= height) continue;
      const at = 4 * (v * width + u);
      sums[at] += cover * light[3 * i];
      sums[at + 1] += cover * light[3 * i + 1];
      sums[at + 2] += cover * light[3 * i + 2];
      sums[at + 3] += cover;
    }
  }
  const thin = Math.log(1 - opacity);
  for (let at = 0; at < sums.length; at += 4) {
    const total = sums[at + 3];
    if (total === 0) continue;
    for (let c = 0; c < 3; c++) data[at + c] = SCREEN[Math.round((STEPS * sums[at + c]) / total)];
    data[at + 3] = 255 * (1 - Math.exp(thin * total));
  }
}

// ---- axes ----------------------------------------------------------------------------------------------------------------

/** Round numbers between two others, about as many as asked for. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? rough;
  const first = Math.ceil(low / step);
  const found = [];
  for (let i = first; i * step <= high * (1 + 1e-12) && found.length < 50; i++) found.push(i * step);
  return { step, values: found };
}

function tickLabel(value, step) {
  if (Math.abs(value) >= 1e6 || (step < 1e-4 && value !== 0)) return value.toExponential(2);
  return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

// ---- the picture -----------------------------------------------------------------------------------------------------------

class Scatter {
  constructor(model, el) {
    this.model = model;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "mixtura-scatter";
    this.canvas.style.width = "100%";
    this.canvas.style.height = "100%";
    this.canvas.style.display = "block";
    this.canvas.style.touchAction = "manipulation";
    this.canvas.setAttribute("role", "img");
    el.append(this.canvas);
    this.el = el;
    this.reset();
    this.waiting = false;
    this.stale = { light: true, places: true };
    this.observer = new ResizeObserver(() => this.refresh("places"));
    this.observer.observe(el);
    this.listen();
  }

  listen() {
    this.handlers = [
      [["x", "y", "x_axis", "y_axis"], () => (this.reset(), this.refresh("places"))],
      [["memberships", "certainty", "colours", "threshold"], () => this.refresh("light")],
      [["ellipses", "centres", "selected", "title"], () => this.refresh()],
    ].flatMap(([names, handler]) => names.map((name) => [`change:${name}`, handler]));
    for (const [event, handler] of this.handlers) this.model.on(event, handler);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.rescheme = () => this.refresh();
    this.scheme.addEventListener("change", this.rescheme);
    if (this.model.get("plain")) return;
    this.canvas.tabIndex = 0;
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.canvas.addEventListener("dblclick", () => (this.reset(), this.refresh("places")));
  }

  remove() {
    for (const [event, handler] of this.handlers) this.model.off(event, handler);
    this.scheme.removeEventListener("change", this.rescheme);
    this.observer.disconnect();
    this.canvas.remove();
  }

  // ---- what is drawn next ----

  reset() {
    this.window = { x: [-0.05, 1.05], y: [-0.05, 1.05] };
  }

  refresh(what) {
    if (what) this.stale[what] = true;
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  measure() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const { width, height } = this.el.getBoundingClientRect();
    const plain = this.model.get("plain");
    this.ratio = ratio;
    this.size = { width: Math.max(60, width), height: Math.max(60, height) };
    this.canvas.width = Math.round(this.size.width * ratio);
    this.canvas.height = Math.round(this.size.height * ratio);
    this.area = plain
      ? { left: 2, top: 2, right: this.size.width - 2, bottom: this.size.height - 2 }
      : { left: 58, top: 8, right: this.size.width - 10, bottom: this.size.height - 44 };
  }

  place() {
    const n = (this.x = floats(this.model.get("x"))).length;
    this.y = floats(this.model.get("y"));
    const { left, top, right, bottom } = this.area;
    const [width, height] = [(right - left) * this.ratio, (bottom - top) * this.ratio];
    const [x0, x1] = this.window.x;
    const [y0, y1] = this.window.y;
    this.px = new Float32Array(n);
    this.py = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      this.px[i] = ((this.x[i] - x0) / (x1 - x0)) * width;
      this.py[i] = (1 - (this.y[i] - y0) / (y1 - y0)) * height;
    }
  }

  /** Units of the axes to CSS pixels. */
  toPixels([x, y]) {
    const { left, top, right, bottom } = this.area;
    const share = (value, axis) => (value - axis.low) / (axis.high - axis.low);
    const along = (value, [low, high]) => (value - low) / (high - low);
    return [
      left + along(share(x, this.model.get("x_axis")), this.window.x) * (right - left),
      bottom - along(share(y, this.model.get("y_axis")), this.window.y) * (bottom - top),
    ];
  }

  draw() {
    const before = this.size && [this.canvas.width, this.canvas.height];
    this.measure();
    if (!before || before[0] !== this.canvas.width || before[1] !== this.canvas.height) this.stale.places = true;
    if (this.stale.places) this.place();
    const get = (name) => this.model.get(name);
    if (this.stale.light || this.light.length !== 3 * this.x.length) {
      this.light = lights(bytes(get("memberships")), floats(get("certainty")), get("colours"), get("threshold"), this.x.length);
    }
    this.stale = { light: false, places: false };
    this.canvas.setAttribute("aria-label", get("title") || "scatter of the points");
    const context = this.canvas.getContext("2d");
    this.look = this.colours();
    this.drawPoints(context);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    if (!get("plain")) this.drawAxes(context);
    this.drawEllipses(context);
    this.drawSelected(context);
  }

  colours() {
    const style = getComputedStyle(this.canvas);
    const given = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
    return { ink: given("--ink", style.color), paper: given("--card", "#fff"), line: given("--line", "#8888"), font: style.fontFamily };
  }

  drawPoints(context) {
    const { left, top, right, bottom } = this.area;
    const [width, height] = [Math.round((right - left) * this.ratio), Math.round((bottom - top) * this.ratio)];
    const image = context.createImageData(width, height);
    const many = this.x.length > MANY;
    const small = this.model.get("plain");
    const radius = (many ? 0.8 : small ? 2.1 : 3.4 - 1.4 * (this.x.length / MANY)) * this.ratio;
    paint(image, this.px, this.py, this.light, radius, many ? 0.45 : 0.85);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.putImageData(image, Math.round(left * this.ratio), Math.round(top * this.ratio));
  }

  drawAxes(context) {
    const { left, top, right, bottom } = this.area;
    context.strokeStyle = this.look.line;
    context.fillStyle = this.look.ink;
    context.lineWidth = 1;
    context.strokeRect(left + 0.5, top + 0.5, right - left - 1, bottom - top - 1);
    context.font = `12px ${this.look.font}`;
    this.drawTicks(context, "x", (right - left) / 90);
    this.drawTicks(context, "y", (bottom - top) / 60);
    context.font = `600 13px ${this.look.font}`;
    context.textAlign = "center";
    context.textBaseline = "bottom";
    context.fillText(shortened(this.model.get("x_axis")?.name), (left + right) / 2, this.size.height - 4);
    context.save();
    context.translate(4, (top + bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.textBaseline = "top";
    context.fillText(shortened(this.model.get("y_axis")?.name), 0, 0);
    context.restore();
  }

  drawTicks(context, which, count) {
    const axis = this.model.get(`${which}_axis`);
    if (!axis) return;
    const { left, bottom } = this.area;
    const [low, high] = this.window[which].map((share) => axis.low + share * (axis.high - axis.low));
    const { step, values } = ticks(low, high, Math.max(2, count));
    context.textAlign = which === "x" ? "center" : "right";
    context.textBaseline = which === "x" ? "top" : "middle";
    for (const value of values) {
      const [x, y] = this.toPixels(which === "x" ? [value, this.model.get("y_axis").low] : [this.model.get("x_axis").low, value]);
      context.beginPath();
      if (which === "x") {
        context.moveTo(x, bottom);
        context.lineTo(x, bottom + 4);
        context.fillText(tickLabel(value, step), x, bottom + 7);
      } else {
        context.moveTo(left - 4, y);
        context.lineTo(left, y);
        context.fillText(tickLabel(value, step), left - 7, y);
      }
      context.stroke();
    }
  }

  drawEllipses(context) {
    const levels = this.model.get("ellipses") ?? [];
    const { left, top, right, bottom } = this.area;
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    levels.forEach((outlines, level) => outlines.forEach((outline, k) => this.drawOutline(context, outline, k, level)));
    if (!this.model.get("plain")) (this.model.get("centres") ?? []).forEach((centre, k) => this.drawCentre(context, centre, k));
    context.restore();
  }

  colour(k) {
    const colours = this.model.get("colours");
    return `rgb(${colours[k % colours.length].join(" ")})`;
  }

  drawOutline(context, outline, k, level) {
    context.beginPath();
    outline.forEach((point, i) => context[i ? "lineTo" : "moveTo"](...this.toPixels(point)));
    for (const [colour, width] of [
      [this.look.paper, 4.5 - level],
      [this.colour(k), 2.5 - 0.8 * level],
    ]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  }

  drawCentre(context, centre, k) {
    const [x, y] = this.toPixels(centre);
    const light = this.model.get("colours")[k % this.model.get("colours").length];
    context.beginPath();
    context.arc(x, y, 9, 0, 2 * Math.PI);
    context.fillStyle = this.colour(k);
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = this.look.paper;
    context.stroke();
    context.fillStyle = 0.299 * light[0] + 0.587 * light[1] + 0.114 * light[2] > 150 ? "#111" : "#fff";
    context.font = `700 11px ${this.look.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(String(k), x, y + 0.5);
  }

  drawSelected(context) {
    const i = this.model.get("selected");
    if (!(i >= 0) || i >= this.px.length) return;
    const [x, y] = [this.area.left + this.px[i] / this.ratio, this.area.top + this.py[i] / this.ratio];
    for (const [colour, width] of [
      [this.look.paper, 5],
      [this.look.ink, 2],
    ]) {
      context.beginPath();
      context.arc(x, y, 8, 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  }

  // ---- choosing a point ----

  select(i) {
    if (i < 0) return;
    this.model.set("selected", i);
    this.model.save_changes();
  }

  nearest(x, y, fits, far) {
    let [best, least] = [-1, far * far];
    for (let i = 0; i < this.px.length; i++) {
      const [dx, dy] = [this.px[i] - x, this.py[i] - y];
      const distance = dx * dx + dy * dy;
      if (distance < least && fits(dx, dy)) [best, least] = [i, distance];
    }
    return best;
  }

  click(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const x = (event.clientX - left - this.area.left) * this.ratio;
    const y = (event.clientY - top - this.area.top) * this.ratio;
    this.select(this.nearest(x, y, () => true, 24 * this.ratio));
  }

  press(event) {
    const beside = {
      ArrowRight: (dx, dy) => dx > 0 && Math.abs(dy) <= dx,
      ArrowLeft: (dx, dy) => dx < 0 && Math.abs(dy) <= -dx,
      ArrowDown: (dx, dy) => dy > 0 && Math.abs(dx) <= dy,
      ArrowUp: (dx, dy) => dy < 0 && Math.abs(dx) <= -dy,
    }[event.key];
    const zoom = { "+": 0.8, "=": 0.8, "-": 1.25 }[event.key];
    if (beside) this.step(beside);
    else if (zoom) this.zoom(0.5, 0.5, zoom);
    else if (event.key === "0") this.reset();
    else return;
    event.preventDefault();
    this.refresh("places");
  }

  step(beside) {
    const i = this.model.get("selected");
    const { left, top, right, bottom } = this.area;
    const middle = [((right - left) * this.ratio) / 2, ((bottom - top) * this.ratio) / 2];
    if (i >= 0) this.select(this.nearest(this.px[i], this.py[i], beside, Infinity));
    else this.select(this.nearest(...middle, () => true, Infinity));
  }

  wheel(event) {
    if (!event.ctrlKey && !event.shiftKey) return; // the wheel alone scrolls the page
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    const { left, top, right, bottom } = this.area;
    const u = (event.clientX - box.left - left) / (right - left);
    const v = 1 - (event.clientY - box.top - top) / (bottom - top);
    this.zoom(u, v, (event.deltaY || event.deltaX) > 0 ? 1.15 : 1 / 1.15);
    this.refresh("places");
  }

  zoom(u, v, factor) {
    const about = ([low, high], share) => {
      const fixed = low + share * (high - low);
      return [fixed + factor * (low - fixed), fixed + factor * (high - fixed)];
    };
    this.window = { x: about(this.window.x, u), y: about(this.window.y, v) };
  }
}

function shortened(name = "") {
  return name.length > 40 ? `${name.slice(0, 39)}…` : name;
}

/** A model for pages that have none of a notebook's: the same five methods. */
export class LocalModel {
  constructor(values) {
    this.values = { ...values };
    this.handlers = {};
  }
  get(name) {
    return this.values[name];
  }
  set(name, value) {
    this.values[name] = value;
    for (const handler of this.handlers[`change:${name}`] ?? []) handler();
  }
  on(event, handler) {
    (this.handlers[event] ??= []).push(handler);
  }
  off(event, handler) {
    this.handlers[event] = (this.handlers[event] ?? []).filter((other) => other !== handler);
  }
  save_changes() {}
}

function render({ model, el }) {
  if (!el.style.height && el.getBoundingClientRect().height < 120) el.style.height = "420px";
  const scatter = new Scatter(model, el);
  return () => scatter.remove();
}

export default { render };
