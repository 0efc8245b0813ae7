// One screen after another; without this script the links at the bottom do it. Figures change once a day, so the page
// is fetched anew now and then, and only when the server answers.
"use strict";

(function () {
  const STAY_MS = 20000;
  const RENEW_MS = 30 * 60 * 1000;
  const screens = Array.from(document.querySelectorAll(".screen"));
  const links = Array.from(document.querySelectorAll("footer ol a"));
  const button = document.getElementById("pause");
  if (screens.length < 2) return;

  let present = Math.max(0, screens.findIndex((one) => one.classList.contains("shown")));
  let runs = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  let timer = 0;

  function show(place) {
    present = (place + screens.length) % screens.length;
    screens.forEach((one, index) => one.classList.toggle("shown", index === present));
    links.forEach((one, index) => {
      if (index === present) one.setAttribute("aria-current", "page");
      else one.removeAttribute("aria-current");
    });
    window.history.replaceState(null, "", "?screen=" + (present + 1));
    wait();
  }

  function wait() {
    window.clearTimeout(timer);
    if (runs) timer = window.setTimeout(() => show(present + 1), STAY_MS);
    button.textContent = runs ? button.dataset.pause : button.dataset.go;
  }

  function turn() {
    runs = !runs;
    wait();
  }

  links.forEach((one, index) => one.addEventListener("click", (event) => {
    event.preventDefault();
    show(index);
  }));
  button.hidden = false;
  button.addEventListener("click", turn);
  document.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") show(present + 1);
    if (event.key === "ArrowLeft") show(present - 1);
  });
  window.setInterval(() => {
    fetch(window.location.href, { credentials: "same-origin" })
      .then((answer) => { if (answer.ok) window.location.reload(); })
      .catch(() => {});
  }, RENEW_MS);
  wait();
})();
