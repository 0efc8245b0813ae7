// What a device holds and what goes to and fro: one account's visits, written down at each change, sent when they can be.
import { formOf, newDraft, refreshDraft, statusOf } from "./visit-draft.js";
import { along, Errand, hello, Offline, SignedOut, wants } from "./visit-sending.js";
import * as store from "./visit-store.js";

export const byId = (name) => document.getElementById(name);
const format = byId("visit").dataset.format;
export const spoken = Object.fromEntries(Array.from(document.querySelectorAll("[data-word]"), (one) => [one.dataset.word, one.textContent]));
export const say = (name, values = {}) => Object.entries(values).reduce((text, [key, value]) => text.replace(`{${key}}`, value), spoken[name] ?? name);
// `open`: {draft, release} of the visit on the screen. `sent(draft, done)` and `listChanged()` are the page's.
export const here = { account: null, open: null, position: null, signedOut: false, offline: false, sending: false, sendAgain: false, failed: "", sent: null, listChanged: null };
const UNFINISHED = ["typing", "wrong"];

// The bar at the top

export async function showBar() {
  const all = here.account ? await store.listVisits(here.account) : [];
  const waiting = all.filter((one) => ["ready", "conflict", "stuck"].includes(one.status)).length;
  const typing = all.filter((one) => UNFINISHED.includes(one.status)).length;
  const [words, kind] = here.sending && waiting ? ["sending", "plain"]
    : here.signedOut ? ["signed-out", "warn"]
    : !navigator.onLine || here.offline ? [waiting ? "offline-waiting" : "offline", "warn"]
    : waiting ? ["waiting", "warn"] : typing ? ["online-typing", "good"] : ["online", "good"];
  byId("bar").textContent = say(words, { n: waiting || typing }) + (here.failed ? ` · ${say("failed", { n: here.failed })}` : "");
  byId("bar").dataset.kind = kind;
  byId("ask-sign-in").hidden = !here.signedOut;
  byId("send-now").hidden = !waiting;
  const others = await store.listOthers(here.account);
  byId("others").hidden = !others.size;
  byId("others").textContent = Array.from(others, ([name, n]) => say("others", { name, n })).join(" ");
}

// Keeping: every change is written down; while one is being written, the next waits for it

const writing = new Map();

export function keep(draft) {
  const account = here.account;
  const id = draft.visit.visit_id;
  draft.touched ||= Boolean(draft.wish || draft.start);
  const before = writing.get(id) ?? { again: false, done: null };
  writing.set(id, before);
  if (before.done) {
    before.again = true;
    return before.done;
  }
  before.done = (async () => {
    do {
      before.again = false;
      await store.writeVisit(account, id, statusOf(draft), draft);
    } while (before.again);
    before.done = null;
  })();
  return before.done;
}

// Until nothing of the visit is being written any more.
export async function written(id) {
  await writing.get(id)?.done;
}

// A visit is worked on in one place at a time: one window, or the sending

export function hold(name) {
  return new Promise((given) => {
    navigator.locks.request(name, { ifAvailable: true }, (lock) => (lock ? new Promise((release) => given(release)) : given(null)));
  });
}

// Fetching and sending

export async function refresh() {
  try {
    const packed = await along();
    await store.usePresent(packed.account);
    if (here.account && here.account !== packed.account) return window.location.reload();
    Object.assign(here, { account: packed.account, signedOut: false, offline: false });
    await takeIn(packed);
  } catch (error) {
    notice(error);
  }
  await here.listChanged();
}

async function takeIn({ account, today, visits }) {
  const known = new Map((await store.listVisits(account)).map((one) => [one.visit, one.status]));
  for (const packed of visits) {
    const id = packed.visit.visit_id;
    const status = known.get(id);
    known.delete(id);
    const release = await hold(`visit-${account}/${id}`);
    if (!release) continue;
    try {
      const draft = status && status !== "along" ? await store.readVisit(account, id) : newDraft(packed, today);
      refreshDraft(draft, packed);
      await store.writeVisit(account, id, statusOf(draft), draft);
    } finally {
      release();
    }
  }
  for (const [id, status] of known) if (status === "along") await store.removeVisit(account, id);
}

export function notice(error) {
  here.failed = "";
  if (error instanceof SignedOut) here.signedOut = true;
  else if (error instanceof Offline) here.offline = true;
  else {
    here.failed = error.message;
    if (!(error instanceof Error)) throw error;
  }
}

export async function send() {
  if (!here.account) return;
  if (here.sending) {
    here.sendAgain = true; // what was added, or the network that came back meanwhile
    return;
  }
  here.sending = true;
  const release = await hold("visits-sending");
  if (!release) {
    here.sending = false; // another window sends
    return;
  }
  try {
    for (const { visit, status } of await store.listVisits(here.account)) if (status !== "along") await sendOne(visit);
  } catch (error) {
    notice(error);
  } finally {
    here.sending = false;
    release();
  }
  await showBar();
  if (!byId("list").hidden) await here.listChanged();
  if (here.sendAgain) {
    here.sendAgain = false;
    await send();
  }
}

async function sendOne(id) {
  const isOpen = here.open?.draft.visit.visit_id === id;
  const release = isOpen ? () => {} : await hold(`visit-${here.account}/${id}`);
  if (!release) return;
  try {
    const draft = isOpen ? here.open.draft : await store.readVisit(here.account, id);
    if (!draft || !wants(draft)) return;
    const { account, token } = await hello();
    if (account !== here.account) throw new SignedOut();
    Object.assign(here, { offline: false, signedOut: false, failed: "" });
    await showBar();
    const readImage = (image) => store.readImage(here.account, id, image);
    const done = await new Errand(draft, { token, format, formOf, readImage, keep: () => keep(draft) }).run();
    if (done) await store.removeVisit(here.account, id);
    if (isOpen && here.open?.draft === draft) await here.sent(draft, done);
  } finally {
    release();
  }
}
