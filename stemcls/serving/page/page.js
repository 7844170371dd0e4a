// The page: sends what is dropped, draws what comes back. Nothing is kept here either.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const SECONDS_BETWEEN_LOOKS = 2;
const at = (id) => document.getElementById(id);
let about = null;   // what /api/model says
let answer = null;  // what /api/predict said last
let sent = [];      // the files it is about; a saliency map needs them again
let reading = {};   // how they were taken
let turn = 0;       // counts requests, so that a late answer does not replace a newer one

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function say(text, bad = false) {
  at("status").textContent = text;
  at("status").classList.toggle("bad", bad);
}

async function ask(path, form) {
  let response;
  try {
    response = await fetch(path, form ? { method: "POST", body: form } : {});
  } catch {
    throw new Error("the server does not answer; is it still running?");
  }
  const said = await response.json().catch(() => ({ error: `answer ${response.status}` }));
  if (!response.ok) throw new Error(said.error);
  return said;
}

function formOf(files, more) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  for (const [name, value] of Object.entries(more)) form.append(name, value);
  return form;
}

async function begin() {
  try {
    about = await ask("/api/model");
  } catch (error) {
    say(error.message, true);
    return;
  }
  document.title = `stemcls: ${about.name}`;
  const [height, width] = about.size_px;
  at("model").textContent =
    `${about.name}: ${about.classes.join(", ")} (crops of ${width} × ${height} px, ` +
    `channels ${about.channels.join(", ")}; scores ${about.calibrated ? "" : "not "}calibrated)`;
  at("takes").textContent =
    `${about.suffixes.join(" ")} .zip; at most ${about.limits.files} images, ` +
    `${about.limits.upload_mb} million bytes, ${about.limits.megapixels} million pixels an image`;
  await wait();
}

async function wait() {
  for (;;) {
    const response = await fetch("/health").catch(() => null);
    if (response && response.ok) break;
    say("the model is being loaded …");
    await new Promise((done) => setTimeout(done, SECONDS_BETWEEN_LOOKS * 1000));
  }
  say("ready");
}

async function predict(files) {
  if (!files.length) return;
  const mine = ++turn;
  const size = files.reduce((sum, file) => sum + file.size, 0);
  at("skipped").replaceChildren();
  if (about && size > about.limits.upload_mb * 1e6) {
    say(`an upload may have ${about.limits.upload_mb} million bytes at most; send fewer files`, true);
    return;
  }
  say(`looking at ${files.length === 1 ? files[0].name : `${files.length} files`} …`);
  const how = { kind: at("kind").value, pixel_size_um: at("pixel").value || "0" };
  try {
    const found = await ask("/api/predict?pictures=true", formOf(files, how));
    if (mine !== turn) return;
    [answer, sent, reading] = [found, files, how];
    say(found.rows ? `${found.rows} cells` : "no cells were found");
    list();
  } catch (error) {
    if (mine === turn) say(error.message, true);
  }
}

function list() {
  at("skipped").replaceChildren(
    ...answer.skipped.map((one) => element("li", one.reason)),
    ...answer.warnings.map((one) => element("li", `warning: ${one.paths.join(", ")}: ${one.message}`)),
  );
  at("which").replaceChildren(
    ...answer.images.map((image, number) =>
      element("option", `${image.name} (${image.cells.length})`, { value: number })),
  );
  at("which-label").hidden = answer.images.length < 2;
  at("found").hidden = false;
  draw();
}

const shown = () => answer.images[Number(at("which").value) || 0];
const cut = () => Number(at("cut").value);
const colourOf = (name) => about.colours[about.classes.indexOf(name)];

