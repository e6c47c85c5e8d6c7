// The strip of samples under the frame.

import { samples } from "./api.js";
import { byId, element } from "./elements.js";
import { onLanguage, sampleTitle, t } from "./i18n.js";

/** Shows what the gateway offers and returns it; `chosen(sample)` hears of taps. */
export async function showSamples(chosen) {
  const offered = await samples();
  const render = () => byId("samples").querySelector("ul").replaceChildren(...offered.map((each) => item(each, chosen)));
  byId("samples").hidden = offered.length === 0;
  render();
  onLanguage(render);
  return offered;
}

export const sampleAddress = (sample) => `samples/${encodeURIComponent(sample.name)}`;

function item(sample, chosen) {
  const isVideo = sample.kind === "video";
  const shown = isVideo
    ? element("video", { src: `${sampleAddress(sample)}#t=0.5`, preload: "metadata", muted: true, playsinline: true, tabindex: "-1" })
    : element("img", { src: sampleAddress(sample), alt: "", loading: "lazy" });
  const title = sampleTitle(sample);
  const name = isVideo ? `${t("video")}: ${title}` : title;
  return element(
    "li",
    {},
    element(
      "button",
      { type: "button", class: isVideo ? "sample of-video" : "sample", "aria-label": name, onclick: () => chosen(sample) },
      shown,
      element("span", {}, title),
    ),
  );
}
