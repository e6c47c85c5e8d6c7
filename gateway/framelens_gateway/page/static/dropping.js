// Files that are dropped anywhere on the page, or pasted into it.

import { byId } from "./elements.js";

export function installDropping(dropped) {
  const veil = byId("dropping");
  let depth = 0;

  document.addEventListener("dragenter", (event) => {
    if (!hasFile(event)) return;
    depth += 1;
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!hasFile(event)) return;
    depth -= 1;
    veil.hidden = depth <= 0;
  });
  document.addEventListener("dragover", (event) => hasFile(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    depth = 0;
    veil.hidden = true;
    take(event, event.dataTransfer);
  });
  document.addEventListener("paste", (event) => take(event, event.clipboardData));

  function take(event, transfer) {
    const [file] = transfer?.files ?? [];
    if (!file) return;
    event.preventDefault();
    dropped(file);
  }
}

const hasFile = (event) => event.dataTransfer?.types.includes("Files");
