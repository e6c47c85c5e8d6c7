// Boxes as the contract has them, x_min, y_min, x_max, y_max in 0..1 of the picture.

export const SMALLEST = 0.03;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** The box moved, whole, as far as the picture reaches. */
export function moved(box, dx, dy) {
  const x = clamp(dx, -box.x_min, 1 - box.x_max);
  const y = clamp(dy, -box.y_min, 1 - box.y_max);
  return { x_min: box.x_min + x, y_min: box.y_min + y, x_max: box.x_max + x, y_max: box.y_max + y };
}

/** The box with the named edges ("n", "se", ...) moved; it neither turns over nor leaves the picture. */
export function resized(box, edges, dx, dy) {
  const next = { ...box };
  if (edges.includes("w")) next.x_min = clamp(box.x_min + dx, 0, box.x_max - SMALLEST);
  if (edges.includes("e")) next.x_max = clamp(box.x_max + dx, box.x_min + SMALLEST, 1);
  if (edges.includes("n")) next.y_min = clamp(box.y_min + dy, 0, box.y_max - SMALLEST);
  if (edges.includes("s")) next.y_max = clamp(box.y_max + dy, box.y_min + SMALLEST, 1);
  return next;
}

/** The box between two points, or null where it is too small to mean anything. */
export function spanned(from, to) {
  const box = {
    x_min: clamp(Math.min(from.x, to.x), 0, 1),
    y_min: clamp(Math.min(from.y, to.y), 0, 1),
    x_max: clamp(Math.max(from.x, to.x), 0, 1),
    y_max: clamp(Math.max(from.y, to.y), 0, 1),
  };
  return box.x_max - box.x_min >= SMALLEST && box.y_max - box.y_min >= SMALLEST ? box : null;
}

export const area = (box) => (box.x_max - box.x_min) * (box.y_max - box.y_min);

export const sameBox = (one, other) => Object.keys(one).every((edge) => Math.abs(one[edge] - other[edge]) < 1e-6);
