// Clusters that are not ellipses: components, merged components, K-Means, DBSCAN on the same rows.

import { colourOf } from "./colours.js";
import { button, element, slider } from "./elements.js";
import { Plane } from "./plane.js";

export function shapes(place, data, complain) {
  let [found, clusters] = [null, 1];
  const names = ["mixture", "merged", "k_means", "dbscan"];
  const titles = {
    mixture: "mixture, number of components by BIC",
    merged: "the same mixture, merged",
    k_means: "K-Means",
    dbscan: "DBSCAN",
  };
  const planes = Object.fromEntries(
    names.map((name) => [name, new Plane({ label: titles[name] })]),
  );
  const captions = Object.fromEntries(names.map((name) => [name, element("figcaption")]));
  const many = slider(
    "clusters after merging",
    { min: 1, max: 1, step: 1, value: 1 },
    (value) => ((clusters = value), draw()),
  );
  const moons = button("Use the moons as data", () =>
    data.change({ kind: "moons", n: 500, added: [] }).catch(complain),
  );
  const said = element("p", { role: "status" });
  const suits = element("p");
  place.replaceChildren(
    element("div", { class: "controls" }, moons, many),
    said,
    element(
      "div",
      { class: "two" },
      ...names.map((name) => element("figure", {}, planes[name].canvas, captions[name])),
    ),
    suits,
  );

  async function renew() {
    found = await data.ask("shapes");
    clusters = found.elbow;
    many.querySelector("input").max = found.merged.length;
    many.set(clusters);
    moons.hidden = data.chosen.kind === "moons";
    suits.textContent = found.suits.join(" ");
    draw();
  }

  function draw() {
    const cut = found.merged[clusters - 1];
    const groups = cut.groups.map((group) => group.join(" + "));
    const show = (name, labels, mixture, words) => {
      planes[name].show({
        rows: data.rows,
        names: data.names,
        colours: labels.map(colourOf),
        noise: labels.map((label) => label < 0),
        mixture,
      });
      captions[name].replaceChildren(element("b", {}, titles[name]), `: ${words}`);
    };
    const count = (labels) => new Set(labels.filter((label) => label >= 0)).size;
    const noise = found.dbscan.filter((label) => label < 0).length;
    show("mixture", found.components, found, `${found.merged.length} components`);
    show(
      "merged",
      cut.labels,
      null,
      `${clusters} cluster${clusters > 1 ? "s" : ""} (${groups.join(", ")})`,
    );
    show("k_means", found.k_means, null, `${count(found.k_means)} clusters`);
    show(
      "dbscan",
      found.dbscan,
      null,
      `${count(found.dbscan)} clusters, ${noise} rows are noise (crosses)`,
    );
    const elbow = `${found.elbow} cluster${found.elbow > 1 ? "s" : ""}`;
    said.textContent =
      `${found.sentence} After merging, the entropy of the memberships has its elbow at ` +
      `${elbow}.`;
  }

  return renew;
}
