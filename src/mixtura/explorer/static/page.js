// The page of mixtura explore: it asks the server and shows the answers. It computes no statistics.

import { askBlob, askBytes, askJson } from "/static/web/session.js";
import { chart, colour, onPoint } from "/static/web/charts.js";
import scatterModule, { KEYS_IN_WORDS, LocalModel, membershipBars } from "/static/web/scatter.js";

const $ = (id) => document.getElementById(id);
const TRACE_PAUSE = 120; // milliseconds between two drawings of the slow chart while EM plays
const QUICK = 5000; // rows up to which the other methods are run without a click

const state = {
  x: 0,
  y: 1,
  components: 1,
  family: "VVV",
  seed: 0,
  start: "",
  frame: 0,
  run: null,
  curve: new Map(),
  chosen: false,
  given: null, // the axis of the given column, "x" or "y"
  value: null,
  conditional: null,
};
let table;
let points;
let asked = 0; // counts the requests, so that late answers are dropped
let sweep = 0;
let playing = false;
let played = 0; // counts the clicks on Play, so that an earlier one ends
let traced = 0; // the time of the last drawing of the log-likelihood

const number = (value, digits = 2) =>
  value === null || !Number.isFinite(value)
    ? "none"
    : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const whole = (value) => value.toLocaleString("en");
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const brief = (value) =>
  value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)
    ? value.toExponential(2)
    : String(Number(value.toPrecision(4)));

// ---- requests -----------------------------------------------------------------------------------

const settings = () => ({
  components: state.components,
  family: state.family,
  seed: state.seed,
  start: state.start,
});
const seen = () => ({ ...settings(), frame: state.frame, x: state.x, y: state.y });

function tell(error) {
  $("trouble").textContent = error ? error.message : "";
  $("trouble").hidden = !error;
}

/** Run a request and show the server's message if it fails. */
async function trying(work) {
  try {
    tell(null);
    return await work();
  } catch (error) {
    stop();
    $("status").textContent = "";
    tell(error);
    return undefined;
  }
}

// ---- a run, a frame -----------------------------------------------------------------------------

/** Show the model of these settings, or EM from its start. */
async function open() {
  const mine = ++asked;
  $("status").textContent = state.start ? "Recording EM …" : "Fitting …";
  const run = await askJson("/api/run", settings());
  if (mine !== asked) return;
  state.run = run;
  state.frame = 0;
  await show();
}

/** A frame with its memberships, from the server. */
const fetchFrame = (frame) =>
  Promise.all([
    askJson("/api/frame", { ...seen(), frame, ...($("regions").checked ? { regions: 1 } : {}) }),
    askBytes("/api/memberships", { ...seen(), frame }),
  ]);

/** Show the chosen frame: points, ellipses, texts, curves. */
async function show() {
  const mine = ++asked;
  const answer = await fetchFrame(state.frame);
  if (mine !== asked) return;
  draw(answer);
  showTrace();
  showCurve();
  await Promise.all([showRow(), showGiven()]);
}

/** Draw what changes with each iteration: points, ellipses and texts. */
function draw([frame, memberships]) {
  const n = table.rows;
  points.set("centres", frame.centres);
  points.set("ellipses", frame.ellipses);
  points.set("regions", frame.regions);
  points.set("certainty", new Float32Array(memberships, 0, n));
  points.set("memberships", new Uint8Array(memberships, 4 * n));
  points.set("title", describe(frame));
  showControls();
  showStatus();
  showUnsure();
}

function describe(frame) {
  const across = table.columns[state.x].name;
  const up = table.columns[state.y].name;
  const weights = frame.weights
    .map((weight, k) => `cluster ${k} with ${percent(weight)}`)
    .join(", ");
  const regions = frame.regions.length
    ? ` Borders of the regions with ${table.regions.join(", ")} of the probability.`
    : "";
  return (
    `${whole(table.rows)} points, ${up} over ${across}: ${weights}.${regions} ` + KEYS_IN_WORDS
  );
}

