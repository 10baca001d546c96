// Marks of sources in an answer: `[2]` becomes a link that opens footnote 2 below the answer.

const MARK = /\[(\d{1,3})\]/g;

/** Make the marks of an answer links. Text in code, and marks without a footnote, stay as they are. */
export function linkMarks(exchange) {
  const sources = new Map();
  for (const link of exchange.querySelectorAll("[data-source]")) sources.set(link.dataset.source, link);
  if (!sources.size) return;
  const walker = document.createTreeWalker(exchange.querySelector(".answer"), NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement.closest("a, code, pre, button")) texts.push(node);
  }
  for (const node of texts) linkIn(node, sources);
}

/** Open the footnote that a mark names. */
export function openSource(mark) {
  mark.closest(".exchange").querySelector(`[data-source="${mark.dataset.mark}"]`)?.click();
}

function linkIn(node, sources) {
  const pieces = [];
  let done = 0;
  for (const found of node.data.matchAll(MARK)) {
    const source = sources.get(found[1]);
    if (!source) continue;
    pieces.push(node.data.slice(done, found.index), link(found[1], source));
    done = found.index + found[0].length;
  }
  if (pieces.length) node.replaceWith(...pieces, node.data.slice(done));
}

function link(number, source) {
  const mark = document.createElement("a");
  mark.className = "mark";
  mark.href = source.getAttribute("href");
  mark.dataset.mark = number;
  mark.textContent = `[${number}]`;
  mark.setAttribute("aria-haspopup", "dialog");
  mark.setAttribute("aria-label", `${number}: ${source.textContent}`);
  return mark;
}
