// What a device keeps of an account's visits: records in IndexedDB, sealed with a key that no script can read out.
// Only the account's name, the visit's number and how far it is stand in the clear (docs/decisions/0020).
const NAME = "mingce-visits";
const TABLES = { accounts: "account", visits: "id", images: "id" };
export const UNSENT = ["typing", "ready", "wrong", "conflict", "stuck"];
let opened = null;

function open() {
  opened ??= new Promise((done, failed) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      for (const [table, keyPath] of Object.entries(TABLES)) request.result.createObjectStore(table, { keyPath });
    };
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
  return opened;
}

// One transaction; done when it is on the disk.
async function run(mode, work) {
  const database = await open();
  return new Promise((done, failed) => {
    const transaction = database.transaction(Object.keys(TABLES), mode, { durability: "strict" });
    const request = work((table) => transaction.objectStore(table));
    transaction.oncomplete = () => done(request ? request.result : undefined);
    transaction.onerror = transaction.onabort = () => failed(transaction.error);
  });
}

const bytesOf = (id) => new TextEncoder().encode(id);

async function keyOf(account) {
  const known = await run("readonly", (table) => table("accounts").get(account));
  if (!known) throw new Error("no such account on this device");
  return known.key;
}

async function seal(account, id, bytes) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const algorithm = { name: "AES-GCM", iv, additionalData: bytesOf(id) };
  return { iv, data: await crypto.subtle.encrypt(algorithm, await keyOf(account), bytes) };
}

async function unseal(account, record) {
  const algorithm = { name: "AES-GCM", iv: record.iv, additionalData: bytesOf(record.id) };
  return crypto.subtle.decrypt(algorithm, await keyOf(account), record.data);
}

// The account whose visits this device shows, or null.
export async function presentAccount() {
  const all = await run("readonly", (table) => table("accounts").getAll());
  return all.find((one) => one.present)?.account ?? null;
}

// From now on the device is this account's. What others left untouched is removed; what they typed waits for them.
export async function usePresent(account) {
  const all = await run("readonly", (table) => table("accounts").getAll());
  const made = { name: "AES-GCM", length: 256 };
  const key = all.find((one) => one.account === account)?.key ?? (await crypto.subtle.generateKey(made, false, ["encrypt", "decrypt"]));
  await run("readwrite", (table) => {
    for (const one of all) if (one.account !== account) table("accounts").put({ ...one, present: false });
    table("accounts").put({ account, key, present: true });
  });
  for (const one of all) {
    if (one.account === account) continue;
    for (const visit of await listVisits(one.account)) {
      if (!UNSENT.includes(visit.status)) await removeVisit(one.account, visit.visit);
    }
    if (!(await listVisits(one.account)).length) await wipe(one.account);
  }
}

// Numbers and states of an account's visits, without opening them.
export async function listVisits(account) {
  const all = await run("readonly", (table) => table("visits").getAll());
  return all.filter((one) => one.account === account).map(({ visit, status }) => ({ visit, status }));
}

// How much of other accounts waits on this device.
export async function listOthers(account) {
  const all = await run("readonly", (table) => table("visits").getAll());
  const counts = new Map();
  for (const one of all) if (one.account !== account) counts.set(one.account, (counts.get(one.account) ?? 0) + 1);
  return counts;
}

export async function countUnsent(account) {
  return (await listVisits(account)).filter((one) => UNSENT.includes(one.status)).length;
}

export async function readVisit(account, visit) {
  const record = await run("readonly", (table) => table("visits").get(`${account}/${visit}`));
  return record ? JSON.parse(new TextDecoder().decode(await unseal(account, record))) : null;
}

export async function writeVisit(account, visit, status, content) {
  const id = `${account}/${visit}`;
  const sealed = await seal(account, id, new TextEncoder().encode(JSON.stringify(content)));
  await run("readwrite", (table) => table("visits").put({ id, account, visit, status, ...sealed }));
}

export async function removeVisit(account, visit) {
  const id = `${account}/${visit}`;
  await run("readwrite", (table) => {
    table("visits").delete(id);
    table("images").delete(IDBKeyRange.bound(`${id}/`, `${id}0`, false, true)); // "0" comes after "/"
  });
}

export async function writeImage(account, visit, image, blob) {
  const id = `${account}/${visit}/${image}`;
  const sealed = await seal(account, id, await blob.arrayBuffer());
  await run("readwrite", (table) => table("images").put({ id, type: blob.type, ...sealed }));
}

export async function readImage(account, visit, image) {
  const record = await run("readonly", (table) => table("images").get(`${account}/${visit}/${image}`));
  return record ? new Blob([await unseal(account, record)], { type: record.type }) : null;
}

export async function removeImage(account, visit, image) {
  await run("readwrite", (table) => table("images").delete(`${account}/${visit}/${image}`));
}

// Everything of an account, its key first: what might be left of the rest cannot be opened any more.
export async function wipe(account) {
  await run("readwrite", (table) => table("accounts").delete(account));
  for (const { visit } of await listVisits(account)) await removeVisit(account, visit);
}
