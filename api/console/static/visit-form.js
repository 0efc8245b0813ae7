// The form's fields on the page and the draft's values: what is typed goes into the draft at once.
import { fen, get, set, sums, yuan } from "./visit-draft.js";

const root = document.getElementById("visit");
const fieldsIn = (part) => Array.from(part.querySelectorAll("[data-path]"));

// What a form has to have: {path, kind} of each field, of every entry of a list.
export function neededFields(draft) {
  const found = [];
  for (const step of root.querySelectorAll(".step")) {
    for (const field of fieldsIn(step)) {
      const holder = field.closest("[data-field]");
      if ("needed" in holder.dataset && !found.some((one) => one.path === pathOf(field))) found.push({ path: pathOf(field), kind: field.dataset.kind });
    }
  }
  return found.filter((one) => one.path.split(".")[0] !== "members" || get(draft.values, one.path.split(".").slice(0, 2).join(".")));
}

export function pathOf(field) {
  const entry = field.closest("[data-at]");
  return entry ? `${entry.dataset.at}.${field.dataset.path}` : field.dataset.path;
}

// Where a path's field stands: its step's name and what can be given the focus.
export function placeOf(path) {
  const names = path.split(".");
  for (let length = names.length; length; length -= 1) {
    const wanted = names.slice(0, length).join(".");
    const field = fieldsIn(root).find((one) => pathOf(one) === wanted || pathOf(one).startsWith(`${wanted}.`));
    if (field) return { step: field.closest(".step").dataset.step, field };
  }
  const list = root.querySelector(`[data-add="${names[0]}"]`);
  return list ? { step: list.closest(".step").dataset.step, field: list } : null;
}

export class FormFields {
  // `changed(path)` after every keystroke.
  constructor(changed) {
    this.changed = changed;
    root.addEventListener("input", (event) => event.target.matches("[data-path]") && this.take(event.target));
    for (const button of root.querySelectorAll(".add")) button.addEventListener("click", () => this.add(button.dataset.add));
    root.addEventListener("click", (event) => event.target.matches(".remove") && this.remove(event.target.closest("[data-at]")));
    for (const button of root.querySelectorAll(".zero")) button.addEventListener("click", () => this.fillZero(button));
  }

  show(draft) {
    this.draft = draft;
    for (const list of root.querySelectorAll("[data-list]")) this.drawList(list);
    for (const select of root.querySelectorAll('[data-kind="product"]')) this.fillProducts(select);
    for (const field of fieldsIn(root)) this.put(field);
    this.drawSums();
  }

  drawList(list) {
    const name = list.dataset.list;
    const entries = this.draft.values[name];
    const shape = root.querySelector(`template[data-entry="${name}"]`);
    list.replaceChildren(...entries.map((_, place) => this.entry(shape, name, place)));
    root.querySelector(`[data-none="${name}"]`).hidden = entries.length > 0;
    root.querySelector(`[data-add="${name}"]`).hidden = entries.length >= Number(list.dataset.most);
  }

  entry(shape, name, place) {
    const made = shape.content.cloneNode(true).firstElementChild;
    made.dataset.at = `${name}.${place}`;
    made.querySelector(".entry-number").textContent = String(place + 1);
    for (const part of made.querySelectorAll("[id], [for], [name]")) {
      for (const attribute of ["id", "for", "name"]) {
        if (part.hasAttribute(attribute)) part.setAttribute(attribute, part.getAttribute(attribute).replace("?", place));
      }
    }
    for (const select of made.querySelectorAll('[data-kind="product"]')) this.fillProducts(select);
    return made;
  }

  fillProducts(select) {
    const options = this.draft.products.map(([code, words]) => new Option(words, code));
    select.replaceChildren(select.options[0], ...options);
  }

  put(field) {
    const value = get(this.draft.values, pathOf(field)) ?? "";
    if (field.dataset.kind === "many") field.checked = value.includes(field.value);
    else if (field.dataset.kind === "choice" && field.type === "radio") field.checked = field.value === value;
    else field.value = value;
    this.mark(field);
  }

  take(field) {
    const path = pathOf(field);
    if (field.dataset.kind === "many") {
      const boxes = fieldsIn(root).filter((one) => pathOf(one) === path && one.checked);
      set(this.draft.values, path, boxes.map((one) => one.value));
    } else set(this.draft.values, path, field.value);
    this.mark(field);
    this.drawSums();
    this.changed(path);
  }

  // An amount that none can read is marked while it is typed; what is missing only at the end.
  mark(field) {
    if (field.dataset.kind !== "amount") return;
    const wrong = field.value !== "" && fen(field.value) === null;
    field.toggleAttribute("aria-invalid", wrong);
    field.closest(".field").classList.toggle("wrong", wrong);
  }

  add(name) {
    this.draft.values[name].push({});
    this.redraw(name);
    root.querySelector(`[data-at="${name}.${this.draft.values[name].length - 1}"] [data-path]`).focus();
  }

  remove(entry) {
    const [name, place] = entry.dataset.at.split(".");
    this.draft.values[name].splice(Number(place), 1);
    this.redraw(name);
    root.querySelector(`[data-add="${name}"]`).focus();
  }

  redraw(name) {
    const list = root.querySelector(`[data-list="${name}"]`);
    this.drawList(list);
    fieldsIn(list).forEach((field) => this.put(field));
    this.drawSums();
    this.changed(name);
  }

  fillZero(button) {
    for (const field of fieldsIn(button.closest(".step"))) {
      if (!["amount", "count"].includes(field.dataset.kind) || field.value !== "") continue;
      field.value = "0";
      set(this.draft.values, pathOf(field), "0");
      this.mark(field);
    }
    this.drawSums();
    this.changed(button.dataset.zero);
  }

  drawSums() {
    for (const [name, whole] of Object.entries(sums(this.draft.values))) {
      const output = root.querySelector(`[data-sum="${name}"]`);
      output.textContent = yuan(whole).replace(/\B(?=(\d{3})+\.)/g, ",");
    }
  }
}