function showControls() {
  const watching = Boolean(state.start);
  const last = state.run.frames - 1;
  $("components").value = state.components;
  $("components-shown").textContent = state.components;
  $("family").value = state.family;
  $("frame").disabled = !watching;
  $("frame").max = last;
  $("frame").value = state.frame;
  $("frame-shown").textContent = watching
    ? `${state.frame} of ${last}`
    : "none: the model is shown";
  $("rewind").disabled = $("back").disabled = !watching || state.frame === 0;
  $("step").disabled = watching && state.frame === last;
  $("model").hidden = !watching;
  $("play").textContent = playing ? "Pause" : "Play";
}

function showStatus() {
  const run = state.run;
  const name = `K = ${run.components}, ${run.family}`;
  if (!state.start) {
    $("status").textContent =
      `${name}: log-likelihood ${number(run.log_likelihood)}, AIC ${number(run.aic)}, ` +
      `BIC ${number(run.bic)} (lower is better); ${run.sentence}.`;
    return;
  }
  const last = run.frames - 1;
  const where = state.frame === 0 ? "the start" : `iteration ${state.frame} of ${last}`;
  const end = state.frame === last ? `; ${run.sentence}` : "";
  $("status").textContent =
    `EM, ${name}, ${where}: log-likelihood ${number(run.trace[state.frame], 3)}${end}.`;
}

function showUnsure() {
  const threshold = Number($("threshold").value) / 100;
  points.set("threshold", threshold);
  $("threshold-shown").textContent = `${$("threshold").value} %`;
  let count = 0;
  for (const value of points.get("certainty")) if (value < threshold) count++;
  $("unsure").textContent =
    `${whole(count)} of ${whole(table.rows)} rows are unsure (grey): their largest membership ` +
    `is below ${$("threshold").value} %.`;
}

// ---- watching EM --------------------------------------------------------------------------------

/** Record EM from the chosen start. */
async function record() {
  state.start = $("start").value;
  await open();
}

async function go(frame) {
  if (!state.start) await record();
  const last = state.run.frames - 1;
  state.frame = Math.min(Math.max(frame, 0), last);
  await show();
}

/** Play the recording; while an iteration is shown, the next one is requested. */
async function play() {
  if (playing) return stop();
  const mine = ++played;
  playing = true;
  if (!state.start || state.frame === state.run.frames - 1) await record();
  const goesOn = () => playing && mine === played;
  if (!goesOn()) return;
  showControls();
  $("status").ariaLive = "off"; // a screen reader should not read ten iterations a second
  let next = ahead();
  let shown = performance.now();
  while (next) {
    const answer = await next.catch((error) => (goesOn() && stop(), Promise.reject(error)));
    await until(shown + Number($("pace").value));
    if (!goesOn()) return;
    shown = performance.now();
    state.frame += 1;
    next = ahead();
    draw(answer);
    if (shown - traced > TRACE_PAUSE) showTrace();
    showRowNow();
    trying(showGiven);
    await new Promise(requestAnimationFrame);
  }
  stop();
  await show();
}

/** Request the next frame; null at the end. */
function ahead() {
  if (state.frame >= state.run.frames - 1) return null;
  const next = fetchFrame(state.frame + 1);
  next.catch(() => {}); // the error is shown where the frame is awaited
  return next;
}

const until = (time) =>
  new Promise((done) => setTimeout(done, Math.max(0, time - performance.now())));

function stop() {
  playing = false;
  $("status").ariaLive = "polite";
  $("play").textContent = "Play";
}

/** Show the model instead of the recording. */
async function toModel() {
  stop();
  state.start = "";
  await open();
  if (table.rows <= QUICK) await compare();
}

