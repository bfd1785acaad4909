// Charts by plotly.js's strict bundle, in the colours of the page. The bundle is a plain script
// that the page loads first.

const Plotly = globalThis.Plotly;

const QUIET = {
  displayModeBar: false,
  responsive: true,
  scrollZoom: false,
  doubleClick: false,
  showTips: false,
};

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axis(title, more) {
  return {
    title: { text: title, standoff: 8, font: { size: 13 } },
    gridcolor: colour("--track"),
    linecolor: colour("--line"),
    zeroline: false,
    automargin: true,
    fixedrange: true,
    ...more,
  };
}

/** Draw or update a chart: lines are plotly's traces, x and y are the titles of the axes. */
export function chart(el, lines, { x, y, xMore, yMore, more }) {
  const layout = {
    margin: { l: 60, r: 16, t: 12, b: 48 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("--ink"), family: getComputedStyle(el).fontFamily, size: 13 },
    hoverlabel: { bgcolor: colour("--card"), font: { color: colour("--ink") } },
    dragmode: false,
    hovermode: "closest",
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    xaxis: axis(x, xMore),
    yaxis: axis(y, yMore),
    ...more,
  };
  return Plotly.react(el, lines, layout, QUIET);
}

/** Call ``chosen`` with the x of a point that was clicked. */
export function onPoint(el, chosen) {
  el.on("plotly_click", (event) => chosen(event.points[0].x));
}

export { colour };
