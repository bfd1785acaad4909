// Functions that create elements. Text is never parsed as markup, so data cannot become an element.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes (or listeners: a function under "click"), and its children: elements
 * and text.
 */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for SVG elements. */
export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null)
      made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A labelled slider with its value; `changed` is called with the number. */
export function slider(label, { min, max, step, value, says = String }, changed) {
  const shown = element("output", {}, says(value));
  const input = element("input", { type: "range", min, max, step, value, "aria-label": label });
  input.addEventListener("input", () => {
    shown.textContent = says(Number(input.value));
    changed(Number(input.value));
  });
  const whole = element("label", {}, label, input, shown);
  whole.set = (number) => {
    input.value = number;
    shown.textContent = says(Number(input.value));
  };
  return whole;
}

/** A labelled choice; `changed` is called with the value. */
export function choice(label, options, value, changed) {
  const select = element(
    "select",
    { "aria-label": label },
    ...options.map(([key, words]) =>
      element("option", { value: key, selected: key === value }, words),
    ),
  );
  select.addEventListener("change", () => changed(select.value));
  return element("label", {}, label, select);
}

export function button(words, clicked, attributes = {}) {
  return element("button", { type: "button", click: clicked, ...attributes }, words);
}

/** A table from its header and its rows, with columns of numbers aligned right. */
export function table(head, rows, caption) {
  const numeric = head.map(
    (_, j) => j > 0 && rows.every((row) => /^[−-]?[\d.,]+(\s%)?$|^$|^–$/.test(String(row[j]))),
  );
  const wordy = head.map((_, j) => rows.some((row) => String(row[j]).length > 24));
  const kind = (j) =>
    numeric[j] ? { class: "number" } : wordy[j] && j > 0 ? { class: "words" } : {};
  return element(
    "table",
    {},
    caption ? element("caption", {}, element("span", {}, caption)) : null,
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        ...head.map((text, j) => element("th", { scope: "col", ...kind(j) }, text)),
      ),
    ),
    element(
      "tbody",
      {},
      ...rows.map((row) =>
        element(
          "tr",
          {},
          ...row.map((cell, j) =>
            element(
              j ? "td" : "th",
              { ...kind(j), ...(j ? {} : { scope: "row" }) },
              cell instanceof Node ? cell : String(cell),
            ),
          ),
        ),
      ),
    ),
  );
}

/** The name of a cluster: its label. */
export const clusterName = (k) => `cluster ${k}`;

/** The name of a row, counted from 1 as in the file. */
export const rowName = (i) => `row ${(i + 1).toLocaleString("en")}`;

/** A text with a capital letter. */
export const capitalised = (name) => name.charAt(0).toUpperCase() + name.slice(1);

/** A bar for the membership in each cluster. */
export function membershipBars(shares, colourOf) {
  return element(
    "div",
    { class: "bars" },
    ...shares.flatMap((share, k) => [
      element("span", {}, clusterName(k)),
      drawn(
        "svg",
        { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
        drawn("rect", { width: Math.max(share * 100, 0.2), height: 10, fill: colourOf(k) }),
      ),
      element("span", {}, percent(share)),
    ]),
  );
}

/** "70 % cluster 0, 30 % cluster 1": memberships, largest first, without those that round to 0. */
export function inWords(shares) {
  return shares
    .map((share, k) => [share, k])
    .filter(([share]) => share >= 0.0005)
    .sort((a, b) => b[0] - a[0])
    .map(([share, k]) => `${percent(share)} ${clusterName(k)}`)
    .join(", ");
}

const GLUE = "\u00a0"; // no line break between a number and its unit

/** A share in percent; 0 and 100 only where they are exact. */
export function percent(share) {
  if (share > 0 && share < 0.0005) return `<${GLUE}0.1${GLUE}%`;
  if (share < 1 && share > 0.9995) return `>${GLUE}99.9${GLUE}%`;
  const digits = share > 0.995 || share < 0.0995 ? 1 : 0;
  return `${(100 * share).toFixed(Number.isInteger(share) ? 0 : digits)}${GLUE}%`;
}

/** A number with four significant digits. */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const shown =
    Math.abs(value) >= 1000 ? value.toFixed(1) : Number(value.toPrecision(digits)).toString();
  return shown.replace("-", "−");
}