function svgElement(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function draw() {
  const image = shown();
  const drawing = at("drawing");
  drawing.setAttribute("viewBox", `0 0 ${image.width_px} ${image.height_px}`);
  const size = Math.max(image.width_px, image.height_px) / 65;
  const parts = [svgElement("image", { href: image.picture, width: image.width_px, height: image.height_px })];
  image.cells.forEach((cell, number) => {
    const colour = colourOf(cell.class);
    const ring = svgElement("circle", {
      class: "cell", cx: cell.x_px, cy: cell.y_px, r: cell.radius_px, stroke: colour,
      tabindex: 0, role: "button", "data-number": number,
      "aria-label": `${cell.class}, score ${cell.score.toFixed(2)}`,
    });
    const title = svgElement("title", {});
    title.textContent = `${cell.class} ${cell.score.toFixed(3)}`;
    ring.append(title);
    const label = svgElement("text", {
      x: cell.x_px - cell.radius_px, y: cell.y_px - cell.radius_px - size / 4, fill: colour,
      "font-size": size, "data-number": number,
    });
    label.textContent = `${cell.class} ${cell.score.toFixed(2)}`;
    parts.push(ring, label);
  });
  drawing.replaceChildren(...parts);
  const lost = Object.entries(image.dropped).map(([why, count]) => `${count} left out: ${why}`);
  at("caption").textContent = [`${image.name}: ${image.cells.length} cells`, ...lost].join("; ");
  at("cell").replaceChildren(element("p", "Click a cell, or reach it with the Tab key and press Enter."));
  apply();
}

function apply() {
  const least = cut();
  at("cut-value").textContent = least.toFixed(2);
  const image = shown();
  for (const part of at("drawing").querySelectorAll("[data-number]")) {
    const low = image.cells[Number(part.dataset.number)].score < least;
    part.classList.toggle("low", low);
    if (part.tagName === "text") part.style.display = low ? "none" : "";
  }
  const cells = answer.images.flatMap((one) => one.cells);
  const kept = cells.filter((cell) => cell.score >= least);
  const rows = about.classes.map((name) => {
    const n = kept.filter((cell) => cell.class === name).length;
    const row = document.createElement("tr");
    const first = element("td", name);
    const dot = element("span", "", { class: "dot" });
    dot.style.background = colourOf(name);
    first.prepend(dot);
    row.append(first, element("td", n), element("td", kept.length ? `${((100 * n) / kept.length).toFixed(1)} %` : "-"));
    return row;
  });
  at("composition").tBodies[0].replaceChildren(...rows);
  const below = cells.length - kept.length;
  at("below").textContent = below ? `${below} of ${cells.length} cells are below the cut and not counted` : "";
}

async function explain(number) {
  const image = shown();
  const cell = image.cells[number];
  for (const ring of at("drawing").querySelectorAll(".cell"))
    ring.classList.toggle("chosen", Number(ring.dataset.number) === number);
  const probabilities = element("table", "");
  about.classes.forEach((name, index) => {
    const row = document.createElement("tr");
    row.append(element("td", name), element("td", cell.probabilities[index].toFixed(3)));
    probabilities.append(row);
  });
  const status = element("p", about.explainable ? "asking what the model looks at …" : "This model is an ensemble and has no heat map.");
  at("cell").replaceChildren(element("p", `${cell.class}, score ${cell.score.toFixed(3)}`), probabilities, status);
  if (!about.explainable) return;
  try {
    const more = { ...reading, y_px: cell.y_px, x_px: cell.x_px, name: image.name, target: cell.class };
    const map = await ask("/api/saliency", formOf(sent, more));
    if (!status.isConnected) return;
    const pictures = element("p", "");
    pictures.append(
      element("img", "", { src: map.crop, alt: "The crop" }),
      element("img", "", { src: map.overlay, alt: `Heat map for ${map.target}` }),
    );
    status.replaceWith(pictures, element("p", `${map.method}: what speaks for ${map.target}`));
  } catch (error) {
    status.textContent = error.message;
  }
}

function save() {
  const [head, ...lines] = answer.csv.trimEnd().split("\r\n");
  const cells = answer.images.flatMap((image) => image.cells);
  const kept = lines.filter((_, row) => cells[row].score >= cut());
  const table = new Blob([[head, ...kept, ""].join("\r\n")], { type: "text/csv" });
  const link = element("a", "", { href: URL.createObjectURL(table), download: "cells.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

at("files").addEventListener("change", (event) => {
  predict([...event.target.files]);
  event.target.value = "";
});
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") predict([...event.dataTransfer.files]);
  });
}
at("which").addEventListener("change", draw);
at("cut").addEventListener("input", apply);
at("save").addEventListener("click", save);
at("drawing").addEventListener("click", (event) => {
  if (event.target.dataset.number) explain(Number(event.target.dataset.number));
});
at("drawing").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.dataset.number) explain(Number(event.target.dataset.number));
});
begin();
