// Pictures of matches, fetched with the token where there is one, and kept while the page is open.

import { pictureOf } from "./api.js";
import { element } from "./elements.js";

const MOST = 400;
const PAUSES_MS = [300, 900, 2000];
const kept = new Map();

/** An <img> that fills in when its picture has come; without one it stays a plain tile. */
export function pictureElement(pictureId) {
  const tile = element("div", { class: "tile" });
  if (pictureId) fill(tile, pictureId);
  return tile;
}

async function fill(tile, pictureId) {
  try {
    const picture = addressOf(pictureId);
    // At once where it has come before, so that a panel that is drawn anew does not flicker.
    const address = picture.address ?? (await picture.coming);
    tile.replaceChildren(element("img", { alt: "", src: address, draggable: "false" }));
  } catch {
    // A crop may be gone with its product; the card says the rest.
    tile.classList.add("missing");
  }
}

function addressOf(pictureId) {
  if (!kept.has(pictureId)) {
    const picture = { address: null, coming: load(pictureId).then(URL.createObjectURL) };
    picture.coming.then((address) => (picture.address = address), () => kept.delete(pictureId));
    kept.set(pictureId, picture);
    forgetOldest();
  }
  return kept.get(pictureId);
}

async function load(pictureId) {
  for (const pause of PAUSES_MS) {
    try {
      return await pictureOf(pictureId);
    } catch (error) {
      if (error.reason !== "OVERLOADED") throw error;
      await new Promise((resume) => setTimeout(resume, pause));
    }
  }
  return pictureOf(pictureId);
}

function forgetOldest() {
  if (kept.size <= MOST) return;
  const [oldest, picture] = kept.entries().next().value;
  kept.delete(oldest);
  picture.coming.then(URL.revokeObjectURL, () => {});
}
