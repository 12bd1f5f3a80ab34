// Look again: an update that runs beside the page, its progress, and what came of it.

import { element, faces, get, post } from "./dom.js";

const POLL_MILLISECONDS = 500;
const part = (name) => document.getElementById(name ? `looking-${name}` : "looking");
let isPlacing = false;

export const waitsForPlacing = () => isPlacing;

const people = (n) => (n === 1 ? "one person" : `${n.toLocaleString("en")} people`);

function text(look) {
  if (look.state === "judging") {
    const share = `${look.n_judged.toLocaleString("en")} of ${faces(look.n_faces)}`;
    return `Looking again: ${share} judged. Go on deciding meanwhile.`;
  }
  if (look.state === "placing") {
    return "Looking again: faces find their places. Decisions wait until that is done.";
  }
  if (look.state === "failed") return `Looking again failed: ${look.problem}`;
  const gained = look.n_gains ? `${people(look.n_gains)} gained faces` : "nobody gained faces";
  return `Looked again: ${gained}, ${faces(look.n_undecided)} undecided.`;
}

function gain(one) {
  const parts = [one.n_faces ? `+ ${faces(one.n_faces)}` : null,
    one.n_merged ? `+ ${people(one.n_merged)} without a name` : null].filter(Boolean);
  return element("li", {},
    element("a", { href: `#/person/${one.person}` }, one.name ?? `Person ${one.person}`),
    ` ${one.is_new ? "(new) " : ""}${parts.join(", ")}`);
}

function draw(look) {
  const isUnderWay = look.state === "judging" || look.state === "placing";
  isPlacing = look.state === "placing";
  part().hidden = look.state === "none";
  if (part("text").textContent !== text(look)) part("text").textContent = text(look);
  part("share").hidden = !isUnderWay;
  if (look.state === "judging") {
    part("share").value = look.n_faces ? look.n_judged / look.n_faces : 0;
  } else part("share").removeAttribute("value");
  part("close").hidden = isUnderWay;
  part("gains").replaceChildren(...look.gains.map(gain));
  document.getElementById("look").disabled = isUnderWay;
  return isUnderWay;
}

async function follow(look, onDone) {
  while (draw(look)) {
    await new Promise((resolve) => { setTimeout(resolve, POLL_MILLISECONDS); });
    look = await get("looking");
  }
  if (look.state === "done") await onDone();
}

export async function lookAgain(onDone) {
  if (document.getElementById("look").disabled) return;
  await follow(await post("look-again"), onDone);
}

// After a reload: what is under way is followed, and what is over is not told twice.
export async function goOnLooking(onDone) {
  const look = await get("looking");
  if (look.state === "judging" || look.state === "placing") await follow(look, onDone);
}

part("close").addEventListener("click", () => { part().hidden = true; });