function showTrace() {
  traced = performance.now();
  const watching = Boolean(state.start);
  $("trace").hidden = !watching;
  if (!watching) return;
  const trace = state.run.trace;
  const until = trace.slice(0, state.frame + 1);
  const [low, high] = [Math.min(...trace), Math.max(...trace)];
  const room = (high - low || 1) * 0.06;
  const line = {
    x: until.map((_, i) => i),
    y: until,
    mode: until.length > 60 ? "lines" : "lines+markers",
    line: { color: colour("--accent") },
    hovertemplate: "iteration %{x}: %{y:.3f}<extra></extra>",
    showlegend: false,
  };
  const end = {
    x: [state.frame],
    y: [trace[state.frame]],
    mode: "markers",
    marker: { size: 11, color: colour("--ink") },
    hoverinfo: "skip",
    showlegend: false,
  };
  chart($("trace"), [line, end], {
    x: "iteration",
    y: "log-likelihood",
    xMore: { range: [-0.5, Math.max(trace.length - 0.5, 1)] },
    yMore: { range: [low - room, high + room] },
  });
}

// ---- AIC and BIC over K -------------------------------------------------------------------------

/** Fit K = 1 to 10 one after another, and show the lowest BIC if the user has not chosen a K. */
async function sweepCurve() {
  const mine = ++sweep;
  state.curve = new Map();
  for (let K = 1; K <= table.curve; K++) {
    const run = await askJson("/api/run", {
      ...settings(),
      components: K,
      start: "",
      background: 1,
    }).catch((error) => ({ components: K, failed: error.message }));
    if (mine !== sweep) return;
    state.curve.set(K, run);
    showCurve();
  }
  const best = lowest();
  if (best && !state.chosen && best !== state.components && !state.start) {
    state.components = best;
    await open();
  }
}

function lowest() {
  const runs = [...state.curve.values()].filter((run) => run.eligible && run.bic !== null);
  return runs.length ? runs.reduce((a, b) => (b.bic < a.bic ? b : a)).components : null;
}

function showCurve() {
  const runs = [...state.curve.values()].filter((run) => !run.failed);
  const best = lowest();
  const lines = [
    ["BIC", "bic", colour("--accent"), "circle"],
    ["AIC", "aic", colour("--warn"), "square"],
  ].map(([name, key, hue, symbol]) => ({
    name,
    x: runs.map((run) => run.components),
    y: runs.map((run) => run[key]),
    mode: "lines+markers",
    line: { color: hue },
    marker: {
      color: hue,
      size: runs.map((run) => (run.components === state.components ? 15 : 10)),
      symbol: runs.map((run) => (!run.eligible ? "x-open" : run.sound ? symbol : `${symbol}-open`)),
    },
    hovertemplate: `K = %{x}: ${name} %{y:.2f}<extra></extra>`,
  }));
  const winner = runs.find((run) => run.components === best);
  const annotations = winner
    ? [
        {
          x: best,
          y: winner.bic,
          text: `lowest BIC: K = ${best}`,
          showarrow: true,
          arrowhead: 2,
          ay: 36,
          ax: 0,
          arrowcolor: colour("--ink"),
        },
      ]
    : [];
  const shown = chart($("curve"), lines, {
    x: "components K",
    y: "lower is better",
    xMore: { dtick: 1, range: [0.5, table.curve + 0.5] },
    more: { annotations },
  });
  if (!$("curve").dataset.listens) {
    $("curve").dataset.listens = "yes";
    shown.then(() => onPoint($("curve"), (K) => trying(() => goTo(K))));
  }
  showCurveTable(best);
}

function showCurveTable(best) {
  const rows = [...state.curve.values()].map((run) => {
    const row = document.createElement("tr");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `K = ${run.components}`;
    button.setAttribute("aria-pressed", String(run.components === state.components));
    button.addEventListener("click", () => trying(() => goTo(run.components)));
    const cells = run.failed
      ? [run.failed, "", ""]
      : [
          number(run.aic),
          number(run.bic) + (run.components === best ? " lowest" : ""),
          number(run.log_likelihood),
        ];
    row.append(cell(button), ...cells.map(cell));
    return row;
  });
  $("curve-table").replaceChildren(...rows);
}

function cell(content) {
  const td = document.createElement("td");
  td.append(content);
  return td;
}

