// Two forms side by side: each field is taken from this device or from the office, by a person.
import { get, set, valuesOf } from "./visit-draft.js";

const form = document.getElementById("conflict-form");
const entriesPlace = document.getElementById("conflict-entries");
const said = document.getElementById("conflict-said");

export class Conflict {
  // `settled(draft)` once every entry is chosen and the draft holds the choice.
  constructor(say, settled) {
    this.say = say;
    this.settled = settled;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.settle();
    });
    for (const button of document.querySelectorAll("[data-all]")) {
      button.addEventListener("click", () => {
        for (const box of entriesPlace.querySelectorAll(`input[value="${button.dataset.all}"]`)) box.checked = true;
      });
    }
  }

  show(draft) {
    this.draft = draft;
    said.textContent = "";
    entriesPlace.replaceChildren(...draft.conflict.entries.map((one, place) => this.choice(one, place)));
  }

  choice(one, place) {
    const group = document.createElement("fieldset");
    group.className = "card sides";
    const legend = document.createElement("legend");
    legend.textContent = one.heading;
    group.append(legend, this.side(place, "mine", one.mine), this.side(place, "theirs", one.theirs));
    return group;
  }

  side(place, side, value) {
    const label = document.createElement("label");
    label.className = "tap";
    const box = document.createElement("input");
    Object.assign(box, { type: "radio", name: `side-${place}`, value: side });
    const whose = document.createElement("strong");
    whose.textContent = this.say(side);
    const text = document.createElement("span");
    text.textContent = value || this.say("empty");
    label.append(box, whose, text);
    return label;
  }

  settle() {
    const { entries, stored, version } = this.draft.conflict;
    const chosen = entries.map((_, place) => form.querySelector(`input[name="side-${place}"]:checked`)?.value);
    const open = chosen.filter((one) => !one).length;
    if (open) {
      said.textContent = this.say("choose-all", { n: open });
      form.querySelector(`input[name="side-${chosen.indexOf(undefined)}"]`).focus();
      return;
    }
    const theirs = valuesOf(stored, "");
    entries.forEach((one, place) => chosen[place] === "theirs" && set(this.draft.values, one.path, get(theirs, one.path)));
    Object.assign(this.draft, { version, conflict: null, stored: "", attempt: null });
    this.settled(this.draft);
  }
}
