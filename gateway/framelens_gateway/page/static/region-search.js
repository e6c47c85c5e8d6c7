// Searches that follow a box while a person moves it: after a short rest, the newest alone.

const REST_MS = 160;

export class RegionSearch {
  /** `search(box, signal)` answers; `answered(answer)` or `failed(error)` hears of the newest request and no other. */
  constructor(search, answered, failed) {
    this.search = search;
    this.answered = answered;
    this.failed = failed;
    this.timer = 0;
    this.flight = null;
  }

  /** Gives up what was asked before. */
  follow(box, restMs = REST_MS) {
    this.stop();
    this.timer = setTimeout(() => this.#send(box), restMs);
  }

  stop() {
    clearTimeout(this.timer);
    this.flight?.abort();
    this.flight = null;
  }

  async #send(box) {
    const flight = new AbortController();
    this.flight = flight;
    try {
      const answer = await this.search(box, flight.signal);
      if (this.flight === flight) this.answered(answer);
    } catch (error) {
      if (this.flight === flight) this.failed(error);
    }
  }
}
