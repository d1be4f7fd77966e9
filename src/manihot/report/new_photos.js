// The filter of the table of all answers.
const form = document.querySelector("form.filter"), rows = all("#table-answers tbody tr");
const words = document.getElementById("filter"), chosen = document.getElementById("class");
const look = document.getElementById("look"), matches = document.getElementById("matches");
form.addEventListener("submit", (event) => event.preventDefault());
const narrow = () => {
  const wanted = words.value.toLowerCase().split(/\s+/);
  let left = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !(wanted.every((word) => text.includes(word))
      && (!chosen.value || row.cells[1].textContent === chosen.value)
      && (!look.checked || row.classList.contains("look")));
    left += !row.hidden;
  }
  matches.textContent = left === rows.length ? "" : left === 1 ? "1 row" : `${left || "no"} rows`;
};
form.addEventListener("input", narrow);
form.addEventListener("change", narrow);
