// Which view is shown, the keys, undo and redo.

import { button, element, empty, get, post, show, tell } from "./dom.js";
import { people, person } from "./grids.js";
import { pairs, splits, undecided } from "./questions.js";

const VIEWS = { people, person, pairs, splits, undecided, history };
const HASHES = { p: "people", m: "pairs", t: "splits", f: "undecided", h: "history" };

let keys = {};
let shownTime = 0;
let acting = false;
let nActions = 0;

async function history(page) {
  const found = await get("history");
  if (!page.isCurrent()) return {};
  if (!found.length) {
    show(empty("Nothing has been done yet", "Every action will be listed here, to be undone."));
    return {};
  }
  show(element("h1", {}, "History"), element("ol", { class: "history" }, found.map((one) =>
    element("li", { class: one.is_in_force ? null : "undone" },
      element("div", {}, element("b", {}, one.cause), element("p", { class: "quiet" },
        `${new Date(one.time).toLocaleString()}${one.is_in_force ? "" : " · undone"}`)),
      button(one.is_in_force ? "Undo" : "Redo", "", () =>
        page.act(post(`history/${one.last}/reverse`), one.is_in_force
          ? `Undone: ${one.cause}.` : `Done again: ${one.cause}.`))))));
  return {};
}

function busy(isBusy) {
  document.getElementById("main").setAttribute("aria-busy", String(isBusy));
}

async function route() {
  busy(true);
  const mine = ++shownTime;
  const [, view, id] = location.hash.split("/");
  const known = Object.hasOwn(VIEWS, view ?? "") ? view : "people";
  for (const link of document.querySelectorAll("nav a")) {
    const isHere = link.dataset.view === (known === "person" ? "people" : known);
    if (isHere) {
      link.setAttribute("aria-current", "page");
      link.parentElement.scrollLeft = link.offsetLeft - 48;
    } else link.removeAttribute("aria-current");
  }
  keys = {};
  const isCurrent = () => mine === shownTime;
  const page = { act, again: route, isCurrent };
  try {
    const found = await VIEWS[known](page, Number(id));
    if (!isCurrent()) return;
    keys = found;
  } catch (error) {
    if (isCurrent()) show(empty("This could not be shown", error.message));
  }
  if (isCurrent()) busy(false);
  count(isCurrent).catch(() => {});
}

async function count(isCurrent) {
  const actionsBefore = nActions;
  const counts = await get("counts");
  if (!isCurrent() || nActions !== actionsBefore) return;
  document.getElementById("n-people").textContent = counts.people.toLocaleString("en");
  document.getElementById("n-undecided").textContent = counts.undecided.toLocaleString("en");
  offer(counts);
}

function offer(state) {
  for (const name of ["undo", "redo"]) {
    const control = document.getElementById(name);
    control.disabled = state[name] === null;
    control.title = state[name] ?? "";
  }
}

// Waits for a decision that was sent, says what happened, and shows the view anew.
async function act(sent, message, then = null) {
  busy(true);
  nActions += 1;
  try {
    offer(await sent);
    tell(message);
  } catch (error) {
    tell(error.message);
    busy(false);
    return;
  }
  const place = window.scrollY;
  if (then) then();
  else await route();
  if (!then) window.scrollTo(0, place);
  if (document.activeElement === document.body) {
    document.getElementById("main").focus({ preventScroll: true });
  }
}

async function turn(name) {
  const cause = document.getElementById(name).title;
  await act(post(name), `${name === "undo" ? "Undone" : "Done again"}: ${cause}.`);
}

function actionOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    return key === "z" ? () => turn(event.shiftKey ? "redo" : "undo") : null;
  }
  if (event.altKey) return null;
  if (keys[key]) return keys[key];
  if (key.startsWith("Arrow") && keys.arrows) return () => keys.arrows(key);
  if (key === "u") return () => turn("undo");
  if (key === "y") return () => turn("redo");
  if (key === "?") return () => document.getElementById("keys").showModal();
  if (HASHES[key]) return () => { location.hash = `#/${HASHES[key]}`; };
  return null;
}

document.addEventListener("keydown", async (event) => {
  const isTyping = event.target.matches("input, select, textarea");
  if (isTyping || document.querySelector("dialog[open]")) return;
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  if (event.repeat && !event.key.startsWith("Arrow")) return;
  if (acting) return;
  acting = true;
  try {
    await action();
  } catch (error) {
    tell(error.message);
  } finally {
    acting = false;
  }
});

document.getElementById("undo").addEventListener("click", () => turn("undo"));
document.getElementById("redo").addEventListener("click", () => turn("redo"));
document.getElementById("help").addEventListener("click",
  () => document.getElementById("keys").showModal());
document.getElementById("keys-close").addEventListener("click",
  () => document.getElementById("keys").close());
window.addEventListener("hashchange", () => { window.scrollTo(0, 0); route(); });
route();
