// Who and what was hidden, to be brought back.

import {
  button, called, element, empty, endless, face, faces, get, post, show,
} from "./dom.js";

const PAGE = 60;
const KINDS = { not_a_face: "not a face", ignore: "ignored" };

function card(key, picture, title, text, bringBack) {
  return element("div", { class: "card", "data-key": key, tabindex: -1 },
    picture, element("b", {}, title), element("p", { class: "quiet" }, text),
    button("Bring back", "", bringBack, { "aria-label": `Bring back ${title}` }));
}

function personCard(page, person) {
  return card(`person ${person.id}`,
    person.face === null ? element("div", { class: "face" }) : face(person.face, ""),
    called(person), faces(person.n_faces),
    () => page.act(post(`people/${person.id}/hide`, { is_hidden: false }),
      `${called(person)} is back.`));
}

function faceCard(page, one) {
  return card(`face ${one.id}`, face(one.id, `Face ${one.id}`), `Face ${one.id}`, KINDS[one.kind],
    () => page.act(post("bring-back", { faces: [one.id] }),
      `Face ${one.id} is back, among the undecided ones.`));
}

export async function hidden(page) {
  const lists = [["People", "hidden", personCard], ["Faces", "aside", faceCard]];
  const sections = lists.map(([title]) => element("section", { hidden: true },
    element("h2", {}, title), element("div", { class: "grid" })));
  show(element("h1", {}, "Hidden"), sections);
  let n = 0;
  for (const [place, [, path, made]] of lists.entries()) {
    const grid = sections[place].querySelector(".grid");
    await endless(grid, PAGE, async (offset, limit) =>
      (await get(`${path}?limit=${limit}&offset=${offset}`)).map((one) => made(page, one)), page);
    if (!page.isCurrent()) return {};
    sections[place].hidden = grid.children.length === 0;
    n += grid.children.length;
  }
  if (n === 0) {
    show(empty("Nothing is hidden",
      "People whom you hide, and faces that are none or of no interest, are kept here."));
  }
  return {};
}
