// A video with its own controls, and the button that asks what is in the frame.

import { element } from "./elements.js";
import { frameOf } from "./frames.js";
import { formatSecond, onLanguage, t } from "./i18n.js";
import { Timeline } from "./timeline.js";

export class VideoPlayer {
  #offering = false;
  #loop = 0;

  /** Handlers: recognise(), left() when the frame that was shown is no longer shown, failed() where it cannot play. */
  constructor(root, handlers) {
    this.root = root;
    this.handlers = handlers;
    this.video = null;
    this.timeline = new Timeline((second) => this.seek(second));
    this.play = element("button", { type: "button", class: "round play", onclick: () => this.toggle() });
    this.sound = element("button", { type: "button", class: "round sound", onclick: () => this.#mute() });
    this.clock = element("span", { class: "clock soft", "aria-hidden": "true" });
    this.ask = element("button", { type: "button", class: "ask", onclick: () => handlers.recognise() });
    this.bar = element("progress", { max: "1" });
    this.words = element("p", { class: "soft" });
    this.progress = element("div", { class: "progress", hidden: true }, this.words, this.bar);
    this.controls = element("div", { class: "controls" }, this.play, this.timeline.root, this.clock, this.sound);
    onLanguage(() => this.#name());
  }

  /** Shows what is at an address; `frame` is the FrameView that holds it. */
  open(address, frame) {
    this.close();
    const video = element("video", { src: address, playsinline: true, preload: "auto", "aria-label": t("video") });
    this.video = video;
    for (const each of ["play", "pause", "volumechange"]) video.addEventListener(each, () => this.#name());
    video.addEventListener("durationchange", () => this.timeline.setDuration(video.duration || this.timeline.duration));
    video.addEventListener("timeupdate", () => this.#look());
    video.addEventListener("seeked", () => this.#look());
    video.addEventListener("play", () => this.#playing());
    video.addEventListener("seeking", () => this.handlers.left());
    video.addEventListener("error", () => video === this.video && this.handlers.failed());
    frame.showVideo(video);
    frame.root.append(this.ask);
    this.root.replaceChildren(this.controls, this.progress, this.timeline.moments);
    this.#name();
    this.#look();
  }

  close() {
    cancelAnimationFrame(this.#loop);
    const video = this.video;
    this.video = null;
    if (video) {
      video.pause();
      video.removeAttribute("src");
      video.load();
    }
    this.timeline.clear();
    this.tell(null);
    this.root.replaceChildren();
  }

  get second() {
    return this.video.currentTime;
  }

  seek(second) {
    if (this.video.readyState > 0) {
      this.video.currentTime = second;
      this.#look();
    } else this.video.addEventListener("loadedmetadata", () => this.seek(second), { once: true });
  }

  pause() {
    this.video.pause();
  }

  toggle() {
    if (this.video.paused) this.video.play().catch(() => this.video?.error || this.handlers.failed());
    else this.video.pause();
  }

  /** The frame that is shown, as JPEG. */
  frame() {
    return frameOf(this.video);
  }

  setMoments(answer) {
    this.timeline.setMoments(answer);
    this.#look();
  }

  /** While boxes are shown, the button is not: it has been answered. */
  setAnswered(on) {
    this.answered = on;
    if (this.video) this.#look();
  }

  /** How far indexing is, in words and as a share; null when there is nothing to tell. */
  tell(words, share) {
    this.progress.hidden = words === null;
    this.words.textContent = words ?? "";
    if (share === undefined) this.bar.removeAttribute("value");
    else this.bar.value = share;
  }

  #playing() {
    this.handlers.left();
    const look = () => {
      if (!this.video || this.video.paused) return;
      this.#look();
      this.#loop = requestAnimationFrame(look);
    };
    look();
  }

  #look() {
    const second = this.video?.currentTime ?? 0;
    this.timeline.setPosition(second);
    this.clock.textContent = `${formatSecond(second)} / ${formatSecond(this.timeline.duration)}`;
    this.#offering = !this.answered && this.timeline.offers(second);
    this.ask.classList.toggle("shown", this.#offering);
    this.ask.inert = !this.#offering;
  }

  #mute() {
    this.video.muted = !this.video.muted;
  }

  #name() {
    this.ask.textContent = t("recognise");
    this.ask.setAttribute("aria-label", t("recogniseLabel"));
    if (!this.video) return;
    this.play.setAttribute("aria-label", this.video.paused ? t("play") : t("pause"));
    this.play.classList.toggle("on", !this.video.paused);
    this.sound.setAttribute("aria-label", this.video.muted ? t("unmute") : t("mute"));
    this.sound.classList.toggle("on", this.video.muted);
  }
}
