"use strict";

const all = (selector, from = document) => [...from.querySelectorAll(selector)];

// Light and dark: the system's choice until the reader makes one.
const root = document.documentElement, theme = document.getElementById("theme");
const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const label = () => { theme.textContent = dark() ? "Light" : "Dark"; };
theme.addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
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
const collator = new Intl.Collator("en", { numeric: true });
const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b));
for (const table of all("table.sortable")) {
  const headings = all("thead th", table), body = table.tBodies[0];
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const current = heading.getAttribute("aria-sort");
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

// The filter of the table of all answers.
const form = document.querySelector("form.filter"), rows = all("#table-answers tbody tr");
const words = document.getElementById("filter"), chosen = document.getElementById("class");
const look = document.getElementById("look"), matches = document.getElementById("matches");
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", () => {
  const wanted = words.value.toLowerCase().split(/\s+/);
  let left = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !(wanted.every((word) => text.includes(word))
      && (!chosen.value || row.cells[1].textContent === chosen.value)
      && (!look.checked || row.classList.contains("look")));
    left += !row.hidden;
  }
  matches.textContent = left < rows.length ? `${left} rows` : "";
});
