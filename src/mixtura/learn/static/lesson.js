// Starts the page: the data picker, the live parts when they become visible, the code cells.

import { Data, dataPicker } from "./data.js";
import { codeCell } from "./cells.js";
import { element } from "./elements.js";
import { bells } from "./bells.js";
import { certainty } from "./certainty.js";
import { comparison } from "./comparison.js";
import { criteria } from "./criteria.js";
import { em } from "./em.js";
import { optima } from "./optima.js";
import { shapes } from "./shapes.js";
import { soft } from "./soft.js";
import { speed } from "./speed.js";

const PARTS = { bells, certainty, comparison, criteria, em, optima, shapes, soft, speed };

/** A live part: created when it is first visible, and updated when it is visible with new data. */
class Part {
  constructor(place, data) {
    [this.place, this.data, this.stale, this.visible, this.asked] = [place, data, true, false, 0];
  }

  seen(visible) {
    this.visible = visible;
    if (visible) this.refresh();
  }

  changed() {
    this.stale = true;
    this.place.classList.add("busy");
    if (this.visible) this.refresh();
  }

  async refresh() {
    if (!this.stale || !this.data.rows.length) return;
    this.stale = false;
    this.place.classList.add("busy");
    const asked = ++this.asked;
    try {
      this.renew ??= PARTS[this.place.dataset.live](this.place, this.data, (error) =>
        this.complain(error),
      );
      await this.renew();
      if (asked === this.asked) this.complain(null);
    } catch (error) {
      this.complain(error);
    }
    if (asked === this.asked && !this.stale) this.place.classList.remove("busy");
  }

  /** Show an error in its part. */
  complain(error) {
    this.place.querySelector(":scope > .error")?.remove();
    if (error) this.place.prepend(element("p", { class: "error", role: "alert" }, error.message));
  }
}

const data = new Data();
const picker = document.querySelector("#data-picker");
dataPicker(picker, data, (error) =>
  picker.prepend(element("p", { class: "error", role: "alert" }, error.message)),
);

const parts = new Map(
  [...document.querySelectorAll("[data-live]")].map((place) => [place, new Part(place, data)]),
);
data.onChange(() => parts.forEach((part) => part.changed()));
const watcher = new IntersectionObserver(
  (entries) => entries.forEach((entry) => parts.get(entry.target).seen(entry.isIntersecting)),
  { rootMargin: "100% 0px" },
);
parts.forEach((_, place) => watcher.observe(place));

for (const cell of document.querySelectorAll(".cell")) codeCell(cell, data);
data
  .change({})
  .catch((error) => picker.prepend(element("p", { class: "error", role: "alert" }, error.message)));
