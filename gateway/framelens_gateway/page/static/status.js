// What the page says beside its results: failures, and words for those who do not see it.

import { byId, element } from "./elements.js";
import { t } from "./i18n.js";

/** Shows a failure as its sentence. `retry` is offered where trying again may help; an abort is no failure. */
export function showError(error, retry) {
  if (error.name === "AbortError") return;
  const box = byId("alert");
  const buttons = element("div", { class: "choices" });
  if (retry) buttons.append(element("button", { type: "button", class: "button", onclick: again }, t("retry")));
  buttons.append(element("button", { type: "button", class: "button quiet", onclick: clearError }, t("dismiss")));
  box.replaceChildren(element("p", {}, error.message), buttons);
  box.hidden = false;

  function again() {
    clearError();
    retry();
  }
}

export function clearError() {
  const box = byId("alert");
  box.hidden = true;
  box.replaceChildren();
}

/** Whether the same request may well be answered in a moment. */
export function maySucceedLater(error) {
  return ["OVERLOADED", "UNREACHABLE", "DEADLINE_EXCEEDED", "TRITON_UNAVAILABLE", "MILVUS_UNAVAILABLE"].includes(
    error.reason,
  );
}

export function announce(text) {
  byId("announcements").textContent = text;
}
