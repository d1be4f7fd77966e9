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

// The contents show where the reader is.
const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
const watch = new IntersectionObserver((entries) => entries.forEach((entry) => {
  if (!entry.isIntersecting) return;
  links.forEach((link) => link.removeAttribute("aria-current"));
  const link = links.get(entry.target.id), nav = link.closest("nav");
  link.setAttribute("aria-current", "true");
  nav.scrollLeft = link.offsetLeft - nav.clientWidth / 3; // on a narrow screen they are one line
}), { rootMargin: "-10% 0px -80% 0px" });
all("main > section").forEach((section) => watch.observe(section));
