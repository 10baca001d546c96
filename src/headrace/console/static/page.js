// Every page: light or dark, and times in the reader's own time zone.

import { localTimes } from "./time.js";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

function toggleTheme() {
  const system = dark.matches ? "dark" : "light";
  const current = root.dataset.theme === "auto" ? system : root.dataset.theme;
  const next = current === "dark" ? "light" : "dark";
  // Back at what the system says, the page follows the system again.
  const kept = next === system ? "" : next;
  root.dataset.theme = kept || "auto";
  document.cookie = `headrace-theme=${kept}; path=/; max-age=${kept ? 31536000 : 0}; samesite=strict`;
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-toggle-theme]")) toggleTheme();
});

localTimes(document);
