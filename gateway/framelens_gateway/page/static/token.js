// The bearer token, where the gateway wants one: typed once, kept for this tab.

import { byId } from "./elements.js";
import { t } from "./i18n.js";

const KEY = "framelens.token";
let token = stored();
let asking = null;

function stored(value) {
  try {
    if (value) sessionStorage.setItem(KEY, value);
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return value ?? "";
  }
}

export const authorization = () => (token ? { authorization: `Bearer ${token}` } : {});

/** Asks for a token after `used` was refused; false where none is given. Who asks meanwhile gets the same answer. */
export async function askForToken(used) {
  if (used !== authorization().authorization) return true;
  asking ??= ask(Boolean(used)).finally(() => (asking = null));
  return asking;
}

function ask(wasWrong) {
  const dialog = byId("token");
  const text = byId("token-text");
  const { promise, resolve } = withResolvers();
  byId("token-wrong").textContent = wasWrong ? t("tokenWrong") : "";
  text.value = "";
  dialog.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    token = text.value.trim();
    stored(token);
    dialog.close("given");
  };
  byId("token-cancel").onclick = () => dialog.close("");
  dialog.returnValue = "";
  dialog.onclose = () => resolve(dialog.returnValue === "given");
  dialog.showModal();
  return promise;
}

function withResolvers() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}
