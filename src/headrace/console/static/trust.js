// The one door through which text becomes HTML on these pages: fragments that our own server
// rendered, with everything from outside escaped. Answers never pass here (see markdown.js).
// The content security policy allows no other door, and htmx gets this one.

const policy = window.trustedTypes
  ? trustedTypes.createPolicy("headrace", { createHTML: (html) => html })
  : { createHTML: (html) => html };

function refuse() {
  throw new Error("pages of Headrace run no code from attributes");
}

htmx.registerExtension("headrace", {
  init: (internal) =>
    internal.initSecurity({ createHTML: (html) => policy.createHTML(html), createScript: refuse }, refuse, refuse),
});

/** The server's fragment as nodes, with its htmx attributes alive once they are in the page. */
export function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  return template.content;
}

/** Replace what an element holds by a fragment of the server. */
export function fill(element, html) {
  element.replaceChildren(fragment(html));
  htmx.process(element);
}
