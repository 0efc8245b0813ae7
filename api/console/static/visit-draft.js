// One visit on the device: made from what the office gave along, filled in, and written down as the form that is sent.
export const IMAGES = ["photo", "signature_applicant", "signature_manager", "signature_officer"];
const HOLDINGS = ["housing", "homestead", "vehicles", "boats", "sea_use", "fishing_rights"];

export const newKey = () => crypto.randomUUID();
export const now = () => new Date().toISOString().slice(0, 19) + "Z";

export function get(values, path) {
  return path.split(".").reduce((part, name) => (part === undefined || part === null ? undefined : part[name]), values);
}

export function set(values, path, value) {
  const names = path.split(".");
  const last = names.pop();
  let part = values;
  for (const name of names) part = part[name] ??= {};
  part[last] = value;
}

// Everything that is typed is text; lists stay lists.
function asText(value) {
  if (Array.isArray(value)) return value.map(asText);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, asText(part)]));
  return value === null || value === undefined ? "" : String(value);
}

export function valuesOf(form, today) {
  const values = { consent_no: "", ...asText(form) };
  for (const part of ["head", "income", "spending", "assets", "conclusion", "signatures"]) values[part] ??= {};
  for (const list of ["members", "debts", "needs"]) values[list] ??= [];
  for (const holding of HOLDINGS) values.assets[holding] ??= {};
  for (const who of ["applicant", "manager", "officer"]) values.signatures[who] ??= {};
  values.conclusion.reasons ??= [];
  values.head.visited_on ||= today;
  values.signatures.manager.name ||= values.head.manager;
  values.signatures.officer.name ||= values.head.grid_officer;
  for (const signature of Object.values(values.signatures)) signature.signed_on ||= today;
  if (!values.members.length) values.members.push({ relation: "self" });
  return values;
}

export function newDraft(packed, today) {
  const { visit, place_name, grid_name, is_late, is_saved, images, products, place, form } = packed;
  return {
    visit, place_name, grid_name, is_late, is_saved, products, last_place: place, there: images,
    values: valuesOf(form, today), version: visit.version, state: visit.state,
    place: null, started_at: "", start: null, images: [],
    wish: "", failure: null, wish_key: "", attempt: null, stored: "", problem: null, conflict: null, stuck: "", step: "door", touched: false,
  };
}

// What stands in the office's list may have changed; what was typed here stays as it is.
export function refreshDraft(draft, packed) {
  for (const name of ["place_name", "grid_name", "is_late", "products"]) draft[name] = packed[name];
  draft.last_place = packed.place;
  draft.visit = { ...packed.visit, version: draft.visit.version, state: draft.visit.state };
}

export function statusOf(draft) {
  if (draft.stuck) return "stuck";
  if (draft.conflict) return "conflict";
  if (draft.problem) return "wrong";
  if (draft.wish) return "ready";
  return draft.touched ? "typing" : "along";
}

// Yuan as whole fen; null for what is no amount.
export function fen(text) {
  const found = /^(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d{1,2}))?$/.exec(String(text ?? "").normalize("NFKC").trim().replace(/元$/, ""));
  return found ? Number(found[1].replaceAll(",", "")) * 100 + Number((found[2] ?? "").padEnd(2, "0")) : null;
}

export const yuan = (whole) => `${Math.floor(whole / 100)}.${String(whole % 100).padStart(2, "0")}`;

const add = (amounts) => amounts.reduce((sum, one) => sum + (fen(one) ?? 0), 0);

export function sums(values) {
  const { income, spending, assets } = values;
  return {
    income: add([income.wage, income.business, income.farming, income.property, income.transfer]),
    spending: add([spending.living, spending.schooling, spending.medical]),
    assets: add([...HOLDINGS.map((name) => assets[name]?.value), assets.deposits]),
    debts: add(values.debts.map((one) => one.balance)),
    needs: add(values.needs.map((one) => one.amount)),
  };
}

// The form as docs/reference/visit-form.md has it.
export function formOf(draft, format) {
  const form = structuredClone(draft.values);
  form.format = format;
  form.income.total = yuan(sums(form).income);
  if (!form.conclusion.family_type) delete form.conclusion.family_type;
  return form;
}

export const isArrived = (draft) => Boolean(draft.start) || !["ASSIGNED", "PLANNED"].includes(draft.state);

// What a submission still needs: paths of the form, "place", kinds of images.
export function lacking(draft, needed) {
  const found = needed.filter((one) => {
    const value = get(draft.values, one.path);
    return value === undefined || value === "" || (one.kind === "amount" && fen(value) === null);
  }).map((one) => one.path);
  const applicants = draft.values.members.filter((one) => one.relation === "self");
  if (applicants.length !== 1 || !applicants[0].id_number || !applicants[0].phone) found.push("applicant");
  if (!isArrived(draft)) found.push("place");
  const kinds = new Set([...draft.there, ...draft.images.map((one) => one.kind)]);
  return [...found, ...IMAGES.filter((kind) => !kinds.has(kind))];
}

// Kilometres between two places on the globe.
export function kilometres(from, to) {
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const [a, b] = [radians(from.latitude), radians(to.latitude)];
  const across = Math.sin(radians(to.longitude - from.longitude) / 2) ** 2;
  return 12742 * Math.asin(Math.sqrt(Math.sin((b - a) / 2) ** 2 + Math.cos(a) * Math.cos(b) * across));
}
