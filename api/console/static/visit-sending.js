// Sending what a device holds, each step so that it can be sent again: a lost answer, a closed page or a second tap
// never makes two of anything, and whatever is refused stays on the device.
import { newKey, statusOf } from "./visit-draft.js";

export class SignedOut extends Error {}
export class Offline extends Error {}
export class Unavailable extends Error {}

const TABLET = "/visits/tablet";
const OPEN = ["STARTED", "COLLECTED", "RETURNED"];

async function ask(path, options = {}) {
  if (!navigator.onLine) throw new Offline();
  let answer;
  try {
    answer = await fetch(TABLET + path, { redirect: "manual", cache: "no-store", ...options });
  } catch {
    throw new Offline();
  }
  if (answer.type === "opaqueredirect" || answer.status === 401) throw new SignedOut();
  const isJson = (answer.headers.get("content-type") ?? "").startsWith("application/json");
  if (isJson && (answer.ok || answer.status === 409 || answer.status === 422)) {
    try {
      return { status: answer.status, ...(await answer.json()) };
    } catch {
      throw new Offline(); // cut off within the answer
    }
  }
  if ([403, 404, 413, 422].includes(answer.status)) return { status: answer.status, code: "refused", words: "", next: "", problems: [] };
  throw new Unavailable(String(answer.status));
}

async function fetched(path) {
  const answer = await ask(path);
  if (answer.status !== 200) throw new Unavailable(String(answer.status));
  return answer;
}

export const hello = () => fetched("/hello");
export const along = () => fetched("/along");

// One visit's errand. `keep()` writes the draft down before and after everything that changes it.
export class Errand {
  constructor(draft, { token, format, formOf, keep, readImage }) {
    Object.assign(this, { draft, token, format, formOf, keep, readImage });
    this.path = `/${draft.visit.visit_id}`;
  }

  post(step, fields) {
    const body = new FormData();
    body.append("token", this.token);
    for (const [name, value] of Object.entries(fields)) body.append(name, value, ...(value instanceof Blob ? ["image"] : []));
    return ask(`${this.path}/${step}`, { method: "POST", body });
  }

  // True: everything that was wished is done, and the device may forget the visit.
  async run() {
    const { draft } = this;
    if (draft.stuck || draft.conflict) return false;
    if (draft.start && !draft.start.sent && !(await this.start())) return false;
    if (!draft.wish) return false;
    if (draft.wish === "fail") return this.end("fail", draft.failure);
    if (!(await this.sendImages()) || !(await this.sendForm())) return false;
    if (draft.wish === "submit") return this.end("submit", {});
    draft.wish = "";
    draft.is_saved = true;
    await this.keep();
    return false;
  }

  async start() {
    const { draft } = this;
    const answer = await this.post("start", {
      key: draft.start.key, version: draft.version, place: JSON.stringify(draft.place), started_at: draft.started_at,
    });
    if (answer.status === 200) {
      draft.start.sent = true;
      Object.assign(draft, { version: answer.version, state: answer.state });
    } else if (answer.status === 409) {
      return this.startAnew();
    } else return this.stop(answer);
    await this.keep();
    return true;
  }

  // Somebody changed the visit since: planned anew, or begun with another device.
  async startAnew() {
    const { draft } = this;
    const present = await this.post("compare", {});
    if (present.status !== 200) return this.stop(present);
    if (present.state === "ASSIGNED" && draft.version !== present.version) {
      draft.version = present.version;
      draft.start.key = newKey();
      await this.keep();
      return this.start();
    }
    if (!OPEN.includes(present.state)) return this.stop(present);
    draft.start.sent = true;
    draft.state = present.state;
    if (!present.stored) draft.version = present.version; // with a form there, saving shows both sides
    await this.keep();
    return true;
  }

  async sendImages() {
    for (const image of this.draft.images.filter((one) => !one.sent)) {
      const file = await this.readImage(image.id);
      if (!file) continue;
      const answer = await this.post("image", { kind: image.kind, taken_at: image.taken_at, file });
      if (answer.status !== 200) return this.stop(answer);
      image.sent = true;
      await this.keep();
    }
    return true;
  }

  // A form under way is settled before another one is sent: its answer may have been lost after it was stored.
  async sendForm() {
    const { draft } = this;
    const text = JSON.stringify(this.formOf(draft, this.format));
    while (draft.attempt || draft.stored !== text) {
      if (!draft.attempt) {
        draft.attempt = { key: newKey(), text };
        await this.keep();
      }
      const sent = draft.attempt;
      const answer = await this.post("form", { key: sent.key, version: draft.version, form: sent.text });
      draft.attempt = null;
      if (answer.status === 200) {
        Object.assign(draft, { version: answer.version, state: answer.state, stored: sent.text });
        await this.keep();
      } else if (answer.status === 409) {
        if (!(await this.meetConflict(text))) return false;
      } else return this.stop(answer);
    }
    return true;
  }

  // True: nothing is to be chosen, and the form can be sent on the present version.
  async meetConflict(text) {
    const { draft } = this;
    const present = await this.post("compare", { form: text });
    if (present.status !== 200 || !OPEN.includes(present.state)) return this.stop(present);
    draft.state = present.state;
    if (present.stored && !present.entries.length) draft.stored = text;
    if (present.entries.length) draft.conflict = { version: present.version, entries: present.entries, stored: present.stored };
    else draft.version = present.version;
    await this.keep();
    return !draft.conflict;
  }

  async end(step, fields) {
    const { draft } = this;
    draft.wish_key ||= newKey();
    await this.keep();
    const answer = await this.post(step, { key: draft.wish_key, version: draft.version, ...fields });
    if (answer.status === 200) return true;
    draft.wish_key = "";
    if (answer.code === "visit_changed") {
      const present = await this.post("compare", { form: JSON.stringify(this.formOf(draft, this.format)) });
      if (present.status === 200 && OPEN.includes(present.state)) {
        draft.version = present.version;
        draft.stored = ""; // looked at again before it is handed in
        if (present.entries.length) draft.conflict = { version: present.version, entries: present.entries, stored: present.stored };
        await this.keep();
        return false;
      }
    }
    return this.stop(answer);
  }

  // Not as it is: a person has to look. What the form says of its fields can be put right; the rest is kept as it is.
  async stop(answer) {
    const { draft } = this;
    if (answer.status === 422 && answer.code === "form_invalid" || answer.code === "visit_incomplete" || answer.code === "place_invalid" || answer.code === "text_not_plain") {
      draft.problem = { words: answer.words, next: answer.next, problems: answer.problems };
      draft.wish = "";
      if (answer.code === "place_invalid") Object.assign(draft, { start: null, place: null, started_at: "" });
    } else draft.stuck = answer.words || "gone";
    await this.keep();
    return false;
  }
}

export const wants = (draft) => statusOf(draft) === "ready" || Boolean(draft.start && !draft.start.sent && !draft.stuck);
