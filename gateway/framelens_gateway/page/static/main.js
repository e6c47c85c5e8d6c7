// Wires the page together: what is opened, what is found in it, what is shown of that.

import { recognize, sampleFile, searchRegion } from "./api.js";
import { installDropping } from "./dropping.js";
import { byId } from "./elements.js";
import { FrameView, nameOf } from "./frame-view.js";
import { isVideo, sendable } from "./frames.js";
import { labelName, locale, sampleTitle, setLanguage, t, translatePage } from "./i18n.js";
import { alike, MatchesPanel } from "./matches.js";
import { Objects } from "./objects.js";
import { sampleAddress, showSamples } from "./samples.js";
import { announce, clearError, maySucceedLater, showError } from "./status.js";
import { clearTimings, showTimings } from "./timings.js";
import { VideoPlayer } from "./video-player.js";
import { durationOf, knownVideo } from "./videos.js";

// Of what is shown now: a promise of the picture that is sent, the video, and what ends all that is under way for it.
let frame = null;
let video = null;
let work = new AbortController();
let looking = new AbortController();
let address = "";
let title = "";
// By video id: what opens it here at a second.
const openable = new Map();

const objects = new Objects(
  async (box, token, signal) => timed(async () => searchRegion(await frame, box, token, signal)),
  (object, answer) => {
    render();
    if (answer) sayMatches(object);
  },
  fail,
);
const view = new FrameView(byId("frame"), {
  selected: select,
  changed: (id, box) => objects.move(id, box),
  drawn: draw,
  reset: (id) => objects.reset(id),
  removed: remove,
});
const panel = new MatchesPanel(byId("results"), {
  selected: select,
  more: (id) => objects.more(id, work.signal).catch((error) => fail(error)),
  reset: (id) => objects.reset(id),
  removed: remove,
  jump,
});
const player = new VideoPlayer(byId("player"), { recognise, left: leaveFrame, failed: () => showError(new Error(t("cannotPlay"))) });

function begin() {
  work.abort();
  looking.abort();
  work = new AbortController();
  objects.clear();
  player.close();
  player.setAnswered(false);
  URL.revokeObjectURL(address);
  [frame, video, address] = [null, null, ""];
  view.clear();
  view.setBusy(false);
  panel.clear();
  setDrawing(false);
  clearTimings();
  clearError();
}

function goHome() {
  begin();
  showWork(false);
}

