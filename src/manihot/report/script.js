"use strict";

const all = (selector, from = document) => [...from.querySelectorAll(selector)];

// Light and dark: the system's choice until the reader makes one.
const root = document.documentElement, theme = document.getElementById("theme");
const remembered = (...value) => {
  try {
    return value.length ? localStorage.setItem("theme", value[0]) : localStorage.getItem("theme");
  } catch {
    return null; // storage may be closed to a page that is opened from a file
  }
};
const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const label = () => { theme.textContent = dark() ? "Light" : "Dark"; };
if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered();
theme.addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  remembered(root.dataset.theme);
  label();
});
label();

// Tables sort by a click on a heading; what is not known stays last both ways.
const value = (row, column) => {
  const cell = row.cells[column], text = cell.textContent.trim();
  if (text === "–" || text === "") return null;
  const key = cell.dataset.sort ?? text, number = Number(key);
  return Number.isNaN(number) ? key.toLowerCase() : number;
};
const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
for (const table of all("table.sortable")) {
  const headings = all("thead tr:last-child th", table), body = table.tBodies[0];
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const current = heading.getAttribute("aria-sort");
    // Numbers start with the largest, text with the first.
    const first = heading.classList.contains("number") ? "descending" : "ascending";
    const next = current === "none" ? first : current === "ascending" ? "descending" : "ascending";
    headings.forEach((other) => other.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", next);
    const sign = next === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => (a === null ? (b === null ? 0 : 1) : b === null ? -1 : sign * order(a, b)));
    body.append(...rows.map(([, row]) => row));
  }));
}

// The filter of the table of all models.
const filter = document.getElementById("filter");
if (filter) {
  const rows = all("#table-models tbody tr"), matches = document.getElementById("matches");
  filter.form.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    rows.forEach((row) => { row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word)); });
    matches.textContent = filter.value && `${rows.filter((row) => row.offsetParent).length} rows`;
  });
}

// Models are folded away: a link to one, and printing, open them.
const models = all("details.model"), unfold = document.getElementById("unfold");
const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
};
addEventListener("hashchange", open);
open();
unfold.addEventListener("click", () => {
  const opening = unfold.getAttribute("aria-expanded") === "false";
  models.forEach((model) => { model.open = opening; });
  unfold.setAttribute("aria-expanded", String(opening));
  unfold.textContent = opening ? "Close all models" : "Open all models";
});
let closed = [];
addEventListener("beforeprint", () => {
  closed = all("details:not([open])");
  closed.forEach((entry) => { entry.open = true; });
});
addEventListener("afterprint", () => closed.forEach((entry) => { entry.open = false; }));

// The contents show where the reader is.
const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
const watch = new IntersectionObserver((entries) => entries.forEach((entry) => {
  if (!entry.isIntersecting) return;
  links.forEach((link) => link.removeAttribute("aria-current"));
  links.get(entry.target.id).setAttribute("aria-current", "true");
}), { rootMargin: "-10% 0px -80% 0px" });
all("main > section").forEach((section) => watch.observe(section));
