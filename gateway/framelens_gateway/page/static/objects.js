// What is in the frame that is shown: objects that were found, boxes that a person changed or drew, their matches.

import { sameBox } from "./box-geometry.js";
import { RegionSearch } from "./region-search.js";

export class Objects {
  all = [];
  selected = null;
  #numbers = 0;

  /** `search(box, pageToken, signal)` answers; `changed(object)` hears of new matches, `failed(error, retry)` of none. */
  constructor(search, changed, failed) {
    this.search = search;
    this.changed = changed;
    this.failed = failed;
  }

  clear() {
    for (const object of this.all) object.following.stop();
    this.all = [];
    this.selected = null;
  }

  of(id) {
    return this.all.find((object) => object.id === id);
  }

  /** What Recognize has found. */
  found(objects) {
    this.clear();
    for (const object of objects) this.#add({ ...object, detected: object });
  }

  /** A box of a person's own, searched at once; returns its id. */
  drawn(box) {
    const object = this.#add({ label: "object", score: 1, box, matches: [], drawn: true });
    this.move(object.id, box, 0);
    return object.id;
  }

  /** Searches what the box holds now, once it rests. */
  move(id, box, restMs) {
    const object = this.of(id);
    const changed = !object.drawn && !sameBox(box, object.detected.box);
    const known = object.searching && object.changed === changed;
    Object.assign(object, { box, changed, searching: true });
    object.following.follow(box, restMs);
    if (!known) this.changed(object);
  }

  /** As it was found. */
  reset(id) {
    const object = this.of(id);
    if (object.drawn) return;
    object.following.stop();
    Object.assign(object, object.detected, { changed: false, searching: false });
    this.changed(object);
  }

  remove(id) {
    this.of(id).following.stop();
    this.all = this.all.filter((object) => object.id !== id);
    if (this.selected === id) this.selected = null;
  }

  /** The matches that follow. */
  async more(id, signal) {
    const object = this.of(id);
    const token = object.next_page_token;
    const answer = await this.search(object.box, token, signal);
    // Meanwhile the box may have been moved.
    if (object.next_page_token !== token) return;
    object.matches = [...object.matches, ...answer.matches];
    object.next_page_token = answer.next_page_token;
    this.changed(object);
  }

  #add(fields) {
    this.#numbers += 1;
    const object = { ...fields, id: `box-${this.#numbers}`, changed: false, searching: false };
    object.following = new RegionSearch(
      (box, signal) => this.search(box, "", signal),
      (answer) => {
        Object.assign(object, { matches: answer.matches, next_page_token: answer.next_page_token, note: "", searching: false });
        this.changed(object, answer);
      },
      (error) => {
        object.searching = false;
        this.changed(object);
        this.failed(error, () => this.move(object.id, object.box, 0));
      },
    );
    this.all = [...this.all, object];
    return object;
  }
}