function showWork(on) {
  byId("work").hidden = !on;
  byId("welcome").hidden = on;
  if (!on) return;
  // Whoever goes on by keyboard comes to the boxes next.
  byId("content").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function openFile(file) {
  const kind = isVideo(file) ? "video" : "picture";
  begin();
  if (kind === "picture") return openPicture(file, file.name);
  address = URL.createObjectURL(file);
  return openVideo(address, { title: file.name, file: async () => file });
}

async function openSample(sample, second) {
  begin();
  const { signal } = work;
  const name = sampleTitle(sample);
  const file = (until) => sampleFile(sample.name, until);
  if (sample.kind === "video") return openVideo(sampleAddress(sample), { title: name, file, id: sample.video_id }, second);
  try {
    const picture = await file(signal);
    if (!signal.aborted) await openPicture(picture, name);
  } catch (error) {
    fail(error, () => openSample(sample));
  }
}

async function openPicture(file, name) {
  const { signal } = work;
  showWork(true);
  address = URL.createObjectURL(file);
  frame = sendable(file);
  const shown = view.showPicture(address, name).then(() => true, () => false);
  const answered = await look({});
  if (signal.aborted || (await shown)) return;
  // What nobody can see is no frame to work in.
  if (answered) showError(new Error(t("cannotShow")));
  view.clear();
  panel.clear();
  showWork(false);
}

async function openVideo(source, wanted, second) {
  const { signal } = work;
  showWork(true);
  player.open(source, view);
  if (second !== undefined) player.seek(second);
  try {
    const known = await knownVideo(wanted, (words, share) => signal.aborted || player.tell(words, share), signal);
    video = known.id;
    if (wanted.file && !openable.has(video)) openable.set(video, (at) => reopen(wanted, at));
    player.tell(known.note || null, 1);
    player.setMoments(known.moments);
    if (!frame && known.moments.moments.length) hintAtVideo(wanted.title);
    if (!player.timeline.duration) player.timeline.setDuration(await durationOf(video, signal));
    announce(t("indexed"));
  } catch (error) {
    if (signal.aborted) return;
    player.tell(t("indexFailed"), 0);
    fail(error, () => openVideo(source, wanted, second));
  }
}

async function reopen(wanted, second) {
  begin();
  const file = await wanted.file(work.signal);
  address = URL.createObjectURL(file);
  await openVideo(address, wanted, second);
}

/** The button over a video: the frame that is shown is looked at. */
async function recognise() {
  holdFrame();
  player.setAnswered(true);
  await look({ video_id: video, timestamp_s: player.second });
}

function hintAtVideo(name) {
  title = name;
  panel.hint(() => [name, t("videoHint")]);
}

function holdFrame() {
  player.pause();
  frame = player.frame();
}

function leaveFrame() {
  if (!frame) return;
  frame = null;
  looking.abort();
  view.setBusy(false);
  objects.clear();
  view.show([], null);
  hintAtVideo(title);
  player.setAnswered(false);
}

/** Asks what is in the frame, shows it, and says whether it was answered. */
async function look(more) {
  looking.abort();
  looking = new AbortController();
  const { signal } = looking;
  view.setBusy(true);
  panel.wait();
  announce(t("looking"));
  try {
    const answer = await timed(async () => recognize(await frame, more, signal));
    if (signal.aborted) return true;
    objects.found(answer.objects);
    render();
    sayFound();
    return true;
  } catch (error) {
    if (signal.aborted) return true;
    panel.clear();
    player.setAnswered(false);
    fail(error, () => look(more));
    return false;
  } finally {
    if (!signal.aborted) view.setBusy(false);
  }
}

async function timed(call) {
  const started = performance.now();
  const answer = await call();
  showTimings(answer.served, performance.now() - started);
  return answer;
}

function select(id) {
  if (id === null && player.video && !objects.all.length) {
    player.toggle();
    return;
  }
  if (id === objects.selected) return;
  objects.selected = id;
  render();
  if (id) sayMatches(objects.of(id));
}

function draw(box) {
  if (player.video && !frame) {
    holdFrame();
    player.setAnswered(true);
  }
  setDrawing(false);
  const id = objects.drawn(box);
  select(id);
  view.focus(id);
}

function remove(id) {
  objects.remove(id);
  render();
}

function render() {
  view.show(objects.all, objects.selected);
  panel.show(objects.all, objects.selected);
}

function jump(match) {
  const second = match.video.at_s;
  if (match.id === video) return () => player.seek(second);
  const open = openable.get(match.id);
  return open ? () => open(second) : null;
}

function fail(error, retry) {
  showError(error, retry && maySucceedLater(error) ? retry : undefined);
}

function sayFound() {
  const labels = objects.all.map((object) => labelName(object.label));
  const list = new Intl.ListFormat(locale()).format(labels);
  announce(labels.length ? t("saidFound", { count: labels.length, labels: list }) : t("foundNone"));
}

function sayMatches(object) {
  announce(t("saidMatches", { label: nameOf(object), count: alike(object).length }));
}

function setDrawing(on) {
  view.setDrawing(on);
  byId("draw").setAttribute("aria-pressed", String(on));
}

byId("draw").addEventListener("click", (event) => {
  // Without a pointer there is nothing to draw with: a box to begin with, which arrow keys move.
  if (event.detail === 0) draw({ x_min: 0.3, y_min: 0.3, x_max: 0.7, y_max: 0.7 });
  else setDrawing(byId("draw").getAttribute("aria-pressed") === "false");
});
document.addEventListener("keydown", (event) => event.key === "Escape" && setDrawing(false));
byId("another").addEventListener("click", () => byId("file").click());
byId("home").addEventListener("click", goHome);
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) openFile(file);
});
for (const each of document.querySelectorAll("[data-language]")) {
  each.addEventListener("click", () => setLanguage(each.dataset.language));
}
installDropping(openFile);
translatePage();
showSamples(openSample).then(
  (offered) => {
    for (const sample of offered) if (sample.video_id) openable.set(sample.video_id, (second) => openSample(sample, second));
  },
  (error) => fail(error),
);
