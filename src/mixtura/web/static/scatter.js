// A scatter plot on a canvas, with the ellipses of a mixture: a module in anywidget's form, for the
// explorer, the report and a notebook.
//
// The model has: x, y (bytes, n float32 from 0 to 1, NaN where missing), x_axis, y_axis ({name, low, high}),
// memberships (bytes, n x K, in 255ths), certainty (bytes, n float32), colours (at least K triples,
// 0 to 255), centres ([k][x, y]) and ellipses ([level][k][[x, y], ...]) in units of the axes,
// threshold (rows whose certainty is below it are grey), selected (a row, or -1; set by clicks and
// keys), title (the text for screen readers), plain (true: a small picture without axes). It may
// have regions ([level]{label, lines: [[x, y], ...]}, borders in units of the axes) and mark ({axis:
// "x" or "y", value}, a line at a value). The module computes pixels only.
//
// With shares (bytes, n x K uint16, in 65535ths: memberships precise enough to be read as numbers)
// a panel below the picture has a slider for the threshold and the bars of the selected row. Rows
// are counted from 1. The model may then have rows (bytes, n uint32: the number of each row),
// in_python (true: X[0] beside row 1), word ("component" or "cluster") and row_words (a text about
// the selected row).

const FEW = 400; // up to this many visible points, points are large
const MANY = 20000; // from this many visible points on, points are small and transparent
const FULL = [-0.05, 1.05]; // the first view, as shares of the data's range,
const REACH = 0.2; // is extended up to this far beyond the data to show the ellipses,
const ROOM = 0.02; // with this margin
const WIDEST = 2; // the largest view, in ranges of the data
const BUTTONS = 108; // CSS pixels at the lower right that the buttons need
const CLOSEST = 1e-4; // the smallest view, limited by 32-bit numbers
const GREY_LIGHT = 0.34; // of unsure rows, as linear light
const STEPS = 4096; // entries of the table from linear light to screen colours

// ---- light: colours are mixed as light is, as in mixtura.plots ----------------------------------

const toLight = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const toScreen = (v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);
const SCREEN = Uint8ClampedArray.from({ length: STEPS + 1 }, (_, i) =>
  Math.round(255 * toScreen(i / STEPS)),
);

const floats = (value) => typed(value, Float32Array);
const bytes = (value) => typed(value, Uint8Array);

function typed(value, Kind) {
  if (!value) return new Kind(0);
  if (value instanceof Kind) return value;
  if (value instanceof ArrayBuffer) return new Kind(value);
  // A notebook sends a DataView.
  return new Kind(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength));
}

/**
 * The light of each point (3 n): the blend of its components, or grey. It must be fast, as it runs
 * while a slider moves.
 */
function lights(memberships, certainty, colours, threshold, light) {
  const n = light.length / 3;
  const K = n ? memberships.length / n : 0;
  const own = Float32Array.from(
    { length: 3 * K },
    (_, at) => toLight(colours[Math.floor(at / 3) % colours.length][at % 3] / 255) / 255,
  );
  for (let i = 0; i < n; i++) {
    let r = 0;
    let g = 0;
    let b = 0;
    if (certainty[i] >= threshold) {
      for (let k = 0; k < K; k++) {
        const share = memberships[i * K + k];
        r += share * own[3 * k];
        g += share * own[3 * k + 1];
        b += share * own[3 * k + 2];
      }
    }
    if (r + g + b === 0) r = g = b = GREY_LIGHT; // unsure, or noise, which has no component
    light[3 * i] = r;
    light[3 * i + 1] = g;
    light[3 * i + 2] = b;
  }
  return light;
}

// ---- discs: how much of each pixel a point covers -----------------------------------------------

function disc(radius) {
  const reach = Math.ceil(radius);
  const cells = [];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const cover = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(dx, dy)));
      if (cover > 0) cells.push([dx, dy, cover]);
    }
  }
  return { reach, cells };
}

/** An image of points that is painted many times; its memory is reused for speed. */
class Painting {
  /**
   * Where points overlap, a pixel has the mean of their light, and more points make it more
   * opaque.
   */
  paint(context, width, height, px, py, light, radius, opacity) {
    const { reach, cells } = disc(radius);
    this.fit(context, width, height, reach);
    this.gather(px, py, light, reach);
    this.spread(cells, reach);
    this.writePixels(reach, opacity);
    return this.image;
  }

