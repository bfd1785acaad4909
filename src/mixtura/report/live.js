// What a report adds to the module of the points, behind which it stands in the page: the points
// that are in the page, and the choice of two columns.

function unpacked(text, Kind) {
  return new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

/** The ellipses of one pair of columns, level by level: circles that their roots make ellipses. */
function ellipsesOf(told, x, y) {
  if (told.frames) return told.frames;
  const [i, j] = [Math.min(x, y), Math.max(x, y)];
  const K = told.means.length;
  const at = 3 * K * ((i * (2 * told.columns.length - i - 1)) / 2 + j - i - 1);
  const angles = Array.from(
    { length: told.corners },
    (_, c) => (2 * Math.PI * c) / (told.corners - 1),
  );
  const outline = (radius, k) => {
    const [a, b, c] = told.roots.subarray(at + 3 * k, at + 3 * k + 3);
    const [xx, yy] = x < y ? [a, c] : [c, a];
    const place = (u, v) => [
      told.means[k][x] + radius * (xx * u + b * v),
      told.means[k][y] + radius * (b * u + yy * v),
    ];
    return angles.map((angle) => place(Math.cos(angle), Math.sin(angle)));
  };
  return told.radii.map((radius) => told.means.map((_, k) => outline(radius, k)));
}

function valuesOf(told, row) {
  const read = ({ name, low, high, values }) =>
    `${name} ${Number((low + values[row] * (high - low)).toPrecision(4))}`;
  const named = told.columns.filter((_, j) => !told.frames || j === 0).map(read);
  return named.length > 8
    ? `${named.slice(0, 8).join(", ")} and ${named.length - 8} more`
    : named.join(", ");
}

function choiceOf(label, told, chosen, changed) {
  const it = make("label", {}, `${label} `);
  const select = make("select");
  select.append(
    ...told.columns.map(({ name }, j) => new Option(name, j, j === chosen, j === chosen)),
  );
  select.addEventListener("change", () => changed(Number(select.value)));
  it.append(select);
  return [it, select];
}

function beginLive(el) {
  const told = JSON.parse(el.dataset.told);
  for (const column of told.columns) column.values = unpacked(column.values, Float32Array);
  if (told.roots) told.roots = unpacked(told.roots, Float32Array);
  const shares = unpacked(told.shares, Uint16Array);
  const shown = { x: told.shown[0], y: told.shown[1] };
  const model = new LocalModel({
    shares,
    memberships: Uint8Array.from(shares, (share) => Math.round(share / 257)),
    certainty: unpacked(told.certainty, Float32Array),
    rows: unpacked(told.rows, Uint32Array),
    colours: told.colours,
    threshold: told.threshold,
    selected: -1,
    word: "component",
  });
  const show = () => {
    const [across, up] = [told.columns[shown.x], told.columns[shown.y]];
    const points = across.values.length.toLocaleString("en");
    const values = {
      x_axis: across,
      y_axis: up,
      x: across.values,
      y: up.values,
      centres: told.centres ?? told.means.map((mean) => [mean[shown.x], mean[shown.y]]),
      ellipses: ellipsesOf(told, shown.x, shown.y),
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
  const [labelX, selectX] = choiceOf("Across", told, shown.x, choose("x", "y"));
  const [labelY, selectY] = choiceOf("Up", told, shown.y, choose("y", "x"));
  const choices = make("div", {
    display: "flex",
    flexWrap: "wrap",
    gap: "0.4rem 1rem",
    marginBottom: "0.4rem",
  });
  choices.append(labelX, labelY);
  if (told.columns.length > 2) el.append(choices);
  show();
  model.on("change:selected", () => model.set("row_words", valuesOf(told, model.get("selected"))));
  const place = make("div");
  el.append(place);
  render({ model, el: place });
  el.dataset.ready = "yes";
}

beginLive(document.getElementById("live"));
