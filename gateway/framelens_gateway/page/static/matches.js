// The panel beside the frame: what was found, and the matches of the one that is selected.

import { card } from "./cards.js";
import { element } from "./elements.js";
import { formatNumber, formatPrice, labelName, onLanguage, percentOf, t } from "./i18n.js";
import { pictureElement } from "./pictures.js";

// The same thing scores above it, and what only shares a shape or a colour below, with the packaged embedder.
const ALIKE = 0.5;
const PREVIEWS = 3;

export const alike = (object) => object.matches.filter((match) => match.score >= ALIKE);

function hintOf(lines) {
  const [title, words] = lines();
  return [element("h2", {}, title), element("p", { class: "soft" }, words)];
}

function summary(match) {
  const title = match.title || match.id;
  return match.price === undefined ? title : `${title} · ${formatPrice(match.price, match.currency)}`;
}

export class MatchesPanel {
  #objects = [];
  #selected = null;
  #hidden = true;
  #hinted = null;
  #unfolded = false;

  /** Handlers: selected(id or null), more(id), reset(id), removed(id), jump(match) as in card(). */
  constructor(root, handlers) {
    this.root = root;
    this.handlers = handlers;
    onLanguage(() => {
      if (!this.#hidden) this.#render();
      else if (this.#hinted) this.root.replaceChildren(...hintOf(this.#hinted));
    });
  }

  clear() {
    this.#hidden = true;
    this.#hinted = null;
    this.root.replaceChildren();
    this.root.removeAttribute("aria-busy");
  }

  /** While the frame is looked at. */
  wait() {
    this.clear();
    this.root.setAttribute("aria-busy", "true");
    this.root.append(
      element("p", { class: "soft waiting" }, t("looking")),
      ...[1, 2, 3].map(() => element("div", { class: "ghost", "aria-hidden": "true" })),
    );
  }

  /** Before anything was asked; `lines` gives the words, again after each change of language. */
  hint(lines) {
    this.clear();
    this.#hinted = lines;
    this.root.append(...hintOf(lines));
  }

  show(objects, selected) {
    this.#objects = objects;
    this.#selected = objects.find((object) => object.id === selected) ?? null;
    this.#hidden = false;
    this.#hinted = null;
    this.#render();
  }

  #render() {
    this.root.setAttribute("aria-busy", String(Boolean(this.#selected?.searching)));
    const focused = this.root.contains(document.activeElement) ? document.activeElement.className : null;
    this.root.replaceChildren(...(this.#selected ? this.#matchesOf(this.#selected) : this.#overview()));
    if (focused !== null) this.#focusAgain(focused);
  }

  /** What had the focus is drawn anew, or gone. */
  #focusAgain(className) {
    const same = className && this.root.getElementsByClassName(className)[0];
    (same || this.root.querySelector(".back, .thing"))?.focus({ preventScroll: true });
  }

  #overview() {
    const count = this.#objects.length;
    return [
      element("h2", {}, count ? t("foundTitle", { count }) : t("foundNone")),
      element("p", { class: "soft" }, count ? t("foundHint") : t("foundNoneHint")),
      element("ul", { class: "things" }, ...this.#objects.map((object) => this.#thing(object))),
    ];
  }

  #thing(object) {
    const best = alike(object);
    const previews = best.slice(0, PREVIEWS).map((match) => pictureElement(match.picture_id));
    return element(
      "li",
      {},
      element(
        "button",
        { type: "button", class: "thing", onclick: () => this.handlers.selected(object.id) },
        element("span", { class: "thing-name" }, object.drawn ? t("boxDrawn") : labelName(object.label)),
        element("span", { class: "soft" }, best.length ? summary(best[0]) : t("noneAlike")),
        element("span", { class: "previews", "aria-hidden": "true" }, ...previews),
      ),
    );
  }

  #matchesOf(object) {
    const best = alike(object);
    const others = object.matches.filter((match) => !best.includes(match));
    const parts = [
      element("button", { type: "button", class: "back", onclick: () => this.handlers.selected(null) }, t("all")),
      element("h2", { class: "label" }, object.drawn ? t("boxDrawn") : labelName(object.label)),
      this.#state(object),
    ];
    if (object.note) parts.push(element("p", { class: "note" }, object.note));
    if (best.length) parts.push(this.#list(t("alike"), best, "cards"));
    const more = object.next_page_token ? this.#more(object) : null;
    if (others.length && best.length) parts.push(this.#folded(others, more));
    else if (others.length) parts.push(this.#list(t("nearest"), others, "cards plain"));
    if (!object.matches.length && !object.note && !object.searching) parts.push(element("p", { class: "note" }, t("noMatches")));
    if (more && !more.parentElement) parts.push(more);
    return parts;
  }

  #more(object) {
    return element("button", { type: "button", class: "button more", onclick: () => this.handlers.more(object.id) }, t("more"));
  }

  #state(object) {
    if (!object.drawn && !object.changed) {
      return element("p", { class: "soft state" }, t("sure", { percent: percentOf(object.score) }));
    }
    const undo = object.drawn
      ? element("button", { type: "button", class: "text", onclick: () => this.handlers.removed(object.id) }, t("remove"))
      : element("button", { type: "button", class: "text", onclick: () => this.handlers.reset(object.id) }, t("reset"));
    return element("p", { class: "soft state" }, t("inBox"), " · ", undo);
  }

  #list(title, matches, kind) {
    const list = element("ul", { class: kind }, ...matches.map((match) => card(match, this.handlers.jump)));
    return element("section", {}, element("h3", {}, title), list);
  }

  #folded(matches, more) {
    const title = `${t("lessAlike")} (${formatNumber(matches.length)})`;
    const folded = element("details", { class: "folded" }, element("summary", {}, title));
    const list = element("ul", { class: "cards plain" });
    folded.append(list);
    if (more) folded.append(more);
    folded.addEventListener("toggle", () => {
      this.#unfolded = folded.open;
      // Only now: each brings a picture.
      if (folded.open) list.replaceChildren(...matches.map((match) => card(match, this.handlers.jump)));
    });
    folded.open = this.#unfolded;
    return folded;
  }
}
