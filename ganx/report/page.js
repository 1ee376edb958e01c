// The slider over strips: it shows the strips' own pictures, so nothing is stored twice.
for (const figure of document.querySelectorAll(".strips")) {
  const samples = +figure.dataset.samples, steps = +figure.dataset.steps;
  const strips = [...figure.querySelectorAll(".card")].map((card) => [...card.querySelectorAll("img")]);
  const panel = figure.querySelector(".panel"), stage = figure.querySelector(".stage");
  const slider = figure.querySelector("input"), chips = [...figure.querySelectorAll(".chips button")];
  let strip = 0;

  const shown = Array.from({ length: samples }, () => stage.appendChild(new Image()));
  const show = () => shown.forEach((image, sample) => {
    const from = strips[strip][sample * steps + +slider.value];
    image.src = from.src;
    image.alt = from.alt;
  });
  slider.addEventListener("input", show);
  chips.forEach((chip, index) => chip.addEventListener("click", () => {
    strip = index;
    chips.forEach((other, i) => other.setAttribute("aria-pressed", i === index));
    show();
  }));
  stage.style.setProperty("--samples", samples);
  panel.hidden = false;
  show();
}

// The section in view is marked in the navigation.
const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "-20% 0px -70% 0px" });
document.querySelectorAll("section.lens").forEach((section) => watcher.observe(section));
