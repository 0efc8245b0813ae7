// Keys for long lists: j and k go down and up, x ticks, Enter opens. Without this script the page works by Tab.
"use strict";
const rows = Array.from(document.querySelectorAll("table.rows tbody tr"));
const boxes = rows.map((row) => row.querySelector("input[type=checkbox]"));
const all = document.getElementById("all");
const picked = document.getElementById("picked");
const words = picked ? picked.textContent : "";
let present = -1;

function show() {
  rows.forEach((row, place) => row.setAttribute("aria-selected", String(Boolean(boxes[place] && boxes[place].checked))));
  const count = boxes.filter((box) => box && box.checked).length;
  if (picked) picked.textContent = words + count;
  if (all) all.checked = count > 0 && count === boxes.length;
}

function go(place) {
  if (!rows.length) return;
  present = Math.max(0, Math.min(rows.length - 1, place));
  rows[present].querySelector("a").focus();
  rows[present].scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const focused = rows.indexOf(event.target.closest("table.rows tbody tr"));
  if (focused >= 0) present = focused;
  if (event.key === "j") go(present + 1);
  else if (event.key === "k") go(present - 1);
  else if (event.key === "x" && present >= 0 && boxes[present]) {
    boxes[present].checked = !boxes[present].checked;
    show();
  } else if (event.key === "Enter" && present >= 0 && event.target === boxes[present]) {
    event.preventDefault(); // in a tick box it would send the form
    rows[present].querySelector("a").click();
  }
});
document.addEventListener("change", (event) => {
  if (event.target === all) boxes.forEach((box) => { if (box) box.checked = all.checked; });
  if (event.target.name === "pick" || event.target === all) show();
});
if (all) all.hidden = false;
if (picked) show();
