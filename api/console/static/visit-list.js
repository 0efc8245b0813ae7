// What there is to visit, by grid or by distance.
import { byId, here, say, showBar } from "./visit-device.js";
import { kilometres, statusOf } from "./visit-draft.js";
import * as store from "./visit-store.js";

let drafts = [];
let show = null;

// `opened(visit)` when one is chosen.
export function onOpen(opened) {
  show = opened;
}

export async function showList() {
  const found = [];
  for (const { visit } of here.account ? await store.listVisits(here.account) : []) {
    found.push(here.open?.draft.visit.visit_id === visit ? here.open.draft : await store.readVisit(here.account, visit));
  }
  drafts = found.filter(Boolean);
  drawList();
  await showBar();
}

const away = (draft) => (here.position && draft.last_place ? kilometres(here.position, draft.last_place) : Infinity);

export function drawList() {
  const sorted = drafts.toSorted((a, b) => (here.position ? away(a) - away(b) : 0)
    || a.grid_name.localeCompare(b.grid_name) || b.is_late - a.is_late || a.visit.planned_for.localeCompare(b.visit.planned_for));
  const parts = [];
  let grid = null;
  for (const draft of sorted) {
    const name = draft.grid_name || draft.place_name;
    if (!here.position && name !== grid) {
      grid = name;
      const heading = document.createElement("h2");
      heading.textContent = name;
      parts.push(heading);
    }
    parts.push(card(draft));
  }
  byId("cards").replaceChildren(...parts);
  byId("no-cards").hidden = drafts.length > 0;
}

function card(draft) {
  const made = byId("card").content.cloneNode(true).firstElementChild;
  const { visit } = draft;
  const applicant = draft.values.members.find((one) => one.relation === "self") ?? draft.values.members[0];
  const button = made.querySelector(".open");
  button.textContent = [visit.household_no, applicant?.name].filter(Boolean).join(" ");
  button.addEventListener("click", () => show(visit.visit_id));
  made.dataset.visit = visit.visit_id;
  const about = [draft.place_name, say(`kind-${visit.kind}`), say("attempt", { n: visit.attempt }), say("planned", { day: visit.planned_for })];
  if (here.position) about.push(away(draft) === Infinity ? say("no-place") : say("away", { n: away(draft).toFixed(1) }));
  made.querySelector(".about").textContent = about.join(" · ");
  const status = statusOf(draft);
  const marks = [[say(status), { wrong: "bad", stuck: "bad", conflict: "bad", ready: "warn", typing: "good" }[status] ?? "plain"]];
  if (draft.is_late) marks.push([say("late"), "bad"]);
  if (visit.kind === "revisit") marks.push([say("kind-revisit"), "warn"]);
  if (draft.state === "RETURNED") marks.push([say("returned"), "warn"]);
  if (draft.is_saved && status !== "ready") marks.push([say("saved-there"), "good"]);
  made.querySelector(".marks").replaceChildren(...marks.map(([words, kind]) => {
    const mark = document.createElement("span");
    mark.className = `state ${kind}`;
    mark.textContent = words;
    return mark;
  }));
  return made;
}
