// Answers as Markdown. What a model writes is not trusted: HTML in it is shown as text, images
// become links (nothing is fetched from elsewhere), and DOMPurify keeps only plain tags.

const TAGS = ["a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6",
  "hr", "i", "li", "ol", "p", "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"];
const SANITIZE = { ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ["href", "title", "align", "start"],
  ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false, RETURN_DOM_FRAGMENT: true };
const LINKS = new Set(["http:", "https:", "mailto:"]);

const escape = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
const reader = new marked.Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const drawn = new WeakMap(); // block's element → its Markdown

/** Show `text` in the element. Blocks that have not changed stay, so a selection in them does too. */
export function render(element, text) {
  const blocks = reader.lexer(text).filter((token) => token.type !== "space" && token.type !== "def");
  element.classList.add("rendered");
  blocks.forEach((token, index) => {
    const old = element.children[index];
    if (old && drawn.get(old) === token.raw) return;
    const block = draw(token);
    drawn.set(block, token.raw);
    if (old) old.replaceWith(block);
    else element.append(block);
  });
  while (element.children.length > blocks.length) element.lastElementChild.remove();
}

/** Take the plain text that the server put into the element, and show it as Markdown. */
export function renderPlain(element) {
  const text = element.textContent;
  element.replaceChildren();
  render(element, text);
  return text;
}

function draw(token) {
  const block = document.createElement("div");
  block.append(DOMPurify.sanitize(reader.parser([token]), SANITIZE));
  for (const link of block.querySelectorAll("a")) tame(link);
  for (const code of block.querySelectorAll("pre")) withCopy(code);
  for (const table of block.querySelectorAll("table")) wrap(table, "table");
  return block;
}

function tame(link) {
  // Relative addresses would lead into this service's own pages; a model has no business there.
  if (!URL.canParse(link.getAttribute("href") ?? "") || !LINKS.has(link.protocol)) {
    link.replaceWith(...link.childNodes);
    return;
  }
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
}

function withCopy(code) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.dataset.copyCode = "";
  button.textContent = document.getElementById("status").dataset.copyCode;
  wrap(code, "code").append(button);
  code.tabIndex = 0; // so that the keyboard can scroll it
}

function wrap(element, name) {
  const box = document.createElement("div");
  box.className = name;
  element.replaceWith(box);
  box.append(element);
  return box;
}
