// Which language the page speaks, and its words in it.

import { LABELS_ZH } from "./labels.js";
import { WORDS } from "./words.js";

const KEY = "framelens.language";
const LOCALES = { en: "en", zh: "zh-CN" };
const listeners = new Set();
let language = chosen();

function chosen() {
  const remembered = remember();
  if (remembered in LOCALES) return remembered;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** What was chosen before; a browser may refuse to keep anything. */
function remember(value) {
  try {
    if (value) localStorage.setItem(KEY, value);
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

export const locale = () => LOCALES[language];

export function setLanguage(value) {
  language = value;
  remember(value);
  translatePage();
  for (const listener of listeners) listener();
}

/** Calls back after each change of language. */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** The words of a key; `{name}` is replaced from `values`, and a form for one is taken where `values.count` is 1. */
export function t(key, values = {}) {
  const entry = WORDS[language][key];
  const text = Array.isArray(entry) ? entry[values.count === 1 ? 0 : 1] : entry;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** A detector's label in this language; one that is not known stays as it is. */
export function labelName(label) {
  return language === "zh" ? (LABELS_ZH[label] ?? label) : label;
}

export function sampleTitle(sample) {
  return (language === "zh" && sample.title_zh) || sample.title_en;
}

export function formatPrice(price, currency) {
  try {
    return new Intl.NumberFormat(locale(), { style: "currency", currency }).format(price);
  } catch {
    return `${new Intl.NumberFormat(locale()).format(price)} ${currency}`.trim();
  }
}

export function formatNumber(value, digits = 0) {
  return new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export const percentOf = (share) => `${formatNumber(share * 100)}%`;

/** Seconds of a video as m:ss. */
export function formatSecond(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Fills in what index.html leaves to the language. */
export function translatePage() {
  document.documentElement.lang = locale();
  document.title = t("title");
  for (const each of document.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  for (const each of document.querySelectorAll("[data-t-label]")) each.setAttribute("aria-label", t(each.dataset.tLabel));
  for (const each of document.querySelectorAll("[data-language]")) {
    each.setAttribute("aria-pressed", String(each.dataset.language === language));
  }
}
