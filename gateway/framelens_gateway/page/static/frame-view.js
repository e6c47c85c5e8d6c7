// The frame, a picture or a video, with boxes over it.

import { editBoxes } from "./box-editing.js";
import { area } from "./box-geometry.js";
import { element } from "./elements.js";
import { labelName, onLanguage, percentOf, t } from "./i18n.js";

const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
// Above this there is room for a label over the box.
const ROOM_ABOVE = 0.09;

export class FrameView {
  #objects = [];
  #selected = null;
  #drawing = false;
  #elements = new Map();

  /** Handlers: selected(id or null), changed(id, box), drawn(box), reset(id), removed(id). */
  constructor(root, handlers) {
    this.root = root;
    root.classList.add("frame");
    this.handlers = handlers;
    this.shade = element("div", { class: "shade", hidden: true });
    this.draft = element("div", { class: "draft", hidden: true });
    this.handles = element("div", { class: "handles", hidden: true, "aria-hidden": "true" });
    this.handles.append(...HANDLES.map((edges) => element("span", { class: "handle", "data-edges": edges })));
    this.boxes = element("div", { class: "boxes" }, this.shade, this.draft, this.handles);
    editBoxes(this.boxes, this.#editing());
    onLanguage(() => this.#name());
  }

  /** Resolves once the picture is there; rejects where the browser cannot show it. */
  async showPicture(address, title) {
    const image = element("img", { src: address, alt: t("pictureShown", { title }), draggable: "false" });
    this.root.replaceChildren(image, this.boxes);
    await image.decode();
    this.#fit(image.naturalWidth, image.naturalHeight);
  }

  showVideo(video) {
    video.addEventListener("loadedmetadata", () => this.#fit(video.videoWidth, video.videoHeight));
    this.root.replaceChildren(video, this.boxes);
  }

  clear() {
    this.show([], null);
    this.setDrawing(false);
    this.root.replaceChildren();
  }

  show(objects, selected) {
    this.#objects = objects;
    this.#selected = selected;
    const there = new Set(objects.map((object) => object.id));
    for (const [id, made] of this.#elements) {
      if (!there.has(id)) {
        made.remove();
        this.#elements.delete(id);
      }
    }
    for (const object of objects) if (!this.#elements.has(object.id)) this.#add(object.id);
    this.#name();
    this.#place();
  }

  focus(id) {
    this.#elements.get(id)?.focus();
  }

  setDrawing(on) {
    this.#drawing = on;
    this.root.classList.toggle("drawing", on);
  }

  setBusy(on) {
    this.root.classList.toggle("busy", on);
    this.root.setAttribute("aria-busy", String(on));
  }

  #fit(width, height) {
    this.root.style.setProperty("--ratio", String(width / height));
  }

  #add(id) {
    const label = element("span", { class: "box-label" });
    const made = element(
      "div",
      { class: "box", role: "button", tabindex: "0", "data-id": id, "aria-describedby": "keys" },
      label,
    );
    this.#elements.set(id, made);
    // Before the handles, so that those are on top.
    this.handles.before(made);
  }

  #name() {
    for (const object of this.#objects) {
      const made = this.#elements.get(object.id);
      made.setAttribute("aria-label", nameOf(object));
      made.setAttribute("aria-pressed", String(object.id === this.#selected));
      made.firstChild.textContent = object.drawn ? t("boxDrawn") : labelName(object.label);
    }
  }

  #place() {
    const bySize = [...this.#objects].sort((one, other) => area(other.box) - area(one.box));
    // The smaller ones on top: they could not be tapped below.
    bySize.forEach((object, order) => {
      const made = this.#elements.get(object.id);
      place(made, object.box);
      made.style.zIndex = String(order + 1);
      made.classList.toggle("selected", object.id === this.#selected);
      made.classList.toggle("low", object.box.y_min > ROOM_ABOVE);
    });
    const selected = this.#objects.find((object) => object.id === this.#selected);
    for (const each of [this.shade, this.handles]) each.hidden = !selected;
    if (!selected) return;
    place(this.shade, selected.box);
    // Inside the frame, where they can be hit.
    place(this.handles, selected.box, "9px");
  }

  #editing() {
    const object = (id) => this.#objects.find((each) => each.id === id);
    return {
      of: (id) => object(id).box,
      selected: () => this.#selected,
      isDrawing: () => this.#drawing,
      select: (id) => this.handlers.selected(id),
      change: (id, box) => {
        this.handlers.changed(id, box);
        this.#place();
      },
      draft: (box) => {
        this.draft.hidden = !box;
        if (box) place(this.draft, box);
      },
      draw: (box) => {
        this.draft.hidden = true;
        if (box) this.handlers.drawn(box);
      },
      reset: (id) => this.handlers.reset(id),
      remove: (id) => object(id).drawn && this.handlers.removed(id),
    };
  }
}

/** How an object is called: by its label and confidence, or by what a person did to its box. */
export function nameOf(object) {
  if (object.drawn) return t("boxDrawn");
  if (object.changed) return t("boxMoved", { label: labelName(object.label) });
  return t("box", { label: labelName(object.label), percent: percentOf(object.score) });
}

function place(made, box, least = "0px") {
  const inset = (share) => `max(${least}, ${share * 100}%)`;
  made.style.inset = [box.y_min, 1 - box.x_max, 1 - box.y_max, box.x_min].map(inset).join(" ");
}