async function goTo(K) {
  state.chosen = true;
  state.components = K;
  await toModel();
}

// ---- one row ------------------------------------------------------------------------------------

async function showRow() {
  const row = points.get("selected");
  if (row < 0) return;
  const said = await askJson("/api/row", { ...settings(), frame: state.frame, row });
  if (row !== points.get("selected")) return;
  $("hint").hidden = true;
  const bars = membershipBars(
    said.memberships.map((share) => share.probability),
    table.colours,
  );
  const why = document.createElement("p");
  why.textContent = said.why;
  $("row").replaceChildren(
    heading(`Row ${whole(row + 1)}: ${said.sentence}`),
    values(said.values),
    bars,
    why,
    reasons(said.memberships),
  );
}

let rowAsked = false;

/** Show the row while EM plays, with one request at a time. */
async function showRowNow() {
  if (rowAsked) return;
  rowAsked = true;
  await trying(showRow);
  rowAsked = false;
}

function heading(text) {
  const h3 = document.createElement("h3");
  h3.textContent = text;
  return h3;
}

function values(named) {
  const p = document.createElement("p");
  p.className = "soft";
  const parts = Object.entries(named).map(
    ([name, value]) => `${name} ${value === null ? "missing" : brief(value)}`,
  );
  p.textContent =
    parts.length > 8
      ? `${parts.slice(0, 8).join(", ")} and ${parts.length - 8} more`
      : parts.join(", ");
  return p;
}

function reasons(memberships) {
  const box = document.createElement("div");
  box.className = "wide";
  const grid = document.createElement("table");
  const head = grid.createTHead().insertRow();
  for (const text of ["cluster", "weight", "distance", "log density"])
    head.append(Object.assign(document.createElement("th"), { textContent: text }));
  const body = grid.createTBody();
  for (const share of memberships) {
    body
      .insertRow()
      .append(
        ...[
          share.component,
          number(share.weight, 3),
          number(share.distance),
          number(share.log_density),
        ].map((v) => cell(String(v))),
      );
  }
  const words = document.createElement("p");
  words.className = "soft";
  words.textContent =
    "A membership is weight times density, divided by the sum of these products over all clusters.";
  box.append(grid, words);
  return box;
}

function mostUnsure() {
  const certainty = points.get("certainty");
  let row = 0;
  for (let i = 1; i < certainty.length; i++) if (certainty[i] < certainty[row]) row = i;
  points.set("selected", row);
}

// ---- one column given the other -----------------------------------------------------------------

let givenAsked = false;
let givenChanged = false;

/** Ask for the conditional distribution, with one request at a time, until it is that of now. */
async function showGiven() {
  givenChanged = true;
  if (givenAsked) return;
  givenAsked = true;
  try {
    while (givenChanged) {
      givenChanged = false;
      if (state.given) await askGiven();
    }
  } finally {
    givenAsked = false;
  }
}

async function askGiven() {
  const other = state.given === "x" ? "y" : "x";
  const { components, family, seed, start } = state.run; // the run that has this frame
  const said = await askJson("/api/conditional", {
    ...{ components, family, seed, start, frame: state.frame },
    ...{ x: state[state.given], y: state[other], value: state.value },
  });
  if (!state.given) return;
  state.conditional = said;
  $("given-words").textContent = said.sentence;
  $("given-clusters").textContent = `At this value a row is in ${said.weights}`;
  $("given-numbers").replaceChildren(
    ...Object.entries(said.rounded).map(([name, shown]) => {
      const row = document.createElement("tr");
      row.append(
        Object.assign(document.createElement("th"), { textContent: name, scope: "row" }),
        cell(shown),
      );
      return row;
    }),
  );
  drawGiven();
}

