// What answered and how long each stage took, for the curious.

import { byId, element } from "./elements.js";
import { formatNumber, onLanguage, t } from "./i18n.js";

const STAGES = ["queue", "decode", "resize", "detect", "nms", "crop", "embed", "recognizer", "search", "total"];
let last = null;

/** `roundTripMs` is what this browser waited. */
export function showTimings(served, roundTripMs) {
  last = { served, roundTripMs };
  render();
}

export function clearTimings() {
  last = null;
  byId("timings").hidden = true;
}

onLanguage(() => last && render());

function render() {
  const { served, roundTripMs } = last;
  const corner = byId("timings");
  const stages = { ...served.stages_ms, [t("roundTrip")]: roundTripMs };
  const names = [...STAGES.filter((name) => name in stages), ...Object.keys(stages).filter((name) => !STAGES.includes(name))];
  const longest = Math.max(...Object.values(stages), 1);
  corner.replaceChildren(
    element("summary", { "aria-label": t("timingsTitle") }, t("timingsTotal", { ms: milliseconds(stages.total ?? roundTripMs) })),
    element(
      "div",
      { class: "timings-body" },
      element("h3", {}, t("timingsTitle")),
      element("dl", { class: "stages" }, ...names.flatMap((name) => stage(name, stages[name], longest))),
      element("p", { class: "soft" }, t("stagesHint")),
      element("dl", { class: "facts" }, ...facts(served)),
    ),
  );
  corner.hidden = false;
}

function stage(name, ms, longest) {
  const bar = element("span", { class: "bar", "aria-hidden": "true" });
  bar.style.width = `${(ms / longest) * 100}%`;
  return [element("dt", {}, name), element("dd", {}, bar, element("span", {}, milliseconds(ms)))];
}

function facts(served) {
  const known = {
    source: served.source === "picture" || served.source === "moments" ? t(`source_${served.source}`) : served.source,
    engines: (served.engines ?? []).map((engine) => `${engine.model} ${engine.version}`).join(", "),
    collections: (served.collections ?? []).join(", "),
    candidate: served.candidate,
  };
  const said = Object.entries(known).filter(([, value]) => value);
  return said.flatMap(([name, value]) => [element("dt", {}, t(name)), element("dd", {}, value)]);
}

const milliseconds = (value) => formatNumber(value, value < 10 ? 1 : 0);
