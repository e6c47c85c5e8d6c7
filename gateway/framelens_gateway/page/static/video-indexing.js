// Sends a video to be indexed and tells how far it is. XMLHttpRequest, because fetch does not say what was sent.

import { ApiError, errorOf } from "./api.js";
import { t } from "./i18n.js";
import { askForToken, authorization } from "./token.js";

/**
 * Resolves with the StoredVideo. `video` is the contract's Video; `progress({state, share, ...})` hears "sending" with
 * the share that is sent, and then the gateway's IndexVideoProgress.
 */
export async function indexVideo(file, video, sha256, progress, signal) {
  for (;;) {
    const headers = authorization();
    try {
      return await send(file, { video, sha256 }, headers, progress, signal);
    } catch (error) {
      if (error.reason !== "UNAUTHENTICATED" || !(await askForToken(headers.authorization))) throw error;
    }
  }
}

function send(file, header, headers, progress, signal) {
  const form = new FormData();
  form.append("request", JSON.stringify(header));
  form.append("video", file, "video");
  const request = new XMLHttpRequest();
  const lines = new Lines(progress);
  request.open("POST", "v1/videos");
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  return new Promise((resolve, reject) => {
    const stop = () => request.abort();
    signal.addEventListener("abort", stop);
    request.upload.onprogress = (event) => progress({ state: "sending", share: event.loaded / event.total });
    request.onprogress = () => request.status === 200 && lines.read(request.responseText);
    request.onerror = () => reject(new ApiError("UNREACHABLE", t("unreachable")));
    request.onabort = () => reject(new DOMException("given up", "AbortError"));
    request.onload = () => {
      if (request.status === 200) lines.read(`${request.responseText}\n`);
      const error = request.status === 200 ? lines.error : errorOf(request.status, parsed(request.responseText));
      if (error) reject(error);
      else if (lines.stored) resolve(lines.stored);
      else reject(errorOf(request.status, null));
    };
    request.onloadend = () => signal.removeEventListener("abort", stop);
    request.send(form);
  });
}

/** Newline-delimited IndexVideoProgress, as it grows. */
class Lines {
  #at = 0;
  stored = null;
  error = null;

  constructor(progress) {
    this.progress = progress;
  }

  read(text) {
    for (let end = text.indexOf("\n", this.#at); end >= 0; end = text.indexOf("\n", this.#at)) {
      const line = parsed(text.slice(this.#at, end));
      this.#at = end + 1;
      if (line) this.#take(line);
    }
  }

  #take(line) {
    if (line.error) this.error = errorOf(200, line);
    else if (line.state === "stored" || line.state === "unchanged") this.stored = line.stored ?? {};
    else this.progress({ ...line, share: line.duration_s ? line.position_s / line.duration_s : undefined });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