/** The density, with the part between the quantiles filled, and the mean. */
function drawGiven() {
  const said = state.conditional;
  if (!state.given || !said) return;
  const { mean, "5 %": low, "95 %": high } = said.numbers;
  const inside = said.places.map((place, i) => [place, said.density[i]]);
  const middle = inside.filter(([place]) => place >= low && place <= high);
  const line = (points, more) => ({
    x: points.map(([place]) => place),
    y: points.map(([, density]) => density),
    mode: "lines",
    hoverinfo: "skip",
    showlegend: false,
    ...more,
  });
  const top = Math.max(...said.density);
  const traces = [
    line(middle, {
      fill: "tozeroy",
      fillcolor: colour("--track"),
      line: { width: 0 },
    }),
    line(inside, { line: { color: colour("--accent"), width: 2 } }),
    line(
      [
        [mean, 0],
        [mean, top],
      ],
      { line: { color: colour("--ink"), dash: "dash", width: 1.5 } },
    ),
  ];
  chart($("given-chart"), traces, {
    x: said.other,
    y: "density",
    yMore: { range: [0, 1.08 * top], nticks: 5 },
  });
}

/** The columns that can be given: the two of the picture; a former choice that is gone is dropped. */
function offerGiven(axis) {
  const named = ["x", "y"].map((which) => [which, table.columns[state[which]].name]);
  options($("given-column"), [["", "nothing"], ...named], axis ?? "");
  chooseGiven(axis);
}

function chooseGiven(axis) {
  if (axis && axis !== state.given) state.value = null;
  state.given = axis;
  $("given-answer").hidden = !axis;
  $("given-hint").hidden = Boolean(axis);
  if (!axis) return points.set("mark", null);
  const { low, high } = table.columns[state[axis]];
  Object.assign($("given-slider"), { min: low, max: high, step: "any" });
  setGiven(state.value ?? evenly((low + high) / 2));
}

/** A value with as many decimals as a few hundred steps across the given column need. */
function evenly(value) {
  const { low, high } = table.columns[state[state.given]];
  const decimals = 2 - Math.floor(Math.log10(high - low));
  return Number(value.toFixed(Math.min(Math.max(decimals, 0), 20)));
}

/** Give this value, or the nearest one for which the server answers. */
function setGiven(value) {
  const { low, high } = table.columns[state[state.given]];
  const room = high - low;
  state.value = Math.min(Math.max(value, low - room), high + room);
  $("given-slider").value = $("given-value").value = state.value;
  points.set("mark", { axis: state.given, value: state.value });
}

async function moveGiven(value) {
  if (!Number.isFinite(value)) return;
  setGiven(value);
  await showGiven();
}

// ---- other methods ------------------------------------------------------------------------------

const MIXTURE = "Gaussian mixture"; // its name in the comparison
let compared = 0;

async function compare() {
  const mine = ++compared;
  const model = { components: state.components, family: state.family, seed: state.seed };
  $("beside-words").textContent =
    `Running K-Means, DBSCAN, HDBSCAN and the mixture with K = ${model.components} …`;
  const said = await askJson("/api/comparison", model);
  const labels = await Promise.all(
    said.methods.map((method) =>
      method.soft ? null : askBytes("/api/labels", { ...model, method: method.name }),
    ),
  );
  if (mine !== compared) return;
  for (const child of $("methods").children) child.dispose?.();
  $("methods").replaceChildren();
  showVerdict(said);
  said.methods.forEach((method, i) => showMethod(method, labels[i] && new Int16Array(labels[i])));
  $("beside-words").textContent =
    `K = ${model.components}, ${model.family}; all methods use standardised columns. Only the ` +
    "mixture can assign a row to several clusters; its picture shows the model above.";
}

/** Show which methods suit these rows and why. */
function showVerdict({ suits, sentences }) {
  const verdict = document.createElement("h3");
  const others = suits.length && !suits.includes(MIXTURE);
  verdict.textContent = suits.length
    ? `${others ? "Another method suits these rows better" : "What suits these rows"}: ` +
      suits.join(", ")
    : "No method stands out";
  verdict.className = others ? "other" : "";
  const words = sentences.map((sentence) =>
    Object.assign(document.createElement("p"), { textContent: sentence }),
  );
  $("verdict").replaceChildren(verdict, ...words);
}