  /** Allocate the sums of light and cover, with a margin for the discs of points at the edge. */
  fit(context, width, height, reach) {
    const numbers = 4 * (width + 4 * reach) * (height + 4 * reach);
    if (
      this.image?.width !== width ||
      this.image.height !== height ||
      this.sums.length !== numbers
    ) {
      this.image = context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.centres = new Float32Array(numbers);
      this.sums = new Float32Array(numbers);
    } else {
      this.centres.fill(0);
      this.sums.fill(0);
    }
  }

  /**
   * Sum the light of the points in each pixel; discs are added afterwards, once for each pixel and
   * not for each point.
   */
  gather(px, py, light, reach) {
    const { width, height } = this.image;
    const row = width + 4 * reach;
    const sums = this.centres;
    for (let i = 0; i < px.length; i++) {
      const u = Math.round(px[i]);
      const v = Math.round(py[i]);
      // a missing value is NaN, of which no comparison is true
      if (!(u >= -reach && v >= -reach && u < width + reach && v < height + reach)) continue;
      const at = 4 * ((v + 2 * reach) * row + u + 2 * reach);
      sums[at] += light[3 * i];
      sums[at + 1] += light[3 * i + 1];
      sums[at + 2] += light[3 * i + 2];
      sums[at + 3] += 1;
    }
  }

  spread(cells, reach) {
    const { centres, sums } = this;
    const row = this.image.width + 4 * reach;
    const offsets = Int32Array.from(cells, ([dx, dy]) => 4 * (dy * row + dx));
    const covers = Float32Array.from(cells, ([, , cover]) => cover);
    for (let middle = 0; middle < centres.length; middle += 4) {
      const total = centres[middle + 3];
      if (total === 0) continue;
      const r = centres[middle];
      const g = centres[middle + 1];
      const b = centres[middle + 2];
      for (let c = 0; c < offsets.length; c++) {
        const at = middle + offsets[c];
        const cover = covers[c];
        sums[at] += cover * r;
        sums[at + 1] += cover * g;
        sums[at + 2] += cover * b;
        sums[at + 3] += cover * total;
      }
    }
  }

  writePixels(reach, opacity) {
    const { width, height } = this.image;
    const [sums, pixels] = [this.sums, this.pixels];
    const alpha = covering(opacity);
    let to = 0;
    for (let v = 0; v < height; v++) {
      let at = 4 * ((v + 2 * reach) * (width + 4 * reach) + 2 * reach);
      for (let u = 0; u < width; u++, at += 4, to++) {
        const total = sums[at + 3];
        if (total === 0) {
          pixels[to] = 0;
          continue;
        }
        const share = STEPS / total;
        const a = alpha[Math.min(LAST, (total * PER_DISC) | 0)];
        pixels[to] =
          (a << 24) |
          (SCREEN[(sums[at + 2] * share + 0.5) | 0] << 16) |
          (SCREEN[(sums[at + 1] * share + 0.5) | 0] << 8) |
          SCREEN[(sums[at] * share + 0.5) | 0];
      }
    }
  }
}

const PER_DISC = 64; // steps of cover for one disc
const LAST = 64 * PER_DISC;

/** The opacity (0 to 255) of overlapping discs, by their number. */
function covering(opacity) {
  const thin = Math.log(1 - opacity) / PER_DISC;
  const alpha = new Uint8Array(LAST + 1);
  for (let i = 0; i <= LAST; i++) alpha[i] = 255 * (1 - Math.exp(thin * (i + 0.5)));
  return alpha;
}

/** Size and opacity of points by the number of visible ones: many are small and transparent. */
function dots(count, small) {
  const crowd = Math.min(1, Math.max(0, Math.log((count + 1) / FEW) / Math.log(MANY / FEW)));
  return {
    radius: (small ? 2.1 : 3.4) * (1 - crowd) + 0.8 * crowd,
    opacity: 0.85 * (1 - crowd) + 0.45 * crowd,
  };
}

// ---- axes ---------------------------------------------------------------------------------------

