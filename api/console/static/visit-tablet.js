// The tablet's page: one visit step by step, from the door to the signatures.
import { locate, showArrival } from "./visit-arrival.js";
import { Conflict } from "./visit-conflict.js";
import { byId, here, hold, keep, notice, refresh, say, send, showBar, spoken, written } from "./visit-device.js";
import { isArrived, lacking, statusOf } from "./visit-draft.js";
import { FormFields, neededFields, placeOf } from "./visit-form.js";
import { emptyPads, showImages } from "./visit-images.js";
import { drawList, onOpen, showList } from "./visit-list.js";
import { hello } from "./visit-sending.js";
import * as store from "./visit-store.js";

function changed() {
  const { draft } = here.open;
  draft.touched = true;
  byId("saved").textContent = say("saving");
  keep(draft).then(
    () => { byId("saved").textContent = say("saved", { time: new Date().toLocaleTimeString("zh-CN", { hour12: false }) }); },
    () => { byId("saved").textContent = say("not-saved"); },
  ).then(showBar);
  showLacking();
}

const fields = new FormFields(changed);
const conflict = new Conflict(say, (draft) => {
  keep(draft).then(() => leave()).then(send);
});
const steps = Array.from(document.querySelectorAll(".step"), (one) => one.dataset.step);

async function show(id) {
  const release = await hold(`visit-${here.account}/${id}`);
  if (!release) {
    byId("list-said").textContent = say("open-elsewhere");
    return;
  }
  const draft = await store.readVisit(here.account, id);
  if (!draft) return release();
  here.open = { draft, release };
  emptyPads();
  showVisit(draft);
  if (!draft.conflict) goTo(draft.step);
}

function view(name) {
  for (const one of ["list", "visit", "conflict"]) byId(one).hidden = one !== name;
  window.scrollTo(0, 0);
}

function showVisit(draft) {
  if (draft.conflict) {
    conflict.show(draft);
    view("conflict");
    return;
  }
  if (byId("visit").hidden) view("visit");
  showState(draft);
  fields.show(draft);
  byId("discard-sure").hidden = true;
  showImages(draft);
  showLacking();
}

// What sending changes; fields that somebody types in are left alone.
function showState(draft) {
  const { visit } = draft;
  byId("visit-title").textContent = visit.household_no;
  byId("visit-about").textContent = [draft.place_name, say(`kind-${visit.kind}`), say("attempt", { n: visit.attempt }), say(statusOf(draft))].join(" · ");
  byId("visit-remark").hidden = !visit.remark;
  byId("visit-remark").textContent = visit.remark;
  for (const step of document.querySelectorAll(".step")) step.inert = Boolean(draft.wish);
  byId("reopen-place").hidden = !draft.wish;
  byId("stuck").hidden = !draft.stuck;
  byId("stuck").firstElementChild.textContent = draft.stuck ? `${say(draft.stuck)} ${spoken["stuck-kept"]}` : "";
  showProblems(draft);
  showArrival(draft);
}

function goTo(name) {
  const { draft } = here.open;
  draft.step = name;
  for (const step of document.querySelectorAll(".step")) step.hidden = step.dataset.step !== name;
  for (const button of document.querySelectorAll("[data-go]")) button.toggleAttribute("aria-current", button.dataset.go === name);
  document.querySelector("[data-go][aria-current]").setAttribute("aria-current", "step");
  byId("previous").disabled = steps.indexOf(name) === 0;
  byId("next").hidden = steps.indexOf(name) === steps.length - 1;
  if (draft.touched) keep(draft);
  byId(`step-${name}`).focus({ preventScroll: true });
  document.querySelector(".tablet-steps").scrollIntoView({ block: "start" });
}

async function leave() {
  if (here.open) {
    const { draft, release } = here.open;
    here.open = null;
    await written(draft.visit.visit_id);
    release();
  }
  view("list");
  await showList();
}

function showProblems(draft) {
  const shown = draft.problem;
  byId("problems").hidden = !shown;
  if (!shown) return;
  byId("problems-said").textContent = [shown.words, shown.next].filter(Boolean).join(" ");
  byId("problems").querySelector("ul").replaceChildren(...shown.problems.map((one) => link(one.text, one.path)));
}

function link(words, path) {
  const line = document.createElement("li");
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "link", textContent: words });
  button.addEventListener("click", () => {
    const found = placeOf(path);
    if (!found) return;
    goTo(found.step);
    found.field.focus();
  });
  line.append(button);
  return line;
}

// Handing in

