// One colour for each component, as in mixtura's pictures; a point has the mean of its components'
// colours.

const PALETTE = [
  "#3f90da",
  "#ffa90e",
  "#bd1f01",
  "#832db6",
  "#a96b59",
  "#e76300",
  "#92dadd",
  "#b9ac70",
  "#717581",
  "#94a4a2",
];
const RGB = PALETTE.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));

/** The colour of a component; -1 is noise. */
export function colourOf(k) {
  return k < 0 ? "#8a9097" : PALETTE[k % PALETTE.length];
}

/** The mean of the components' colours, weighted by these memberships. */
export function blended(shares) {
  const mixed = [0, 1, 2].map((c) =>
    Math.round(shares.reduce((sum, share, k) => sum + share * RGB[k % RGB.length][c], 0)),
  );
  return `rgb(${mixed.join(" ")})`;
}

/** A colour of the page's style sheet, for its light or dark theme. */
export function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
