// The part of a report's script after the scatter module: it reads the points from the page and
// offers the choice of two columns.

function unpacked(text, Kind) {
  return new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

/** The ellipses of a pair of columns, level by level: the images of circles under their roots. */
function ellipsesOf(plot, x, y) {
  if (plot.frames) return plot.frames;
  const [i, j] = [Math.min(x, y), Math.max(x, y)];
  const K = plot.means.length;
  const at = 3 * K * ((i * (2 * plot.columns.length - i - 1)) / 2 + j - i - 1);
  const angles = Array.from(
    { length: plot.corners },
    (_, c) => (2 * Math.PI * c) / (plot.corners - 1),
  );
  const outline = (radius, k) => {
    const [a, b, c] = plot.roots.subarray(at + 3 * k, at + 3 * k + 3);
    const [xx, yy] = x < y ? [a, c] : [c, a];
    const place = (u, v) => [
      plot.means[k][x] + radius * (xx * u + b * v),
      plot.means[k][y] + radius * (b * u + yy * v),
    ];
    return angles.map((angle) => place(Math.cos(angle), Math.sin(angle)));
  };
  return plot.radii.map((radius) => plot.means.map((_, k) => outline(radius, k)));
}

function valuesOf(plot, row) {
  const read = ({ name, low, high, values }) =>
    Number.isNaN(values[row])
      ? `${name} missing`
      : `${name} ${Number((low + values[row] * (high - low)).toPrecision(4))}`;
  const named = plot.columns.filter((_, j) => !plot.frames || j === 0).map(read);
  return named.length > 8
    ? `${named.slice(0, 8).join(", ")} and ${named.length - 8} more`
    : named.join(", ");
}

function choiceOf(label, plot, chosen, changed) {
  const it = make("label", {}, `${label} `);
  const select = make("select");
  select.append(
    ...plot.columns.map(({ name }, j) => new Option(name, j, j === chosen, j === chosen)),
  );
  select.addEventListener("change", () => changed(Number(select.value)));
  it.append(select);
  return [it, select];
}

function startPicture(el) {
  const plot = JSON.parse(el.dataset.plot);
  for (const column of plot.columns) column.values = unpacked(column.values, Float32Array);
  if (plot.roots) plot.roots = unpacked(plot.roots, Float32Array);
  const shares = unpacked(plot.shares, Uint16Array);
  const shown = { x: plot.shown[0], y: plot.shown[1] };
  const model = new LocalModel({
    shares,
    memberships: Uint8Array.from(shares, (share) => Math.round(share / 257)),
    certainty: unpacked(plot.certainty, Float32Array),
    rows: unpacked(plot.rows, Uint32Array),
    colours: plot.colours,
    threshold: plot.threshold,
    selected: -1,
    word: "component",
  });
  const show = () => {
    const [across, up] = [plot.columns[shown.x], plot.columns[shown.y]];
    const points = across.values.length.toLocaleString("en");
    const values = {
      x_axis: across,
      y_axis: up,
      x: across.values,
      y: up.values,
      centres: plot.centres ?? plot.means.map((mean) => [mean[shown.x], mean[shown.y]]),
      ellipses: ellipsesOf(plot, shown.x, shown.y),
      title: `${points} points, ${up.name} over ${across.name}. ${KEYS_IN_WORDS}`,
    };
    for (const [name, value] of Object.entries(values)) model.set(name, value);
  };
  const choose = (which, other) => (column) => {
    if (column === shown[other]) shown[other] = shown[which];
    shown[which] = column;
    [selectX.value, selectY.value] = [shown.x, shown.y];
    show();
  };
  const [labelX, selectX] = choiceOf("x axis", plot, shown.x, choose("x", "y"));
  const [labelY, selectY] = choiceOf("y axis", plot, shown.y, choose("y", "x"));
  const choices = make("div", {
    display: "flex",
    flexWrap: "wrap",
    gap: "0.4rem 1rem",
    marginBottom: "0.4rem",
  });
  choices.append(labelX, labelY);
  if (plot.columns.length > 2) el.append(choices);
  show();
  model.on("change:selected", () => model.set("row_words", valuesOf(plot, model.get("selected"))));
  const place = make("div");
  el.append(place);
  render({ model, el: place });
  el.dataset.ready = "yes";
}

startPicture(document.getElementById("live"));
