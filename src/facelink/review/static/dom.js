// Elements, requests and messages. Text only ever becomes text here, never markup.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function show(...children) {
  const main = document.getElementById("main");
  main.replaceChildren(...children.flat().filter(Boolean));
  return main;
}

export function empty(title, text) {
  return element("div", { class: "empty" }, element("h1", {}, title), element("p", {}, text));
}

export function button(text, key, action, properties = {}) {
  const kept = key ? { "aria-keyshortcuts": key } : {};
  const label = key ? [`${text} `, element("kbd", {}, key)] : [text];
  return element("button", { type: "button", onclick: action, ...kept, ...properties }, ...label);
}

export function face(id, alt) {
  return element("img", {
    class: "face", src: `/thumbnails/${id}`, alt, loading: "lazy", decoding: "async",
    width: 96, height: 96,
  });
}

export const called = (person) => person.name ?? `Person ${person.id}`;
export const faces = (n) => `${n.toLocaleString("en")} face${n === 1 ? "" : "s"}`;
export const percent = (share) =>
  share === null ? "not judged yet" : `${Math.floor(share * 1000) / 10} %`;

export function meter(share) {
  const filled = element("span");
  filled.style.width = `${100 * share}%`;
  return element("div", { class: "meter", "aria-hidden": "true" }, filled);
}

let vanishing = 0;
export function tell(message) {
  const toast = document.getElementById("toast");
  toast.textContent = message;
  clearTimeout(vanishing);
  vanishing = setTimeout(() => { toast.textContent = ""; }, 6000);
}

async function answerOf(response) {
  if (response.ok) return response.json();
  const text = await response.text();
  let reason = text;
  try {
    reason = JSON.parse(text).error ?? "this request could not be understood.";
  } catch { /* a plain sentence */ }
  throw new Error(reason);
}

export async function get(path) {
  return answerOf(await fetch(`/api/${path}`));
}

export async function post(path, body = {}) {
  return answerOf(await fetch(`/api/${path}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  }));
}

// Asks a question with named answers; gives the value of the one chosen, or null.
export function ask(title, text, choices) {
  const dialog = document.getElementById("ask");
  document.getElementById("ask-title").textContent = title;
  document.getElementById("ask-text").textContent = text;
  return new Promise((resolve) => {
    const close = (value) => { dialog.onclose = null; dialog.close(); resolve(value); };
    document.getElementById("ask-choices").replaceChildren(
      ...choices.map(([label, value]) =>
        button(label, "", () => close(value), { class: "primary" })),
      button("Cancel", "", () => close(null)));
    dialog.onclose = () => resolve(null);
    dialog.showModal();
  });
}

// Which of two people keeps their number and name: asked where both have a name of their own.
export async function whoStays(one, other) {
  if (one.name && other.name && one.name !== other.name) {
    return ask("Whose name stays?", `${one.name} and ${other.name} become one person.`,
      [[one.name, one.id], [other.name, other.id]]);
  }
  if (Boolean(one.name) !== Boolean(other.name)) return one.name ? one.id : other.id;
  return one.n_faces >= other.n_faces ? one.id : other.id;
}

// A field for a name, completed from the names of the album; Enter hands over what it holds.
let fields = 0;
export function nameField(label, value, accept) {
  const list = element("datalist", { id: `names-${++fields}` });
  const input = element("input", {
    type: "text", "aria-label": label, placeholder: label, list: list.id, value,
    autocomplete: "off", maxlength: 200,
  });
  const complete = async () => {
    const found = await get(`names?text=${encodeURIComponent(input.value)}`);
    list.replaceChildren(...found.map((one) =>
      element("option", { value: one.name }, faces(one.n_faces))));
  };
  input.addEventListener("input", () => complete().catch(() => list.replaceChildren()));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") accept(input.value.trim());
    if (event.key === "Escape") input.blur();
  });
  return { input, list };
}

export async function personNamed(name) {
  const found = await get(`names?limit=200&text=${encodeURIComponent(name)}`);
  return found.find((one) => one.name === name) ?? null;
}

// Arrow keys in a grid of elements that can have the focus.
export function moveFocus(grid, key) {
  const cards = [...grid.querySelectorAll(".card")];
  if (!cards.length) return;
  const columns = cards.filter((card) => card.offsetTop === cards[0].offsetTop).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  const here = cards.indexOf(document.activeElement);
  const next = here < 0 ? 0 : Math.min(Math.max(here + step, 0), cards.length - 1);
  cards[next].focus();
}

// Fill a grid page by page, as its end comes into sight; at once as far as it was filled before.
const MOST_AT_ONCE = 200;
export const firstPage = (size, filled) => Math.min(Math.max(size, filled), MOST_AT_ONCE);
export async function endless(grid, size, load, page) {
  const end = element("div", { "aria-hidden": "true" });
  grid.after(end);
  let offset = 0;
  let busy = false;
  const more = async (limit) => {
    if (busy) return true;
    busy = true;
    try {
      const cards = await load(offset, limit);
      offset += cards.length;
      if (!page.isCurrent()) return false;
      grid.append(...cards);
      if (cards.length < limit) watcher.disconnect();
      return cards.length === limit;
    } finally { busy = false; }
  };
  const watcher = new IntersectionObserver(async (entries) => {
    if (!entries.at(-1).isIntersecting) return;
    try {
      const isMore = await more(size);
      if (isMore && grid.isConnected) { watcher.unobserve(end); watcher.observe(end); }
    } catch (error) { tell(error.message); }
  }, { rootMargin: "600px" });
  let isMore = await more(firstPage(size, page.filled));
  while (isMore && offset < page.filled) isMore = await more(firstPage(size, page.filled - offset));
  if (isMore) watcher.observe(end);
}
