// Keeps the page for visits without a network. A new page is a new version: the old one is dropped.
const PREFIX = `manihot ${self.registration.scope} `;
const CACHE = `${PREFIX}VERSION`;
const FILES = ["app.html", "app.webmanifest", "app-icon.svg"];

self.addEventListener("install", event => event.waitUntil((async () => {
  const cache = await caches.open(CACHE);
  await cache.addAll(FILES.map(name => new Request(name, {cache: "reload"})));
  await self.skipWaiting();
})()));

self.addEventListener("activate", event => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  await self.clients.claim();
})()));

self.addEventListener("fetch", event => {
  const name = new URL(event.request.url).pathname.split("/").pop();
  if (event.request.method !== "GET" || !FILES.includes(name)) return;
  event.respondWith((async () => {
    const cache = await caches.open(CACHE);
    return await cache.match(event.request, {ignoreSearch: true}) ?? fetch(event.request);
  })());
});
