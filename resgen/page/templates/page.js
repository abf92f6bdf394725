"use strict";
// Sorting: the head of a column becomes a button. Without this script the page is whole.
const said = document.getElementById("said");
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const numbers = head.classList.contains("number");
      const before = head.getAttribute("aria-sort");
      const up = before === "none" ? !numbers : before === "descending";
      const value = (row) => {
        const cell = row.cells[at];
        return numbers ? Number(cell.dataset.value ?? NaN) : cell.textContent.trim();
      };
      const order = (one, other) => {
        const [a, b] = [value(one), value(other)];
        if (numbers) {
          if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
          return up ? a - b : b - a;
        }
        return (up ? 1 : -1) * a.localeCompare(b, "en", { numeric: true });
      };
      body.append(...[...body.rows].sort(order));
      for (const each of heads) each.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      said.textContent =
        `Sorted by ${button.textContent}, ${up ? "ascending" : "descending"}.`;
    });
  });
}
// In print everything is open, and as it was afterwards.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const each of closed) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of closed) each.open = false;
});
// A link to something inside a closed part opens it.
const reveal = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  for (let each = target; each; each = each.parentElement) {
    if (each.tagName === "DETAILS") each.open = true;
  }
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", reveal);
reveal();
