// How a person changes boxes: by mouse, by touch, by keyboard. What changes is told to `boxes`, which draws it.
//
// boxes: of(id) and selected() say what is there, isDrawing() whether an empty spot begins a box for fingers too;
// select(id), change(id, box), draft(box), draw(box), reset(id), remove(id) do what the person wants.

import { moved, resized, spanned } from "./box-geometry.js";

const STILL_PX = 4;
const STEP = 0.01;
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

export function editBoxes(overlay, boxes) {
  let drag = null;
  let dragged = false;

  overlay.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || drag) return;
    drag = begun(event);
    dragged = false;
    if (drag) event.target.setPointerCapture(event.pointerId);
  });
  overlay.addEventListener("pointermove", (event) => {
    if (event.pointerId !== drag?.pointer) return;
    drag.moving ||= Math.hypot(event.clientX - drag.clientX, event.clientY - drag.clientY) >= STILL_PX;
    if (drag.moving) drag.to(pointOf(event));
  });
  overlay.addEventListener("pointerup", (event) => {
    if (event.pointerId !== drag?.pointer) return;
    dragged = drag.moving;
    if (drag.moving) drag.done(pointOf(event));
    drag = null;
    // A click comes with it, of which nothing more is wanted; a later one is a tap again.
    setTimeout(() => (dragged = false));
  });
  overlay.addEventListener("pointercancel", (event) => {
    if (event.pointerId !== drag?.pointer) return;
    drag.cancel();
    drag = null;
  });
  overlay.addEventListener("click", (event) => {
    if (!dragged && !boxes.isDrawing()) boxes.select(idAt(event.target));
  });
  overlay.addEventListener("keydown", (event) => {
    const id = idAt(event.target);
    if (id && pressed(event, id)) event.preventDefault();
  });

  function begun(event) {
    const edges = event.target.dataset?.edges;
    const id = idAt(event.target);
    const held = { pointer: event.pointerId, clientX: event.clientX, clientY: event.clientY, moving: false };
    if (boxes.isDrawing()) return { ...held, ...drawing(event) };
    if (edges) return { ...held, ...changing(boxes.selected(), event, (box, x, y) => resized(box, edges, x, y)) };
    // A finger on a box that is not selected may be scrolling the page.
    if (id) return id === boxes.selected() || event.pointerType === "mouse" ? { ...held, ...changing(id, event, moved) } : null;
    return event.pointerType === "mouse" ? { ...held, ...drawing(event) } : null;
  }

  function changing(id, event, change) {
    const from = pointOf(event);
    const box = boxes.of(id);
    const to = (point) => {
      if (boxes.selected() !== id) boxes.select(id);
      boxes.change(id, change(box, point.x - from.x, point.y - from.y));
    };
    return { to, done: to, cancel: () => boxes.change(id, box) };
  }

  function drawing(event) {
    const from = pointOf(event);
    return {
      to: (point) => boxes.draft(spanned(from, point)),
      done: (point) => boxes.draw(spanned(from, point)),
      cancel: () => boxes.draft(null),
    };
  }

  function pressed(event, id) {
    const arrow = ARROWS[event.key];
    if (arrow && !event.altKey && !event.ctrlKey && !event.metaKey) {
      if (boxes.selected() !== id) boxes.select(id);
      const change = event.shiftKey ? (box) => resized(box, "se", ...arrow) : (box) => moved(box, ...arrow);
      boxes.change(id, change(boxes.of(id)));
    } else if (event.key === "Enter" || event.key === " ") boxes.select(id);
    else if (event.key === "Escape") boxes.reset(id);
    else if (event.key === "Delete" || event.key === "Backspace") boxes.remove(id);
    else return false;
    return true;
  }

  function pointOf(event) {
    const bounds = overlay.getBoundingClientRect();
    return { x: (event.clientX - bounds.left) / bounds.width, y: (event.clientY - bounds.top) / bounds.height };
  }

  const idAt = (target) => target.closest?.("[data-id]")?.dataset.id ?? null;
}
