// Asking and answering. One answer at a time; leaving the page or `stop` ends it on the server too.

import { fill, fragment } from "./trust.js";
import { linkMarks, openSource } from "./citation.js";
import { copy } from "./copy.js";
import { localTimes } from "./time.js";
import { render, renderPlain } from "./markdown.js";
import { closeSidebar, refreshConversations } from "./sidebar.js";
import { events } from "./stream.js";

const composer = document.getElementById("composer");
const prompt = document.getElementById("prompt");
const log = document.getElementById("log");
const scroll = document.getElementById("scroll");
const status = document.getElementById("status");
const send = document.getElementById("send");
const stop = document.getElementById("stop");
const trace = document.getElementById("trace");
const passage = document.getElementById("passage");

const texts = new WeakMap(); // exchange's element → its answer as Markdown
let running = null; // AbortController of the answer being written

async function ask(question, confirm = "") {
  if (running || !question.trim()) return;
  running = new AbortController();
  const exchange = addExchange(question);
  setBusy(true);
  let outcome = "done";
  try {
    outcome = await listen(exchange, question, confirm, running.signal);
  } catch (error) {
    outcome = error.name === "AbortError" ? "stopped" : "lost";
  }
  running = null;
  setBusy(false);
  await finish(exchange, outcome);
}

/** Show the answer as it comes. Gives how it ended: done, failed or lost. */
async function listen(exchange, question, confirm, signal) {
  const fields = new URLSearchParams({ text: question, conversation: composer.dataset.conversation });
  const model = document.getElementById("model");
  if (model) fields.set("model", model.value);
  if (confirm) fields.set("confirm", confirm); // what a policy asked about, and the reader agreed to
  const response = await fetch(composer.action, { method: "POST", body: fields, signal });
  if (response.status === 401) return location.assign("/sign-in");
  if (!response.headers.get("content-type").startsWith("text/event-stream")) {
    const failure = await response.text();
    keepAtEnd(() => fill(exchange.querySelector(".after"), failure));
    return "failed";
  }
  for await (const { name, data } of events(response)) {
    if (name === "start") begin(exchange, data);
    else if (name === "step") addStep(exchange, data);
    else if (name === "delta") addText(exchange, data.text);
    else if (name === "reasoning") addReasoning(exchange, data.text);
    else {
      drawNow(exchange);
      conclude(exchange, data);
      return name === "done" ? "done" : "failed";
    }
  }
  return "lost";
}

function addExchange(question) {
  document.getElementById("welcome")?.remove();
  for (const steps of log.querySelectorAll(".steps[open]")) steps.open = false;
  const exchange = document.getElementById("exchange-template").content.firstElementChild.cloneNode(true);
  exchange.querySelector(".question p").textContent = question;
  exchange.classList.add("writing");
  texts.set(exchange, "");
  log.append(exchange);
  scroll.scrollTop = scroll.scrollHeight;
  return exchange;
}

function begin(exchange, { trace, conversation, steps }) {
  exchange.dataset.trace = trace;
  composer.dataset.conversation = conversation;
  keepAtEnd(() => exchange.querySelector(".steps ol").append(fragment(steps)));
}

/** A finished step takes its place among those to come. */
function addStep(exchange, { name, html }) {
  const steps = exchange.querySelector(".steps ol");
  const place = [...steps.querySelectorAll(".pending")].find((step) => step.dataset.step === name);
  keepAtEnd(() => (place ? place.replaceWith(fragment(html)) : steps.append(fragment(html))));
}

function addText(exchange, text) {
  texts.set(exchange, texts.get(exchange) + text);
  draw(exchange);
}

function addReasoning(exchange, text) {
  const reasoning = exchange.querySelector(".reasoning");
  reasoning.hidden = false;
  reasoning.open = true;
  keepAtEnd(() => reasoning.querySelector("p").append(text));
}

let drawing = 0;

/** Draw the answer at the next frame; however many pieces come until then, it is drawn once. */
function draw(exchange) {
  drawing ||= requestAnimationFrame(() => drawNow(exchange));
}

function drawNow(exchange) {
  cancelAnimationFrame(drawing);
  drawing = 0;
  keepAtEnd(() => render(exchange.querySelector(".answer"), texts.get(exchange)));
}

/** Change the page; a reader who was at its end stays there, any other is left where they are. */
function keepAtEnd(change) {
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  change();
  if (atEnd) scroll.scrollTop = scroll.scrollHeight;
}