function showMethod(method, labels) {
  const box = document.createElement("article");
  box.className = "method";
  const holder = document.createElement("div");
  holder.className = "small";
  const words = document.createElement("p");
  words.className = "soft";
  const agreement =
    method.agreement === null
      ? ""
      : ` Agreement with the mixture (adjusted Rand index, 1 is identical): ` +
        `${number(method.agreement)}.`;
  const measured = `${method.clusters} clusters in ${number(method.seconds, 3)} s.`;
  words.textContent = `${measured} ${method.words}${agreement}`;
  const head = heading(method.name);
  if (method.suits)
    head.append(
      Object.assign(document.createElement("span"), { className: "suits", textContent: "suits" }),
    );
  box.append(head, holder, words);
  $("methods").append(box);
  const own = new LocalModel({
    ...points.values,
    plain: true,
    selected: -1,
    threshold: 0,
    regions: [],
    mark: null,
    title: `${method.name}, ${method.clusters} clusters`,
  });
  if (labels) hard(own, labels);
  // While EM plays, only the large picture follows, since four pictures would slow it down.
  own.follow = [
    ...["x", "y", "x_axis", "y_axis"],
    ...(labels ? [] : ["memberships", "certainty", "centres", "ellipses"]),
  ].map((name) => [`change:${name}`, () => playing || own.set(name, points.get(name))]);
  for (const [event, handler] of own.follow) points.on(event, handler);
  const leave = scatterModule.render({ model: own, el: holder });
  box.dispose = () => {
    leave();
    for (const [event, handler] of own.follow) points.off(event, handler);
  };
}

/** Labels as memberships of 100 %; noise has no cluster and is grey. */
function hard(model, labels) {
  const K = labels.reduce((most, label) => Math.max(most, label), 0) + 1;
  const memberships = new Uint8Array(labels.length * K);
  labels.forEach((label, i) => label >= 0 && (memberships[i * K + label] = 255));
  model.set("memberships", memberships);
  model.set("certainty", new Float32Array(labels.length).fill(1));
  model.set("ellipses", []);
}

// ---- downloads ----------------------------------------------------------------------------------

const FILES = {
  "export-memberships": "memberships.csv",
  "export-model": "model.safetensors",
  "export-python": "view.py",
};

