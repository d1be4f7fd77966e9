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

