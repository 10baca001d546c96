// The list of conversations: opening it on small screens, renaming, asking before deleting.

const menu = document.getElementById("menu");
const sidebar = document.getElementById("sidebar");
const confirmation = document.getElementById("confirm");
const nav = document.getElementById("conversations");

function showSidebar(open) {
  document.body.classList.toggle("sidebar-open", open);
  menu.setAttribute("aria-expanded", String(open));
  if (open) sidebar.querySelector("a, button").focus();
  else if (sidebar.contains(document.activeElement)) menu.focus();
}

/** True if there was something to close. */
export function closeSidebar() {
  const open = document.body.classList.contains("sidebar-open");
  if (open) showSidebar(false);
  return open;
}

/** Fetch the list again; `conversation` is the one that is open. */
export function refreshConversations(conversation) {
  nav.setAttribute("hx-get", `/conversations?open=${encodeURIComponent(conversation)}`);
  nav.dispatchEvent(new CustomEvent("conversations-changed", { bubbles: true }));
}

menu.addEventListener("click", () => showSidebar(!document.body.classList.contains("sidebar-open")));
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close-sidebar]")) closeSidebar();
});

document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  event.preventDefault();
  confirmation.querySelector("[data-subject]").textContent = ctx.confirm;
  confirmation.returnValue = "no";
  confirmation.addEventListener(
    "close", () => (confirmation.returnValue === "yes" ? issueRequest() : dropRequest()), { once: true });
  confirmation.showModal();
});

nav.addEventListener("htmx:after:swap", () => {
  const input = nav.querySelector(".renaming input");
  if (input) input.select();
  const title = nav.querySelector("[aria-current]")?.textContent;
  if (!title) return;
  document.querySelector(".bar h1").textContent = title;
  document.title = `${title} · Headrace`;
});

nav.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing || !event.target.closest(".renaming")) return;
  event.stopPropagation();
  nav.dispatchEvent(new CustomEvent("conversations-changed", { bubbles: true }));
});