/** Round numbers in a range, about as many as requested. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? rough;
  const first = Math.ceil(low / step);
  const found = [];
  for (let i = first; i * step <= high * (1 + 1e-12) && found.length < 50; i++)
    found.push(i * step);
  return { step, values: found };
}

function tickLabel(value, step) {
  if (Math.abs(value) >= 1e6 || (step < 1e-4 && value !== 0)) return value.toExponential(2);
  return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

// ---- the picture --------------------------------------------------------------------------------

class Scatter {
  constructor(model, el) {
    this.model = model;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "mixtura-scatter";
    Object.assign(this.canvas.style, { width: "100%", height: "100%", display: "block" });
    this.canvas.setAttribute("role", "img");
    el.append(this.canvas);
    this.el = el;
    this.painting = new Painting();
    this.waiting = false;
    this.stale = { light: true, places: true };
    this.window = { x: FULL, y: FULL };
    this.reset();
    this.observer = new ResizeObserver(() => this.refresh("places"));
    this.observer.observe(el);
    this.listen();
    if (!model.get("plain")) this.input = new PointerInput(this);
  }

  listen() {
    this.handlers = [
      [["x", "y", "x_axis", "y_axis"], () => this.reset()],
      [["memberships", "certainty", "colours", "threshold"], () => this.refresh("light")],
      [["ellipses"], () => this.grow()],
      [["centres", "selected", "title", "regions", "mark"], () => this.refresh()],
    ].flatMap(([names, handler]) => names.map((name) => [`change:${name}`, handler]));
    for (const [event, handler] of this.handlers) this.model.on(event, handler);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.rescheme = () => this.refresh();
    this.scheme.addEventListener("change", this.rescheme);
  }

  remove() {
    for (const [event, handler] of this.handlers) this.model.off(event, handler);
    this.scheme.removeEventListener("change", this.rescheme);
    this.observer.disconnect();
    this.input?.remove();
    this.canvas.remove();
  }

  // ---- what is drawn next ----

  /**
   * Show all. The range is known only when it is drawn, since data and ellipses arrive one after
   * the other.
   */
  reset() {
    this.home = null;
    this.refresh("places");
  }

  /**
   * New ellipses may widen the view of all and never narrow it, so that the view does not move
   * while EM plays.
   */
  grow() {
    this.grown = true;
    this.refresh();
  }

  updateHome() {
    const atHome =
      !this.home ||
      ["x", "y"].every((axis) =>
        this.window[axis].every((edge, i) => Math.abs(edge - this.home[axis][i]) < 1e-9),
      );
    if (!this.home || (this.grown && atHome)) {
      const before = this.home ?? { x: FULL, y: FULL };
      this.home = { x: this.around(before.x, "x"), y: this.around(before.y, "y") };
      this.setView(this.home);
    }
    this.grown = false;
  }

  /** A range, widened to contain the ellipses, within limits. */
  around([low, high], which) {
    const axis = this.model.get(`${which}_axis`);
    for (const [x, y] of (this.model.get("ellipses") ?? []).flat(2)) {
      const share = ((which === "x" ? x : y) - axis.low) / (axis.high - axis.low);
      if (share - ROOM < low) low = Math.max(share - ROOM, -REACH);
      if (share + ROOM > high) high = Math.min(share + ROOM, 1 + REACH);
    }
    return [low, high];
  }

  /** Show another part of the data. */
  setView(window) {
    if (!this.home) return; // nothing was drawn yet
    this.window = { x: within(window.x), y: within(window.y) };
    const { x, y } = this.window;
    this.canvas.dataset.view = [...x, ...y].join(" "); // read by tests
    this.isWhole = ["x", "y"].every(
      (axis) =>
        this.window[axis][0] < this.home[axis][0] + 1e-9 &&
        this.window[axis][1] > this.home[axis][1] - 1e-9,
    );
    // One finger scrolls the page while all is visible, and moves the picture once it is zoomed;
    // two fingers always zoom.
    this.canvas.style.touchAction = this.isWhole ? "pan-x pan-y" : "none";
    this.refresh("places");
  }

  /** Zoom about a fixed point, in shares of the picture. */
  zoom(u, v, factor) {
    this.setView({
      x: stretched(this.window.x, u, factor),
      y: stretched(this.window.y, v, factor),
    });
  }

  /** Move by shares of the picture. */
  pan(u, v) {
    const moved = ([low, high], share) => [low + share * (high - low), high + share * (high - low)];
    this.setView({ x: moved(this.window.x, u), y: moved(this.window.y, v) });
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
    for (const side of ["width", "height"]) {
      const pixels = Math.round(this.size[side] * ratio);
      // Setting the size takes time, even to the same value.
      if (this.canvas[side] !== pixels) this.canvas[side] = pixels;
    }
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
    if (this.px?.length !== n) [this.px, this.py] = [new Float32Array(n), new Float32Array(n)];
    const { x, y, px, py } = this;
    const [across, up] = [width / (x1 - x0), height / (y1 - y0)];
    this.visible = this.missing = 0;
    for (let i = 0; i < n; i++) {
      const u = (px[i] = (x[i] - x0) * across);
      const v = (py[i] = (y1 - y[i]) * up);
      if (u >= 0 && v >= 0 && u <= width && v <= height) this.visible++;
      if (Number.isNaN(u + v)) this.missing++;
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
    this.updateHome();
    const before = this.size && [this.canvas.width, this.canvas.height];
    this.measure();
    if (!before || before[0] !== this.canvas.width || before[1] !== this.canvas.height)
      this.stale.places = true;
    if (this.stale.places) this.place();
    const get = (name) => this.model.get(name);
    if (this.light?.length !== 3 * this.x.length)
      [this.light, this.stale.light] = [new Float32Array(3 * this.x.length), true];
    if (this.stale.light)
      lights(
        bytes(get("memberships")),
        floats(get("certainty")),
        get("colours"),
        get("threshold"),
        this.light,
      );
    this.stale = { light: false, places: false };
    const label = [get("title") || "scatter of the points", this.missingWords()];
    this.canvas.setAttribute("aria-label", label.filter(Boolean).join(". "));
    const context = this.canvas.getContext("2d");
    this.style = this.colours();
    this.drawPoints(context);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    if (!get("plain")) this.drawAxes(context);
    this.drawEllipses(context);
    this.drawRegions(context);
    this.drawSelected(context);
  }

  colours() {
    const style = getComputedStyle(this.canvas);
    const given = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
    return {
      ink: given("--ink", style.color),
      paper: given("--card", given("--jp-layout-color0", "#fff")),
      line: given("--line", "#888"),
      font: style.fontFamily,
    };
  }

  drawPoints(context) {
    const { left, top, right, bottom } = this.area;
    const [width, height] = [
      Math.round((right - left) * this.ratio),
      Math.round((bottom - top) * this.ratio),
    ];
    const { radius, opacity } = dots(this.visible, this.model.get("plain"));
    const image = this.painting.paint(
      context,
      width,
      height,
      this.px,
      this.py,
      this.light,
      radius * this.ratio,
      opacity,
    );
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.putImageData(image, Math.round(left * this.ratio), Math.round(top * this.ratio));
  }

  drawAxes(context) {
    const { left, top, right, bottom } = this.area;
    context.strokeStyle = this.style.line;
    context.fillStyle = this.style.ink;
    context.lineWidth = 1;
    context.strokeRect(left + 0.5, top + 0.5, right - left - 1, bottom - top - 1);
    context.font = `12px ${this.style.font}`;
    this.drawTicks(context, "x", (right - left) / 70);
    this.drawTicks(context, "y", (bottom - top) / 50);
    context.textAlign = "left";
    context.textBaseline = "top";
    context.fillText(this.missingWords(), left + 6, top + 6);
    context.font = `600 13px ${this.style.font}`;
    context.textAlign = "center";
    context.textBaseline = "bottom";
    const room = this.size.width - left - BUTTONS;
    const name = fitted(context, shortened(this.model.get("x_axis")?.name), room);
    const half = context.measureText(name).width / 2;
    context.fillText(
      name,
      Math.max(left + half, Math.min((left + right) / 2, left + room - half)),
      this.size.height - 4,
    );
    context.save();
    context.translate(4, (top + bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.textBaseline = "top";
    context.fillText(
      fitted(context, shortened(this.model.get("y_axis")?.name), bottom - top),
      0,
      0,
    );
    context.restore();
  }

  missingWords() {
    if (!this.missing) return "";
    const [some, all] = [this.missing, this.x.length].map((n) => n.toLocaleString("en"));
    return `${some} of ${all} rows lack a value here and are not drawn`;
  }

  drawTicks(context, which, count) {
    const axis = this.model.get(`${which}_axis`);
    if (!axis) return;
    const { left, bottom } = this.area;
    const [low, high] = this.window[which].map(
      (share) => axis.low + share * (axis.high - axis.low),
    );
    const { step, values } = ticks(low, high, Math.max(2, count));
    context.textAlign = which === "x" ? "center" : "right";
    context.textBaseline = which === "x" ? "top" : "middle";
    for (const value of values) {
      const [x, y] = this.toPixels(
        which === "x"
          ? [value, this.model.get("y_axis").low]
          : [this.model.get("x_axis").low, value],
      );
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

  /** Restrict drawing to the area of the picture, until context.restore(). */
  clip(context) {
    const { left, top, right, bottom } = this.area;
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
  }

  /** The borders of regions with their labels, and the line at a value. */
  drawRegions(context) {
    this.clip(context);
    const borders = (this.model.get("regions") ?? []).flatMap(({ label, lines }) =>
      lines.map((line) => ({ label, line: line.map((place) => this.toPixels(place)) })),
    );
    for (const { line } of borders) this.drawLine(context, line, []);
    for (const { line, label } of borders) this.drawLabel(context, line, label);
    const mark = this.model.get("mark");
    if (mark) {
      const { left, top, right, bottom } = this.area;
      const [x, y] = this.toPixels([mark.value, mark.value]);
      const ends = { x: [[x, top], [x, bottom]], y: [[left, y], [right, y]] }[mark.axis];
      this.drawLine(context, ends, [6, 4]);
    }
    context.restore();
  }

  drawLine(context, line, dashes) {
    context.beginPath();
    line.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.setLineDash([]);
    context.strokeStyle = this.style.paper;
    context.lineWidth = 3.5;
    context.globalAlpha = 0.6;
    context.stroke();
    context.globalAlpha = 1;
    context.setLineDash(dashes);
    context.strokeStyle = this.style.ink;
    context.lineWidth = 1.4;
    context.stroke();
    context.setLineDash([]);
  }

  /** The probability inside a border, at its highest place. */
  drawLabel(context, line, label) {
    const y = line.reduce((least, place) => Math.min(least, place[1]), Infinity);
    const highest = line.filter((place) => place[1] < y + 0.5).map(([across]) => across);
    const x = (Math.min(...highest) + Math.max(...highest)) / 2;
    context.font = `11px ${this.style.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.strokeStyle = this.style.paper;
    context.lineWidth = 4;
    context.lineJoin = "round";
    context.strokeText(label, x, y);
    context.fillStyle = this.style.ink;
    context.fillText(label, x, y);
  }

  drawEllipses(context) {
    const levels = this.model.get("ellipses") ?? [];
    this.clip(context);
    levels.forEach((outlines, level) =>
      outlines.forEach((outline, k) => this.drawOutline(context, outline, k, level)),
    );
    if (!this.model.get("plain"))
      (this.model.get("centres") ?? []).forEach((centre, k) => this.drawCentre(context, centre, k));
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
      [this.style.paper, 4.5 - level],
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
    context.strokeStyle = this.style.paper;
    context.stroke();
    context.fillStyle =
      0.299 * light[0] + 0.587 * light[1] + 0.114 * light[2] > 150 ? "#111" : "#fff";
    context.font = `700 11px ${this.style.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(String(k), x, y + 0.5);
  }

  drawSelected(context) {
    const i = this.model.get("selected");
    if (!(i >= 0) || i >= this.px.length) return;
    const { left, top, right, bottom } = this.area;
    const [x, y] = [left + this.px[i] / this.ratio, top + this.py[i] / this.ratio];
    if (!(x >= left && y >= top && x <= right && y <= bottom)) return;
    for (const [colour, width] of [
      [this.style.paper, 5],
      [this.style.ink, 2],
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

  /** Select the nearest point in a direction, and keep it visible. */
  step(beside) {
    const i = this.model.get("selected");
    if (i >= 0 && !Number.isNaN(this.px[i] + this.py[i]))
      this.select(this.nearest(this.px[i], this.py[i], beside, Infinity));
    else this.selectMiddle();
    this.follow();
  }

  selectMiddle() {
    const { left, top, right, bottom } = this.area;
    this.select(
      this.nearest(
        ((right - left) * this.ratio) / 2,
        ((bottom - top) * this.ratio) / 2,
        () => true,
        Infinity,
      ),
    );
  }

  follow() {
    const i = this.model.get("selected");
    if (!(i >= 0)) return;
    const share = { x: this.x[i], y: this.y[i] };
    if (Number.isNaN(share.x + share.y)) return;
    const shown = (axis) =>
      share[axis] >= this.window[axis][0] && share[axis] <= this.window[axis][1];
    if (shown("x") && shown("y")) return;
    const about = (axis) => {
      const half = (this.window[axis][1] - this.window[axis][0]) / 2;
      return [share[axis] - half, share[axis] + half];
    };
    this.setView({ x: about("x"), y: about("y") });
  }

  /** The place of an event, in CSS pixels of the area and in shares of it. */
  locate({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    const { left, top, right, bottom } = this.area;
    const [x, y] = [clientX - box.left - left, clientY - box.top - top];
    return { x, y, u: x / (right - left), v: 1 - y / (bottom - top) };
  }
}

const stretched = ([low, high], share, factor) => {
  const fixed = low + share * (high - low);
  return [fixed + factor * (low - fixed), fixed + factor * (high - fixed)];
};

/** A range limited to CLOSEST and WIDEST, whose middle is among the data. */
function within([low, high]) {
  const span = Math.min(Math.max(high - low, CLOSEST), WIDEST);
  const middle = Math.min(Math.max((low + high) / 2, 0), 1);
  return [middle - span / 2, middle + span / 2];
}

// ---- input: mouse, fingers, keys ----------------------------------------------------------------

const SLACK = 5; // CSS pixels that a click may move
const SCROLL_PAUSE = 400; // milliseconds after a scroll of the page before the wheel zooms
const KEYS = {
  ArrowRight: [0.1, 0, (dx, dy) => dx > 0 && Math.abs(dy) <= dx],
  ArrowLeft: [-0.1, 0, (dx, dy) => dx < 0 && Math.abs(dy) <= -dx],
  ArrowDown: [0, -0.1, (dx, dy) => dy > 0 && Math.abs(dx) <= dy],
  ArrowUp: [0, 0.1, (dx, dy) => dy < 0 && Math.abs(dx) <= -dy],
};
export const KEYS_IN_WORDS =
  "Arrow keys move the picture, plus and minus zoom, 0 shows all. Enter selects the point in the " +
  "middle, Shift with an arrow key the next one.";

class PointerInput {
  constructor(scatter) {
    this.scatter = scatter;
    this.fingers = new Map();
    this.scrolled = -Infinity;
    const { canvas } = scatter;
    canvas.tabIndex = 0;
    canvas.style.cursor = "crosshair";
    const on = (event, work, options) => canvas.addEventListener(event, work.bind(this), options);
    on("pointerdown", this.down);
    on("pointermove", this.move);
    for (const end of ["pointerup", "pointercancel"]) on(end, this.lift);
    on("click", this.click);
    on("dblclick", () => scatter.reset());
    on("wheel", this.wheel, { passive: false });
    on("keydown", this.press);
    this.onScroll = () => (this.scrolled = performance.now());
    window.addEventListener("scroll", this.onScroll, { capture: true, passive: true });
    this.buttons();
  }

  remove() {
    window.removeEventListener("scroll", this.onScroll, { capture: true });
    this.box.remove();
  }

  /** Buttons for touch screens; keys do the same, so they are not in the Tab order. */
  buttons() {
    const { scatter } = this;
    this.box = make("div", {
      position: "absolute",
      bottom: "0",
      right: "10px",
      display: "flex",
      gap: "4px",
    });
    const button = (text, label, work) => {
      const it = makeButton(text, {
        font: "15px/1 system-ui, sans-serif",
        width: "26px",
        minHeight: "24px",
        height: "24px",
        padding: "0",
      });
      Object.assign(it, { title: label, tabIndex: -1 });
      it.setAttribute("aria-label", label);
      it.addEventListener("click", work);
      this.box.append(it);
    };
    button("+", "Zoom in", () => scatter.zoom(0.5, 0.5, 0.7));
    button("\u2212", "Zoom out", () => scatter.zoom(0.5, 0.5, 1 / 0.7));
    button("\u2922", "Show all", () => scatter.reset());
    if (getComputedStyle(scatter.el).position === "static") scatter.el.style.position = "relative";
    scatter.el.append(this.box);
  }

  down(event) {
    if (event.button !== 0) return;
    if (this.fingers.size === 0) this.dragged = false;
    this.fingers.set(event.pointerId, event);
    this.from = event;
  }

  move(event) {
    // The button was released outside the picture.
    if (event.pointerType === "mouse" && !event.buttons) this.fingers.clear();
    if (!this.fingers.has(event.pointerId)) return;
    // One finger scrolls the page while all is visible.
    if (event.pointerType === "touch" && this.fingers.size === 1 && this.scatter.isWhole) return;
    const before = [...this.fingers.values()];
    if (!this.dragged && before.length === 1) {
      if (Math.hypot(event.clientX - this.from.clientX, event.clientY - this.from.clientY) < SLACK)
        return;
      this.begin();
    }
    this.fingers.set(event.pointerId, event);
    this.drag(
      before.map((finger) => this.scatter.locate(finger)),
      [...this.fingers.values()].map((finger) => this.scatter.locate(finger)),
    );
  }

  /** A drag goes on outside the picture. */
  begin() {
    this.dragged = true;
    this.scatter.canvas.style.cursor = "grabbing";
    for (const id of this.fingers.keys()) this.scatter.canvas.setPointerCapture(id);
  }

  drag(before, now) {
    const [a, b] = [middleOf(before), middleOf(now)];
    this.scatter.pan(a.u - b.u, a.v - b.v);
    if (now.length < 2) return;
    this.dragged = true;
    this.scatter.zoom(b.u, b.v, spread(before) / Math.max(spread(now), 1));
  }

  lift(event) {
    this.fingers.delete(event.pointerId);
    this.scatter.canvas.style.cursor = "crosshair";
  }

  click(event) {
    if (this.dragged) return;
    const { scatter } = this;
    const { x, y } = scatter.locate(event);
    scatter.select(
      scatter.nearest(x * scatter.ratio, y * scatter.ratio, () => true, 24 * scatter.ratio),
    );
  }

  /**
   * The wheel zooms, unless all is visible already or the page is being scrolled past the picture.
   */
  wheel(event) {
    const { scatter } = this;
    const amount =
      (event.deltaY || event.deltaX) *
      (event.deltaMode === 1 ? 16 : 1) *
      (event.ctrlKey ? 0.01 : 0.0015);
    const isPinch = event.ctrlKey;
    if (
      !isPinch &&
      (performance.now() - this.scrolled < SCROLL_PAUSE || (amount > 0 && scatter.isWhole))
    )
      return;
    event.preventDefault();
    const { u, v } = scatter.locate(event);
    scatter.zoom(u, v, Math.exp(Math.min(0.5, Math.max(-0.5, amount))));
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { scatter } = this;
    const [arrow, zoom] = [KEYS[event.key], { "+": 0.8, "=": 0.8, "-": 1.25, _: 1.25 }[event.key]];
    if (arrow && event.shiftKey) scatter.step(arrow[2]);
    else if (arrow) scatter.pan(arrow[0], arrow[1]);
    else if (zoom) scatter.zoom(0.5, 0.5, zoom);
    else if (event.key === "0") scatter.reset();
    else if (event.key === "Enter") scatter.selectMiddle();
    else return;
    event.preventDefault();
    event.stopPropagation(); // a notebook has its own keys
  }
}

const middleOf = (fingers) => ({
  u: fingers.reduce((sum, { u }) => sum + u, 0) / fingers.length,
  v: fingers.reduce((sum, { v }) => sum + v, 0) / fingers.length,
});
const spread = ([a, b]) => Math.hypot(a.x - b.x, a.y - b.y);

// ---- memberships as bars ------------------------------------------------------------------------

function make(name, style = {}, text = "") {
  const element = document.createElement(name);
  Object.assign(element.style, style);
  element.textContent = text;
  return element;
}

/** A button with its own style, since a notebook has none for it. */
function makeButton(text, style) {
  const look = {
    color: "inherit",
    background: "var(--card, var(--jp-layout-color1, Canvas))",
    cursor: "pointer",
  };
  const edge = {
    border: "1px solid var(--line, var(--jp-border-color1, #999))",
    borderRadius: "6px",
  };
  return Object.assign(make("button", { ...look, ...edge, ...style }, text), { type: "button" });
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** A bar for each component's membership. */
export function membershipBars(shares, colours, word = "cluster") {
  const list = make("ul", { listStyle: "none", padding: "0", margin: "0.6rem 0" });
  list.append(...shares.map((share, k) => membershipBar(share, k, colours, word)));
  return list;
}

function membershipBar(share, k, colours, word) {
  const item = make("li", {
    display: "grid",
    gridTemplateColumns: `${word.length > 8 ? 7.2 : 5.4}rem 1fr 4rem`,
    gap: "0.4rem",
    alignItems: "center",
    fontVariantNumeric: "tabular-nums",
  });
  const track = make("div", {
    height: "0.9rem",
    borderRadius: "4px",
    overflow: "hidden",
    background: "var(--track, #8883)",
  });
  const fill = make("div", {
    height: "100%",
    width: `${100 * share}%`,
    backgroundColor: `rgb(${colours[k % colours.length].join(" ")})`,
  });
  fill.className = "fill";
  track.append(fill);
  item.append(
    make("span", {}, `${word} ${k}`),
    track,
    make("span", { textAlign: "right" }, percent(share)),
  );
  return item;
}

/** The panel below a picture: the threshold and the memberships of the selected row. */
class Panel {
  constructor(model, el) {
    this.model = model;
    this.slider = Object.assign(make("input", { width: "100%", margin: "0" }), {
      type: "range",
      min: 0,
      max: 100,
    });
    this.label = make("label", { display: "block" });
    this.shown = make("span");
    this.label.append(this.shown, this.slider);
    this.count = make("p", { margin: "0.3rem 0" });
    this.button = makeButton("Show the most unsure row", { padding: "0.3rem 0.7rem" });
    this.row = make("div", { minHeight: "4.5rem" });
    this.row.setAttribute("aria-live", "polite");
    this.el = make("div", {
      padding: "0.4rem 0 0",
      maxWidth: "40rem",
      color: "var(--ink, var(--jp-ui-font-color1, inherit))",
    });
    this.el.className = "mixtura-panel";
    this.el.append(this.label, this.count, this.button, this.row);
    el.append(this.el);
    this.listen();
    this.showThreshold();
    this.showRow();
  }

  listen() {
    this.slider.addEventListener("input", () => {
      this.model.set("threshold", Number(this.slider.value) / 100);
      this.model.save_changes();
    });
    this.button.addEventListener("click", () => {
      const certainty = floats(this.model.get("certainty"));
      this.model.set(
        "selected",
        certainty.reduce((least, value, i) => (value < certainty[least] ? i : least), 0),
      );
      this.model.save_changes();
    });
    this.handlers = [
      ...["threshold", "certainty"].map((name) => [`change:${name}`, () => this.showThreshold()]),
      ...["selected", "shares", "row_words"].map((name) => [
        `change:${name}`,
        () => this.showRow(),
      ]),
    ];
    for (const [event, handler] of this.handlers) this.model.on(event, handler);
  }

  remove() {
    for (const [event, handler] of this.handlers) this.model.off(event, handler);
    this.el.remove();
  }

  showThreshold() {
    const threshold = this.model.get("threshold");
    const certainty = floats(this.model.get("certainty"));
    const unsure = certainty.reduce((count, value) => count + (value < threshold), 0);
    this.slider.value = Math.round(100 * threshold);
    this.shown.textContent = `Unsure below ${Math.round(100 * threshold)} %`;
    const [some, all] = [unsure, certainty.length].map((count) => count.toLocaleString("en"));
    this.count.textContent =
      `${some} of ${all} points are unsure (grey): their largest membership is below ` +
      "this threshold.";
  }

  showRow() {
    const i = this.model.get("selected");
    const n = floats(this.model.get("certainty")).length;
    if (!(i >= 0 && i < n))
      return this.row.replaceChildren(
        make("p", { opacity: 0.75 }, `Click a point to see its memberships. ${KEYS_IN_WORDS}`),
      );
    const all = typed(this.model.get("shares"), Uint16Array);
    const shares = Array.from(
      all.subarray((i * all.length) / n, ((i + 1) * all.length) / n),
      (share) => share / 65535,
    );
    const names = typed(this.model.get("rows"), Uint32Array);
    const name =
      (names.length ? names[i] : i + 1).toLocaleString("en") +
      (this.model.get("in_python") ? `, X[${i}]` : "");
    const words = make(
      "p",
      { margin: "0.2rem 0", opacity: 0.75 },
      this.model.get("row_words") ?? "",
    );
    const heading = make("p", { margin: "0.6rem 0 0", fontWeight: 600 }, `Row ${name}`);
    this.row.replaceChildren(
      heading,
      words,
      membershipBars(shares, this.model.get("colours"), this.model.get("word") ?? "cluster"),
    );
  }
}

function shortened(name = "") {
  return name.length > 40 ? `${name.slice(0, 39)}…` : name;
}

/** A name, cut to the space there is. */
function fitted(context, name, room) {
  let shown = name;
  for (let n = name.length - 1; n > 0 && context.measureText(shown).width > room; n--)
    shown = `${name.slice(0, n)}…`;
  return shown;
}

/** A model for pages without a notebook's: the same five methods. */
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
  const hasPanel = Boolean(model.get("shares")?.byteLength);
  const holder = hasPanel ? make("div", { height: "420px" }) : el;
  if (hasPanel) el.append(holder);
  else if (!el.style.height && el.getBoundingClientRect().height < 120) el.style.height = "420px";
  const parts = [new Scatter(model, holder), ...(hasPanel ? [new Panel(model, el)] : [])];
  return () => {
    for (const part of parts) part.remove();
    if (hasPanel) holder.remove();
  };
}

export default { render };
