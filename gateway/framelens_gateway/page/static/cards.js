// A match as a card: a product with its picture, price, merchant and link, or a video with the second to jump to.

import { element, outwardLink, webAddress } from "./elements.js";
import { formatNumber, formatPrice, formatSecond, t } from "./i18n.js";
import { pictureElement } from "./pictures.js";

const AVAILABILITIES = new Set(["in_stock", "out_of_stock", "preorder", "backorder"]);

/** `jump(match)` gives what opens a related video here at its second, or null where only a link can. */
export function card(match, jump) {
  return match.kind === "video" ? videoCard(match, jump(match)) : productCard(match);
}

function productCard(match) {
  const address = webAddress(match.url);
  const title = match.title || match.id;
  return element(
    "li",
    { class: "card" },
    pictureElement(match.picture_id),
    element(
      "div",
      { class: "card-text" },
      element("h4", {}, address ? namedLink(address, title) : title),
      match.price === undefined ? null : element("p", { class: "price" }, formatPrice(match.price, match.currency)),
      match.merchant ? element("p", { class: "merchant" }, match.merchant) : null,
      availability(match.availability),
      likeness(match.score),
    ),
  );
}

function videoCard(match, open) {
  const title = match.title || t("untitled");
  const second = t("watchAt", { second: formatSecond(match.video.at_s) });
  return element(
    "li",
    { class: "card of-video" },
    pictureElement(match.picture_id),
    element(
      "div",
      { class: "card-text" },
      element("h4", {}, title),
      match.video.account ? element("p", { class: "merchant" }, t("byAccount", { account: match.video.account })) : null,
      watch(match, open, second, title),
      likeness(match.score),
    ),
  );
}

function watch(match, open, words, title) {
  const name = `${words}: ${title}`;
  if (open) return element("button", { type: "button", class: "watch", "aria-label": name, onclick: open }, words);
  const address = webAddress(match.url);
  if (!address) return element("p", { class: "watch" }, words);
  const at = new URL(address);
  at.hash ||= `t=${match.video.at_s.toFixed(1)}`;
  const link = outwardLink(at.href, words);
  link.className = "watch";
  link.setAttribute("aria-label", `${name} (${t("newTab")})`);
  return link;
}

function namedLink(address, title) {
  const link = outwardLink(address, title);
  link.append(element("span", { class: "unseen" }, ` (${t("newTab")})`));
  return link;
}

function availability(value) {
  return AVAILABILITIES.has(value) ? element("p", { class: `availability ${value}` }, t(value)) : null;
}

function likeness(score) {
  const words = t("likeness", { score: formatNumber(score, 2) });
  return element("p", { class: "likeness", title: t("likenessWhy") }, words);
}
