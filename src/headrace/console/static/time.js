// Moments, in the reader's own time zone. The server does not know it, so it writes UTC.

/** Rewrite every `<time data-when="seconds since the epoch">` within the element. */
export function localTimes(element) {
  for (const time of element.querySelectorAll("time[data-when]")) {
    const moment = new Date(Number(time.dataset.when) * 1000);
    time.title = time.textContent;
    time.textContent = moment.toLocaleString(document.documentElement.lang);
  }
}
