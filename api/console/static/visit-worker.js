// Keeps the tablet's page and its scripts, which hold nobody's data, so that they open without a network.
"use strict";
const KEPT = "mingce-visits-1";
const PAGE = "/visits/tablet";
const FILES = [
  "console.css", "visit.css", "mark.svg", "visit-tablet.js", "visit-store.js", "visit-draft.js", "visit-sending.js", "visit-pads.js", "visit-form.js",
  "visit-conflict.js", "visit-device.js", "visit-list.js", "visit-images.js", "visit-arrival.js",
].map((name) => `/static/${name}`);
const WAIT_MS = 4000;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(KEPT);
    await cache.addAll(FILES);
    await keep(cache, PAGE, await fetch(PAGE));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith("mingce-visits-") && name !== KEPT) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== self.location.origin) return;
  if (pathname === PAGE || FILES.includes(pathname)) event.respondWith(answer(event.request, pathname));
});

// The network's while there is one, else what was kept: page and scripts always of one time.
async function answer(request, pathname) {
  const cache = await caches.open(KEPT);
  try {
    const found = await fetch(request.url, { redirect: "manual", signal: AbortSignal.timeout(WAIT_MS) });
    if (found.status >= 500) throw new Error("no answer");
    await keep(cache, pathname, found);
    return found;
  } catch (error) {
    const kept = await cache.match(pathname);
    if (kept) return kept;
    throw error;
  }
}

// A way to the sign-in or an error is not the page.
async function keep(cache, pathname, answer) {
  if (answer.ok && !answer.redirected) await cache.put(pathname, answer.clone());
}
