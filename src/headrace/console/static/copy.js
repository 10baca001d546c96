// Copying to the clipboard, and saying so.

const status = document.getElementById("status");
const SHOWN_MS = 1500;

/** Copy the text; the button says for a moment that it worked. */
export async function copy(button, text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else copyBySelection(text);
  status.textContent = status.dataset.copied;
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), SHOWN_MS);
}

/** Browsers keep the clipboard from pages served without HTTPS, except on this same machine. */
function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hidden";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
