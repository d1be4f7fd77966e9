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
