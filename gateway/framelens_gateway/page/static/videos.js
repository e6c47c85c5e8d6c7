// A video on its way to the page: its id, its moments, and indexing where the gateway does not know it yet.

import { moments, storedVideo } from "./api.js";
import { formatNumber, t } from "./i18n.js";
import { sha256 } from "./sha256.js";
import { indexVideo } from "./video-indexing.js";

const ACCOUNT = "you";

/**
 * Resolves with {id, moments, note}. `video` has `title`, `file()` that gives its bytes, and `id` where it is known;
 * otherwise the id is made from the content. `tell(words, share)` hears how far it is.
 */
export async function knownVideo(video, tell, signal) {
  const known = video.id ? await momentsOrNull(video.id, signal) : null;
  if (known) return { id: video.id, moments: known, note: "" };
  tell(t("hashing"));
  const file = await video.file(signal);
  const hash = await sha256(file, signal);
  const id = video.id || `${ACCOUNT}-${hash.slice(0, 40)}`;
  const stored = video.id ? null : await momentsOrNull(id, signal);
  if (stored) return { id, moments: stored, note: "" };
  const named = { id, account: ACCOUNT, title: video.title };
  const result = await indexVideo(file, named, hash, (progress) => tell(...wordsOf(progress)), signal);
  return { id, moments: await moments(id, signal), note: result.note ?? "" };
}

/** How long a video is whose file does not say. */
export async function durationOf(id, signal) {
  return (await storedVideo(id, signal)).duration_s;
}

async function momentsOrNull(id, signal) {
  try {
    return await moments(id, signal);
  } catch (error) {
    if (error.reason === "NOT_FOUND") return null;
    throw error;
  }
}

function wordsOf(progress) {
  const words = t(progress.state === "receiving" || progress.state === "sending" ? progress.state : "indexing");
  if (progress.state !== "indexing" || !progress.duration_s) return [words, progress.share];
  const [done, all] = [progress.position_s, progress.duration_s].map((seconds) => formatNumber(seconds, 1));
  return [`${words} ${t("indexedOf", { done, all, count: progress.tracks })}`, progress.share];
}
