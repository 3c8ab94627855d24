"use strict";

const PLOT = {
  responsive: true,
  displaylogo: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  toImageButtonOptions: { format: "svg" },
};
const PRINTED_WIDTH = 660; // pixels of a figure on A4 within the margins of the style sheet

const drawn = new Set();

function draw(plot) {
  if (drawn.has(plot)) return;
  drawn.add(plot);
  const { data, layout } = JSON.parse(document.querySelector(`script[data-plot="${plot.id}"]`).textContent);
  Plotly.newPlot(plot, data, layout, PLOT);
}

// Each is drawn when it comes near the window: all of them at once would take seconds.
function drawPlots() {
  const watch = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
    },
    { rootMargin: "800px 0px" },
  );
  for (const plot of document.querySelectorAll(".plot")) watch.observe(plot);
}

// Paper is as wide as it is, whatever the window was.
function fitToPaper() {
  for (const plot of document.querySelectorAll(".plot")) {
    draw(plot);
    const share = plot.closest(".half") ? 0.5 : 1;
    const width = Math.min(share * PRINTED_WIDTH - (1 - share) * 24, parseFloat(plot.style.maxWidth) || Infinity);
    Plotly.relayout(plot, { width, autosize: false });
  }
}

// Drawn again, as a figure that gets its width back draws its legend over the curves.
function fitToWindow() {
  for (const plot of drawn) Plotly.purge(plot);
  drawn.clear();
  document.querySelectorAll(".plot").forEach(draw);
}

function bytesOf(id) {
  const text = atob(document.getElementById(id).textContent.trim());
  return Uint8Array.from(text, (sign) => sign.charCodeAt(0));
}

function download(button) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytesOf(button.dataset.download)]));
  link.download = button.dataset.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).innerText.trim();
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Files opened from the disk may not use the clipboard in every browser: the old way asks nobody.
    const field = document.body.appendChild(document.createElement("textarea"));
    field.value = text;
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

// The section in view is marked in the list.
function followSections() {
  const links = new Map();
  for (const link of document.querySelectorAll("nav a")) links.set(link.hash.slice(1), link);
  const watch = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-10% 0px -80% 0px" },
  );
  for (const section of document.querySelectorAll("main > section")) watch.observe(section);
}

for (const button of document.querySelectorAll("[data-download]")) button.onclick = () => download(button);
for (const button of document.querySelectorAll("[data-copy]")) button.onclick = () => copy(button);
if (window.Plotly) drawPlots();
window.addEventListener("beforeprint", fitToPaper);
window.addEventListener("afterprint", fitToWindow);
followSections();