async function finish(exchange, outcome) {
  drawNow(exchange);
  exchange.classList.remove("writing");
  status.textContent = status.dataset[outcome] ?? status.dataset.failed;
  for (const step of exchange.querySelectorAll(".pending")) step.remove();
  if (outcome === "lost") showLost(exchange);
  if (outcome === "stopped") await showStopped(exchange);
  if (!exchange.dataset.trace || outcome === "lost") return;
  refreshConversations(composer.dataset.conversation);
}

function showLost(exchange) {
  const lost = document.getElementById("lost-template").content.cloneNode(true);
  exchange.querySelector("[data-summary]").textContent = status.dataset.failed;
  keepAtEnd(() => exchange.querySelector(".after").replaceChildren(lost));
}

/** After a stop the server has nobody to tell about the answer, so its outcome is asked for. */
async function showStopped(exchange) {
  exchange.querySelector("[data-summary]").textContent = status.dataset.stopped;
  if (!exchange.dataset.trace) return;
  const ending = await endingOf(exchange.dataset.trace);
  if (ending) conclude(exchange, ending);
  else showLost(exchange);
}

/** How an answer ended, once its trace is kept; null when the service cannot say. */
async function endingOf(trace) {
  try {
    const response = await fetch(`/traces/${trace}/outcome`, { headers: { "hx-request": "true" } });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** Show what stands above and below an answer from now on, and where it can be found again. */
function conclude(exchange, { html, summary, steps, address }) {
  // Before the answer looks complete: whoever reloads then must find it.
  if (address) history.replaceState(null, "", address);
  keepAtEnd(() => {
    exchange.querySelector("[data-summary]").textContent = summary;
    fill(exchange.querySelector(".steps ol"), steps);
    fill(exchange.querySelector(".after"), html);
    linkMarks(exchange);
  });
}

function setBusy(busy) {
  log.setAttribute("aria-busy", String(busy));
  if (busy) status.textContent = status.dataset.writing;
  send.hidden = busy;
  stop.hidden = !busy;
}

function sendPrompt() {
  if (running) return;
  const question = prompt.value;
  prompt.value = "";
  fit();
  ask(question);
  prompt.focus();
}

/** Let the box grow with its text, where the style sheet alone cannot (`field-sizing`). */
function fit() {
  if (CSS.supports("field-sizing", "content")) return;
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
}

prompt.addEventListener("input", fit);
prompt.addEventListener("keydown", (event) => {
  // While an input method composes (229: Safari says so after the fact), Enter picks a word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  sendPrompt();
});
composer.addEventListener("submit", (event) => {
  event.preventDefault();
  sendPrompt();
});
stop.addEventListener("click", () => {
  running?.abort();
  prompt.focus();
});

document.addEventListener("keydown", (event) => {
  if (event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && !closeSidebar()) running?.abort();
  const writes = event.target.closest("input, textarea, select");
  if (event.key === "/" && !writes && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    prompt.focus();
  }
});

log.addEventListener("click", (event) => {
  const target = event.target;
  const exchange = target.closest(".exchange");
  const example = target.closest("[data-example]");
  const mark = target.closest("[data-mark]");
  if (mark && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    openSource(mark);
  } else if (example) ask(example.dataset.example);
  else if (target.closest("[data-copy]")) copy(target.closest("[data-copy]"), texts.get(exchange));
  else if (target.closest("[data-copy-code]")) copy(target, codeBeside(target));
  else if (target.closest("[data-retry]") && !running) {
    const question = exchange.querySelector(".question p").textContent;
    exchange.remove();
    ask(question, target.closest("[data-retry]").dataset.confirm);
  }
});

function codeBeside(button) {
  return button.parentElement.querySelector("code").textContent.replace(/\n$/, "");
}

document.addEventListener("htmx:after:swap", (event) => {
  const target = event.detail.ctx.target;
  if (target?.matches(".rating")) target.querySelector(".comment")?.scrollIntoView({ block: "nearest" });
  if (target?.id === "passage-body" && !passage.open) passage.showModal();
  if (target?.id !== "trace-body") return;
  localTimes(trace);
  if (!trace.open) trace.showModal();
});
for (const dialog of [trace, passage]) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

// An answer that its reader walked away from ends while the next page is on its way, perhaps too
// late for that page's list of conversations.
addEventListener("pagehide", () => {
  if (running) sessionStorage.setItem("left", log.lastElementChild.dataset.trace ?? "");
});
const left = sessionStorage.getItem("left");
sessionStorage.removeItem("left");
if (left) endingOf(left).then(() => refreshConversations(composer.dataset.conversation));

for (const exchange of log.querySelectorAll(".exchange")) {
  texts.set(exchange, renderPlain(exchange.querySelector(".answer")));
  linkMarks(exchange);
}
scroll.scrollTop = scroll.scrollHeight;
send.disabled = false; // it came disabled: nothing can be sent without this script
