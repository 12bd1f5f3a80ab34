// Questions: whether two people are one, whether one is two, and whose an undecided face is.

import {
  button, called, element, empty, endless, face, faces, get, meter, nameField, percent,
  personNamed, post, show, tell, whoStays,
} from "./dom.js";

function answers(choices) {
  return element("div", { class: "row answers", role: "group", "aria-label": "Answer" },
    choices.map(([text, key, action, properties]) => button(text, key, action, properties)));
}

function heap(numbers, alt) {
  return element("div", { class: "faces" }, numbers.map((one) => face(one, `${alt}, face ${one}`)));
}

function side(title, href, n, numbers) {
  return element("section", { class: "side" },
    element("h2", {}, href ? element("a", { href }, title) : title),
    element("p", { class: "quiet" }, faces(n)), heap(numbers, title));
}

let pairOffset = 0;
export async function pairs(page) {
  let [pair] = await get(`pairs?offset=${pairOffset}`);
  if (!pair && pairOffset > 0) {
    pairOffset = 0;
    [pair] = await get("pairs");
    if (pair) tell("That was the last one; here are those you skipped.");
  }
  if (!page.isCurrent()) return {};
  if (!pair) {
    show(empty("No pairs left to ask about",
      "New ones come up with what you decide elsewhere, and with Look again."));
    return {};
  }
  const [one, other] = pair.people;
  const same = async () => {
    const kept = await whoStays(one, other);
    if (kept === null) return;
    await page.act(post("merge", { first: one.id, other: other.id, kept }),
      `${called(one)} and ${called(other)} are one.`);
  };
  const different = () => page.act(post("separate", { first: one.id, other: other.id }),
    `${called(one)} and ${called(other)} are two people.`);
  const skip = () => { pairOffset += 1; page.again(); };
  show(element("h1", {}, "The same person?"),
    element("p", { class: "quiet" }, `Likelihood ${percent(pair.likelihood)}, `
      + `from ${pair.n_links.toLocaleString("en")} pairs of faces`),
    meter(pair.likelihood),
    element("div", { class: "sides" }, pair.people.map((who) =>
      side(called(who), `#/person/${who.id}`, who.n_faces, who.faces))),
    pair.evidence.length ? element("h2", {}, "What speaks for it most") : null,
    element("ul", { class: "evidence" }, pair.evidence.map(([left, right]) =>
      element("li", {}, face(left, `Face ${left}`), face(right, `Face ${right}`)))),
    answers([["Same", "S", same, { class: "primary" }], ["Different", "D", different],
      ["Skip", "K", skip]]));
  return { s: same, d: different, k: skip, ArrowRight: skip };
}

function cutActions(page, cut) {
  return {
    same: () => page.act(post("same", { first: cut.part[0], other: cut.rest_shown[0] }),
      `${called(cut.person)} is one person.`),
    different: () => page.act(post(`people/${cut.person.id}/part`, { faces: cut.part }),
      `${faces(cut.part.length)} split off ${called(cut.person)}.`),
  };
}

function cutSides(cut) {
  return [
    element("p", { class: "quiet" },
      `The weakest cut: both sides are one person with likelihood ${percent(cut.likelihood)}`),
    meter(cut.likelihood),
    element("div", { class: "sides" },
      side("These", null, cut.n_rest, cut.rest_shown),
      side("and these", null, cut.part.length, cut.part_shown)),
  ];
}

export function drawnCut(page, cut) {
  const { same, different } = cutActions(page, cut);
  return [...cutSides(cut), element("div", { class: "row" },
    button("One person", "", same), button("Two people: split", "", different))];
}

let splitOffset = 0;
export async function splits(page) {
  let found = { question: null, next: splitOffset };
  while (found.question === null && found.next !== null) {
    splitOffset = found.next;
    found = await get(`splits?offset=${splitOffset}`);
    if (!page.isCurrent()) return {};
  }
  if (!found.question) {
    splitOffset = 0;
    show(empty("Nobody looks like two people",
      "No doubtful cut is left. Open a person to see their weakest cut all the same."));
    return {};
  }
  const cut = found.question;
  const { same, different } = cutActions(page, cut);
  const skip = () => { splitOffset = found.next; page.again(); };
  show(element("h1", {}, "Two people in ",
    element("a", { href: `#/person/${cut.person.id}` }, called(cut.person)), "?"),
  cutSides(cut),
  answers([["One person", "S", same, { class: "primary" }],
    ["Different: split", "D", different], ["Skip", "K", skip]]));
  return { s: same, d: different, k: skip, ArrowRight: skip };
}

const PAGE = 30;
export async function undecided(page) {
  const list = element("div");
  const current = () => document.activeElement?.closest?.(".undecided")
    ?? list.querySelector(".undecided");
  const onCurrent = (name) => () => current()?.actions[name]?.();
  const move = (step) => {
    const rows = [...list.children];
    rows[Math.min(Math.max(rows.indexOf(current()) + step, 0), rows.length - 1)]?.focus();
  };
  show(element("h1", {}, "Undecided faces"), list);
  await endless(list, PAGE, async (offset, limit) =>
    (await get(`undecided?limit=${limit}&offset=${offset}`)).map((one) => row(page, one)), page);
  if (!page.isCurrent()) return {};
  if (!list.children.length) {
    show(empty("No undecided faces", "Every face has its person, or was set aside."));
    return {};
  }
  const digits = ["1", "2", "3", "4", "5"].map((key) => [key, onCurrent(key)]);
  return {
    ...Object.fromEntries(digits), n: onCurrent("n"), x: onCurrent("x"), i: onCurrent("i"),
    k: () => move(1), arrows: (key) => move(key === "ArrowUp" || key === "ArrowLeft" ? -1 : 1),
  };
}

function row(page, one) {
  const assign = (person, text) =>
    page.act(post("assign", { faces: [one.id], person }), text);
  const aside = (kind, text) =>
    page.act(post("set-aside", { faces: [one.id], kind }), `Face ${one.id}: ${text}.`);
  const name = async (wanted) => {
    if (!wanted) return;
    const known = await personNamed(wanted);
    if (known) {
      await assign(known.id, `Face ${one.id} is ${wanted}.`);
    } else {
      await page.act(post("assign", { faces: [one.id], person: null, name: wanted }),
        `Face ${one.id} is ${wanted}.`);
    }
  };
  const field = nameField("Whose face is this?", "", name);
  const actions = {
    n: () => field.input.focus(), x: () => aside("not_a_face", "no face"),
    i: () => aside("ignore", "ignored"),
  };
  const candidates = one.candidates.map((who, place) => {
    const key = String(place + 1);
    actions[key] = () => assign(who.id, `Face ${one.id} is ${called(who)}.`);
    return element("button", { type: "button", onclick: actions[key] },
      who.face === null ? null : face(who.face, ""),
      element("span", {}, called(who), " ",
        element("span", { class: "quiet" }, percent(who.likelihood))),
      element("kbd", {}, key));
  });
  const made = element("article", {
    class: "undecided", tabindex: 0, "aria-label": `Face ${one.id}, undecided`,
    "data-key": one.id,
  }, face(one.id, `Face ${one.id}`), element("div", {},
    one.file ? element("p", { class: "quiet file" }, one.file) : null,
    candidates.length ? element("div", { class: "candidates" }, candidates)
      : element("p", { class: "quiet" }, "Like nobody in this album so far."),
    element("div", { class: "row" }, field.input, field.list,
      button("Not a face", "X", actions.x), button("Ignore", "I", actions.i))));
  made.actions = actions;
  return made;
}