async function save(what) {
  const file = await askBlob(`/api/${what}`, {
    ...seen(),
    threshold: Number($("threshold").value) / 100,
  });
  const link = Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(file),
    download: FILES[what],
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// ---- start --------------------------------------------------------------------------------------

function options(select, entries, chosen) {
  select.replaceChildren(
    ...entries.map(([value, text]) => new Option(text, value, value === chosen, value === chosen)),
  );
}

async function showColumns() {
  const [x, y] = await Promise.all(
    [state.x, state.y].map((column) => askBytes("/api/column", { column })),
  );
  // Remove the ellipses of the former columns.
  for (const name of ["ellipses", "centres", "regions"]) points.set(name, []);
  points.set("x_axis", table.columns[state.x]);
  points.set("y_axis", table.columns[state.y]);
  points.set("x", new Float32Array(x));
  points.set("y", new Float32Array(y));
}

async function chooseColumn(which) {
  const other = which === "x" ? "y" : "x";
  const before = state[which];
  const given = state.given && state[state.given];
  state[which] = Number($(which).value);
  if (state[which] === state[other]) state[other] = before;
  $(other).value = state[other];
  const kept = ["x", "y"].find((axis) => state.given && state[axis] === given) ?? null;
  if (kept) state.given = kept;
  offerGiven(kept);
  await showColumns();
  await show();
}

function listen() {
  const on = (id, event, work) => $(id).addEventListener(event, () => trying(work));
  on("x", "change", () => chooseColumn("x"));
  on("y", "change", () => chooseColumn("y"));
  $("components").addEventListener(
    "input",
    () => ($("components-shown").textContent = $("components").value),
  );
  on("components", "change", () => goTo(Number($("components").value)));
  on("family", "change", async () => {
    state.family = $("family").value;
    state.chosen = true;
    await Promise.all([toModel(), sweepCurve()]);
  });
  on("start", "change", () => (stop(), record()));
  on("seed", "change", async () => {
    state.seed = Math.min(Math.max(Math.trunc(Number($("seed").value)) || 0, 0), 2147483647);
    $("seed").value = state.seed;
    stop();
    await record();
  });
  on("rewind", "click", () => (stop(), go(0)));
  on("back", "click", () => (stop(), go(state.frame - 1)));
  on("step", "click", () => (stop(), go(state.start ? state.frame + 1 : 1)));
  on("play", "click", play);
  on("frame", "input", () => (stop(), go(Number($("frame").value))));
  on("model", "click", toModel);
  on("threshold", "input", showUnsure);
  on("regions", "change", () => (showLegend(), show()));
  on("given-column", "change", () => (chooseGiven($("given-column").value || null), showGiven()));
  on("given-slider", "input", () => moveGiven(evenly($("given-slider").valueAsNumber)));
  on("given-value", "change", () => moveGiven($("given-value").valueAsNumber));
  on("unsurest", "click", mostUnsure);
  on("compare", "click", compare);
  for (const what of Object.keys(FILES)) on(what, "click", () => save(what));
  points.on("change:selected", () => trying(showRow));
  $("theme").addEventListener("click", changeTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

const isDark = () =>
  (document.documentElement.dataset.theme ??
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function changeTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  redraw();
}

function redraw() {
  $("theme").textContent = isDark() ? "Light" : "Dark";
  if (!state.run) return;
  points.set("title", points.get("title"));
  showTrace();
  showCurve();
  drawGiven();
}

/** What the lines and colours of the picture are. */
function showLegend() {
  const [inner, outer] = table.levels.map((level) => `${Math.round(100 * level)} %`);
  const regions =
    `Labelled lines are the borders of the smallest regions with ${table.regions.join(", ")} of ` +
    "the probability of the whole mixture in these columns.";
  $("legend").textContent =
    `${table.features === 1 ? "Boxes" : "Ellipses"} contain ${inner} and ${outer} of each ` +
    "component in these columns. The colour of a point is the mean of its clusters' colours, " +
    `weighted by its memberships. ${$("regions").checked ? regions : ""}`;
}

async function begin() {
  table = await askJson("/api/table", {});
  points = new LocalModel({
    colours: table.colours,
    selected: -1,
    threshold: 0.9,
    ellipses: [],
    centres: [],
    memberships: new Uint8Array(0),
    certainty: new Float32Array(0),
  });
  const columns = table.features === 1 ? `1 column` : `${table.features} columns`;
  const incomplete = table.incomplete
    ? `, ${whole(table.incomplete)} rows with missing values`
    : "";
  $("about").textContent = `${table.file}: ${whole(table.rows)} rows, ${columns}${incomplete}`;
  document.title = `${table.file} - mixtura explore`;
  const names = table.columns.map((column, i) => [String(i), column.name]);
  options($("x"), names, "0");
  options($("y"), names, "1");
  $("x").disabled = $("y").disabled = table.features === 1;
  if (!table.families.some((family) => family.name === state.family))
    state.family = table.families.at(-1).name;
  options(
    $("family"),
    table.families.map(({ name, words }) => [name, `${name}: ${words}`]),
    state.family,
  );
  options(
    $("start"),
    table.starts.map(({ name, words }) => [name, words]),
    table.starts[0].name,
  );
  $("components").max = table.largest;
  showLegend();
  $("given").hidden = table.features === 1;
  offerGiven(null);
  redraw();
  listen();
  await showColumns();
  scatterModule.render({ model: points, el: $("scatter") });
  state.components = Math.min(2, table.largest);
  await open();
  await sweepCurve();
  if (table.rows <= QUICK) await compare();
  document.documentElement.dataset.ready = "yes";
}

trying(begin);
