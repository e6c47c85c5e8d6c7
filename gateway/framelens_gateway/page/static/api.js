// The gateway's calls. Every failure is an ApiError with the gateway's own sentence.

import { t } from "./i18n.js";
import { askForToken, authorization } from "./token.js";

const TOP_K = 12;

export class ApiError extends Error {
  constructor(reason, message) {
    super(message);
    this.reason = reason;
  }
}

/** Finds the objects in a picture; `more` holds further fields of RecognizeRequest. */
export function recognize(picture, more, signal) {
  return post("v1/recognize", picture, { search: { top_k: TOP_K }, ...more }, signal);
}

/** Searches exactly `region`; `pageToken` asks for the matches that follow. */
export function searchRegion(picture, region, pageToken, signal) {
  const request = { region, search: { top_k: TOP_K } };
  if (pageToken) request.page_token = pageToken;
  return post("v1/search-region", picture, request, signal);
}

export const moments = (id, signal) => json(`v1/moments/${encodeURIComponent(id)}`, signal);
export const storedVideo = (id, signal) => json(`v1/videos/${encodeURIComponent(id)}`, signal);
export const samples = () => json("samples.json");

/** The crop behind a match. */
export async function pictureOf(id, signal) {
  return (await call(`v1/pictures/${encodeURIComponent(id)}`, { signal })).blob();
}

export async function sampleFile(name, signal) {
  return (await call(`samples/${encodeURIComponent(name)}`, { signal })).blob();
}

/** What an error body says, whatever it looks like. */
export function errorOf(status, body) {
  const error = body?.error;
  if (typeof error?.message === "string") return new ApiError(error.reason, error.message);
  return new ApiError("STRANGE", t("strange", { status }));
}

async function post(path, picture, request, signal) {
  const body = new FormData();
  body.append("picture", picture, "picture");
  body.append("request", JSON.stringify(request));
  return (await call(path, { method: "POST", body, signal })).json();
}

async function json(path, signal) {
  return (await call(path, { signal })).json();
}

/** Asks for a token where one is wanted, and then again. */
async function call(path, options) {
  for (;;) {
    const headers = authorization();
    const answer = await reach(path, { ...options, headers });
    if (answer.ok) return answer;
    const body = await answer.json().catch(() => null);
    if (answer.status !== 401 || !(await askForToken(headers.authorization))) throw errorOf(answer.status, body);
  }
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("UNREACHABLE", t("unreachable"));
  }
}
