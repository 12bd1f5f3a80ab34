// People as a grid, and the faces of one of them.

import {
  ask, button, called, element, empty, endless, face, faces, firstPage, get, moveFocus, nameField,
  percent, personNamed, post, show, tell,
} from "./dom.js";
import { drawnCut } from "./questions.js";

const PAGE = 60;
let order = "size";

function personCard(person) {
  return element("a", { class: "card", href: `#/person/${person.id}`, "data-key": person.id },
    person.face === null ? element("div", { class: "face" }) : face(person.face, ""),
    element("b", {}, called(person)),
    element("span", { class: "quiet" }, order === "doubt" && person.least !== null
      ? `least sure ${percent(person.least)}` : faces(person.n_faces)));
}

export async function people(page) {
  const counts = await get("counts");
  if (!page.isCurrent()) return {};
  if (counts.people === 0) {
    show(counts.faces === 0
      ? empty("This album is empty", "Add faces with facelink album import, then come back.")
      : empty("Nobody yet", `${faces(counts.faces)}, and no two that surely belong together. `
        + "Run facelink album update, or look at the undecided faces."));
    return {};
  }
  const choice = element("select", {
    "aria-label": "Order", onchange: () => { order = choice.value; page.again(); },
  }, element("option", { value: "size" }, "Most faces first"),
  element("option", { value: "doubt" }, "Most doubtful first"));
  choice.value = order;
  const find = nameField("Find a name", "", async (name) => {
    const found = await personNamed(name);
    if (found) location.hash = `#/person/${found.id}`;
    else tell(`Nobody is called ${name}.`);
  });
  const grid = element("div", { class: "grid" });
  show(element("h1", {}, "People"),
    element("p", { class: "quiet" },
      `${faces(counts.faces)}, ${counts.people.toLocaleString("en")} people, `
      + `${counts.named.toLocaleString("en")} with names`),
    element("div", { class: "row" }, choice, find.input, find.list), grid);
  await endless(grid, PAGE, async (offset, limit) =>
    (await get(`people?order=${order}&limit=${limit}&offset=${offset}`)).map(personCard), page);
  return { arrows: (key) => moveFocus(grid, key), "/": () => find.input.focus() };
}

export async function person(page, id) {
  const first = await get(`people/${id}?limit=${firstPage(PAGE, page.filled)}`);
  if (!page.isCurrent()) return {};
  if (first.n_faces === 0) {
    show(empty(called(first), "No faces here any more: they went to someone else, or nobody."));
    return { Escape: () => { location.hash = "#/people"; } };
  }
  const chosen = new Set();
  const grid = element("div", { class: "grid" });
  const status = element("span", { class: "quiet", role: "status" });
  const cut = element("div");

  const choose = (card, number) => {
    const isChosen = !chosen.delete(number);
    if (isChosen) chosen.add(number);
    card.setAttribute("aria-pressed", String(isChosen));
    refresh();
  };
  const faceCard = (one) => {
    const card = element("button", {
      type: "button", class: "card", "aria-pressed": "false", "data-face": one.id,
      "data-key": one.id, title: one.file, onclick: () => choose(card, one.id),
    }, face(one.id, `Face ${one.id} of ${called(first)}`),
    element("span", { class: "quiet" }, one.how === "user" ? "by you" : percent(one.confidence)));
    return card;
  };
  const name = async (wanted) => {
    if (wanted === (first.name ?? "")) return;
    const other = wanted ? await personNamed(wanted) : null;
    const isSame = other && other.id !== id && await ask(`Another ${wanted}?`,
      `${wanted} is here already, with ${faces(other.n_faces)}. `
        + `Is ${called(first)} the same person?`,
      [["Same person", true], ["Someone else of that name", false]]);
    if (other && isSame === null) return;
    if (isSame) {
      await page.act(post("merge", { first: other.id, other: id, kept: other.id }),
        `Merged with ${wanted}.`, () => { location.hash = `#/person/${other.id}`; });
    } else {
      await page.act(post(`people/${id}/name`, { name: wanted || null }),
        wanted ? `Named ${wanted}.` : "Name taken away.");
    }
  };
  const withChosen = (work) => {
    const focused = document.activeElement?.dataset?.face;
    const numbers = chosen.size ? [...chosen] : focused ? [Number(focused)] : [];
    if (numbers.length) return work(numbers);
    return tell("Choose faces first, with Space or a click.");
  };
  const partOff = () => withChosen((numbers) =>
    page.act(post(`people/${id}/part`, { faces: numbers }), `${faces(numbers.length)} split off.`));
  const reject = () => withChosen((numbers) =>
    page.act(post("reject", { faces: numbers }), `${faces(numbers.length)} taken away.`));
  const aside = (kind, text) => withChosen((numbers) =>
    page.act(post("set-aside", { faces: numbers, kind }), `${faces(numbers.length)}: ${text}.`));
  const hide = () => page.act(post(`people/${id}/hide`, { is_hidden: !first.is_hidden }),
    first.is_hidden ? "Shown in lists again." : "Left out of lists from now on.");
  const weakest = async () => {
    const found = await get(`people/${id}/split`);
    cut.replaceChildren(...(found ? drawnCut(page, found) : [
      element("p", { class: "quiet" }, "There is nothing to cut: no links between these faces.")]));
    cut.scrollIntoView({ block: "nearest" });
  };
  const field = nameField("Name", first.name ?? "", name);
  const work = element("div", { class: "row" },
    button("Someone else, together", "B", partOff),
    button("Not this person", "R", reject),
    button("Not a face", "X", () => aside("not_a_face", "no faces")),
    button("Ignore", "I", () => aside("ignore", "ignored")), status);
  const refresh = () => {
    status.textContent = chosen.size ? `${faces(chosen.size)} chosen` : "";
  };
  show(element("h1", {}, called(first)),
    element("p", { class: "quiet" }, `${faces(first.n_faces)}, the most doubtful first`),
    element("div", { class: "row" }, field.input, field.list,
      button("Save name", "", () => name(field.input.value.trim()), { class: "primary" }),
      button("Weakest cut", "W", weakest),
      button(first.is_hidden ? "Show in lists" : "Hide", "", hide)),
    cut, work, grid);
  await endless(grid, PAGE, async (offset, limit) => (offset === 0 ? first
    : await get(`people/${id}?limit=${limit}&offset=${offset}`)).faces.map(faceCard), page);
  return {
    arrows: (key) => moveFocus(grid, key),
    n: () => { field.input.focus(); field.input.select(); },
    b: partOff, r: reject, w: weakest,
    x: () => aside("not_a_face", "no faces"), i: () => aside("ignore", "ignored"),
    Escape: () => { location.hash = "#/people"; },
  };
}