function showLacking() {
  const { draft } = here.open;
  const missing = lacking(draft, neededFields(draft));
  const names = missing.map((path) => spoken[path] ?? (placeOf(path) ? say(`step-${placeOf(path).step}`) : path));
  byId("lacking").textContent = missing.length ? say("lacking", { what: Array.from(new Set(names)).join("、") }) : say("complete");
  for (const button of document.querySelectorAll("[data-go]")) {
    const step = button.dataset.go;
    button.classList.toggle("open-step", missing.some((path) => (spoken[path] ? { place: "door", photo: "door", applicant: "members" }[path] ?? "signatures" : placeOf(path)?.step) === step));
  }
}

function wish(wanted, failure = null) {
  const { draft } = here.open;
  if (draft.wish) return; // a second tap
  const missing = wanted === "fail" ? [] : lacking(draft, neededFields(draft)).filter((one) => wanted === "submit" || placeOf(one) || one === "place" || one === "applicant");
  if (missing.length) {
    const words = (path) => spoken[path] ?? `${say(`step-${placeOf(path)?.step}`)} · ${placeOf(path)?.field.closest("[data-field]")?.querySelector("label, legend, summary")?.textContent.trim() ?? ""}：${say("blank")}`;
    draft.problem = { words: "", next: "", problems: missing.map((path) => ({ path: { applicant: "members", place: "consent_no", photo: "consent_no" }[path] ?? (path.startsWith("signature_") ? "signatures" : path), text: words(path) })) };
    showProblems(draft);
    byId("problems").focus();
    return;
  }
  Object.assign(draft, { wish: wanted, failure, problem: null });
  keep(draft).then(leave).then(send);
}

byId("fail").addEventListener("click", () => {
  const { draft } = here.open;
  const chosen = document.querySelector('input[name="failure"]:checked');
  byId("fail-fault").textContent = chosen && isArrived(draft) ? "" : say("choose-failure");
  if (chosen && isArrived(draft)) wish("fail", { outcome: chosen.value, remark: byId("failure-remark").value });
});
byId("submit").addEventListener("click", () => wish("submit"));
byId("save-only").addEventListener("click", () => wish("save"));
byId("reopen").addEventListener("click", async () => {
  if (here.sending) return; // what is on its way is settled first
  here.open.draft.wish = "";
  await keep(here.open.draft);
  showVisit(here.open.draft);
});
byId("try-again").addEventListener("click", async () => {
  here.open.draft.stuck = "";
  await keep(here.open.draft);
  showVisit(here.open.draft);
  await send();
});
byId("discard").addEventListener("click", () => { byId("discard-sure").hidden = false; });
byId("discard-sure").addEventListener("click", async () => {
  const { draft, release } = here.open;
  here.open = null;
  await written(draft.visit.visit_id);
  await store.removeVisit(here.account, draft.visit.visit_id);
  release();
  await leave();
});

// The rest of the page

for (const button of document.querySelectorAll("[data-go]")) button.addEventListener("click", () => goTo(button.dataset.go));
byId("previous").addEventListener("click", () => goTo(steps[steps.indexOf(here.open.draft.step) - 1]));
byId("next").addEventListener("click", () => goTo(steps[steps.indexOf(here.open.draft.step) + 1]));
byId("back").addEventListener("click", leave);
byId("conflict-back").addEventListener("click", leave);
byId("refresh").addEventListener("click", refresh);
byId("send-now").addEventListener("click", send);
byId("by-distance").addEventListener("click", () => {
  locate(
    ({ coords }) => { here.position = coords; byId("list-said").textContent = say("sorted"); drawList(); },
    () => { byId("list-said").textContent = say("no-position"); },
  );
});
byId("leave-send").addEventListener("click", async () => { byId("leaving").hidden = true; await send(); });
byId("leave-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    event.target.elements.token.value = (await hello()).token;
  } catch (error) {
    notice(error);
    await showBar();
    return; // signing out takes a network
  }
  await store.wipe(here.account);
  event.target.submit();
});

onOpen(show);
here.changed = changed;
here.listChanged = showList;
here.sent = async (draft, done) => {
  if (done) await leave();
  else if (draft.conflict) showVisit(draft);
  else showState(draft);
};

async function begin() {
  const policy = window.trustedTypes?.createPolicy("visit-worker", { createScriptURL: (url) => url });
  const worker = "/static/visit-worker.js";
  navigator.serviceWorker?.register(policy ? policy.createScriptURL(worker) : worker, { scope: "/visits/tablet" }).catch(() => {});
  navigator.serviceWorker?.ready.then(() => { byId("list-said").textContent ||= say("ready-offline"); });
  try {
    here.account = await store.presentAccount();
  } catch {
    byId("bar").textContent = say("no-storage");
    return;
  }
  byId("leaving").hidden = window.location.hash !== "#leaving";
  view("list");
  await showList();
  await refresh();
  await send();
  window.addEventListener("online", () => { here.offline = false; refresh().then(send); });
  window.addEventListener("offline", showBar);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && send());
  setInterval(send, 10000);
}

begin();
