// Which view is shown, the keys, undo and redo.

import { button, element, empty, endless, get, post, show, tell } from "./dom.js";
import { people, person } from "./grids.js";
import { hidden } from "./hidden.js";
import { goOnLooking, lookAgain, waitsForPlacing } from "./looking.js";
import { pairs, splits, undecided } from "./questions.js";

const VIEWS = { people, person, pairs, splits, undecided, hidden, history };
const HASHES = {
  p: "people", m: "pairs", t: "splits", f: "undecided", g: "hidden", h: "history",
};
const PAGE = 60;
const PATIENCE_MILLISECONDS = 1500;

let keys = {};
let shownTime = 0;
let acting = false;
let nActions = 0;

function actionRow(page, one) {
  const state = one.is_in_force ? null : "undone";
  return element("li", { class: state, "data-key": one.id, tabindex: -1 },
    element("div", {}, element("b", {}, one.cause), element("p", { class: "quiet" },
      `${new Date(one.time).toLocaleString()}${one.is_in_force ? "" : " · undone"}`)),
    button(one.is_in_force ? "Undo" : "Redo", "", () =>
      page.act(post(`history/${one.last}/reverse`), one.is_in_force
        ? `Undone: ${one.cause}.` : `Done again: ${one.cause}.`)));
}

async function history(page) {
  const list = element("ol", { class: "history" });
  show(element("h1", {}, "History"), list);
  await endless(list, PAGE, async (offset, limit) =>
    (await get(`history?limit=${limit}&offset=${offset}`)).map((one) => actionRow(page, one)),
  page);
  if (page.isCurrent() && !list.children.length) {
    show(empty("Nothing has been done yet", "Every action will be listed here, to be undone."));
  }
  return {};
}

function busy(isBusy) {
  document.getElementById("main").setAttribute("aria-busy", String(isBusy));
}

// `filled` is how many cards or rows the view had before it is shown anew.
async function route(filled = 0) {
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
  const page = { act, again: () => route(), isCurrent, filled };
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
  document.getElementById("n-hidden").textContent = counts.hidden.toLocaleString("en");
  offer(counts);
}

function offer(state) {
  for (const name of ["undo", "redo"]) {
    const control = document.getElementById(name);
    control.disabled = state[name] === null;
    control.title = state[name] ?? "";
  }
}

// Views that were left, to come back to where one was.
const left = new Map();

// What a view looks like: how far it is filled and scrolled, and what has the focus.
function looks() {
  const items = [...document.querySelectorAll("#main [data-key]")];
  return {
    keys: items.map((item) => item.dataset.key), scroll: window.scrollY,
    focus: items.indexOf(document.activeElement.closest("[data-key]")),
  };
}

// Shows a view as it was; what had the focus and is gone hands it to what followed.
async function showAs(before) {
  await route(before.keys.length);
  window.scrollTo(0, before.scroll);
  if (document.activeElement !== document.body) return;
  const items = new Map([...document.querySelectorAll("#main [data-key]")]
    .map((item) => [item.dataset.key, item]));
  const order = before.focus < 0 ? [] : [...before.keys.slice(before.focus),
    ...before.keys.slice(0, before.focus).reverse()];
  const key = order.find((one) => items.has(one));
  (items.get(key) ?? document.getElementById("main")).focus({ preventScroll: true });
}

const again = () => showAs(looks());

// Waits for a decision that was sent, says what happened, and shows the view anew.
async function act(sent, message, then = again) {
  busy(true);
  nActions += 1;
  const waiting = setTimeout(() => tell(waitsForPlacing()
    ? "Kept as soon as the faces have found their places …" : "Still at it …"),
  PATIENCE_MILLISECONDS);
  try {
    offer(await sent);
    tell(message);
  } catch (error) {
    tell(error.message);
    busy(false);
    return;
  } finally {
    clearTimeout(waiting);
  }
  await then();
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
  if (key === "l") return () => { look(); };
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

const look = () => lookAgain(again).catch((error) => tell(error.message));

document.getElementById("look").addEventListener("click", look);
document.getElementById("undo").addEventListener("click", () => turn("undo"));
document.getElementById("redo").addEventListener("click", () => turn("redo"));
document.getElementById("help").addEventListener("click",
  () => document.getElementById("keys").showModal());
document.getElementById("keys-close").addEventListener("click",
  () => document.getElementById("keys").close());
window.addEventListener("hashchange", (event) => {
  left.set(new URL(event.oldURL).hash, looks());
  const before = left.get(location.hash);
  window.scrollTo(0, 0);
  if (before) showAs(before);
  else route();
});
route();
goOnLooking(again).catch(() => {});
