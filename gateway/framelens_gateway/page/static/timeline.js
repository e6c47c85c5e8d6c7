// Under a video: where it is, when the button shows, and the moments in which something can be recognised.

import { element } from "./elements.js";
import { formatSecond, labelName, onLanguage, t } from "./i18n.js";
import { pictureElement } from "./pictures.js";

const ARROW_S = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
const LANES = 3;

export class Timeline {
  #moments = [];
  #spans = [];
  #duration = 0;
  #known = false;

  /** `sought(second)` hears where a person wants to be. */
  constructor(sought) {
    this.sought = sought;
    this.slider = element("input", { type: "range", min: "0", max: "0", step: "0.05", value: "0" });
    this.slider.addEventListener("input", () => sought(Number(this.slider.value)));
    this.slider.addEventListener("keydown", (event) => this.#step(event));
    this.bands = element("div", { class: "bands", "aria-hidden": "true" });
    this.root = element("div", { class: "timeline" }, this.bands, this.slider);
    this.moments = element("section", { class: "moments", hidden: true });
    onLanguage(() => this.#render());
  }

  clear() {
    this.#moments = [];
    this.#spans = [];
    this.#known = false;
    this.setDuration(0);
  }

  setDuration(seconds) {
    this.#duration = Number.isFinite(seconds) ? seconds : 0;
    this.slider.max = String(this.#duration);
    this.#render();
  }

  get duration() {
    return this.#duration;
  }

  /** What GetMoments answers. */
  setMoments(answer) {
    this.#moments = answer.moments;
    this.#spans = answer.button;
    this.#known = true;
    this.#render();
  }

  /** Whether the button shows at this second. */
  offers(second) {
    return this.#spans.some((span) => span.start_s <= second && second <= span.end_s);
  }

  setPosition(second) {
    this.slider.value = String(second);
    this.slider.style.setProperty("--done", `${this.#duration ? (second / this.#duration) * 100 : 0}%`);
    this.slider.setAttribute("aria-valuetext", t("positionOf", { at: formatSecond(second), end: formatSecond(this.#duration) }));
    this.#moments.forEach((moment, number) => {
      const now = moment.start_s <= second && second <= moment.end_s;
      this.moments.querySelectorAll("button")[number]?.classList.toggle("now", now);
    });
  }

  #render() {
    this.slider.setAttribute("aria-label", t("position"));
    const spans = this.#spans.map((span) => this.#band(span, "button-span"));
    const lanes = lanesOf(this.#moments);
    const bands = this.#moments.map((moment, number) => {
      const band = this.#band(moment, `moment-band ${moment.route}`);
      band.style.top = `${lanes[number] * 5}px`;
      return band;
    });
    this.bands.replaceChildren(...(this.#duration ? [...spans, ...bands] : []));
    this.moments.hidden = !this.#known;
    const hint = this.#moments.length ? t("momentsHint") : t("momentsNone");
    this.moments.replaceChildren(
      element("h3", {}, t("moments"), element("span", { class: "soft" }, ` ${hint}`)),
      element("ul", {}, ...this.#moments.map((moment) => this.#item(moment))),
    );
    this.setPosition(Number(this.slider.value));
  }

  #band(span, kind) {
    const band = element("span", { class: kind });
    band.style.left = `${(span.start_s / this.#duration) * 100}%`;
    band.style.width = `${((span.end_s - span.start_s) / this.#duration) * 100}%`;
    return band;
  }

  #item(moment) {
    const label = labelName(moment.label);
    const name = t("momentAt", { label, second: formatSecond(moment.at_s) });
    const open = () => this.sought(moment.at_s);
    return element(
      "li",
      {},
      element(
        "button",
        { type: "button", class: `moment ${moment.route}`, "aria-label": name, onclick: open },
        pictureElement(moment.picture_id),
        element("span", {}, label),
        element("span", { class: "soft" }, formatSecond(moment.at_s)),
      ),
    );
  }

  #step(event) {
    const seconds = ARROW_S[event.key];
    if (!seconds) return;
    event.preventDefault();
    this.sought(Math.min(Math.max(Number(this.slider.value) + seconds, 0), this.#duration));
  }
}

/** A lane for each moment, so that those that overlap are told apart as long as there are lanes. */
function lanesOf(moments) {
  const ends = new Array(LANES).fill(-1);
  return moments.map((moment) => {
    const free = ends.findIndex((end) => end <= moment.start_s);
    const lane = free < 0 ? LANES - 1 : free;
    ends[lane] = Math.max(ends[lane], moment.end_s);
    return lane;
  });
}
