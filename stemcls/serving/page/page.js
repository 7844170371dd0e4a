// The page: sends what is dropped, shows what comes back. Nothing is kept here either.
"use strict";

const SECONDS_BETWEEN_LOOKS = 2;
const HINT = "Click a cell, or reach it with the Tab key and press Enter.";
const at = (id) => document.getElementById(id);
let about = null;   // what /api/model says
let answer = null;  // what /api/predict said of the files in `sent`; null while there is none
let sent = [];      // a saliency map needs them again
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
  document.title = `${about.classes.join(" or ")} - stemcls`;
  at("title").textContent = about.classes.join(" or ");
  const [height, width] = about.size_px;
  at("model").textContent =
    `${about.name}: crops of ${width} × ${height} px, ` +
    `channels ${about.channels.join(", ")}; scores ${about.calibrated ? "" : "not "}calibrated`;
  at("takes").textContent =
    `${about.suffixes.join(" ")} .zip; at most ${about.limits.files} images, ` +
    `${about.limits.upload_mb} million bytes, ${about.limits.megapixels} million pixels an image`;
  showVerdict(about.verdict || []);
  await wait();
}

function showVerdict(lines) {
  at("known").hidden = !lines.length;
  at("verdict").replaceChildren(...lines.flatMap((line, number) => [
    element("dt", number && lines[number - 1].about === line.about ? "" : line.about),
    element("dd", line.text, line.grave ? { class: "grave" } : {}),
  ]));
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
  // What was shown is of other files, which may be refused: never beside these.
  answer = null;
  at("found").hidden = true;
  for (const id of ["skipped", "warnings"]) at(id).replaceChildren();
  const size = files.reduce((sum, file) => sum + file.size, 0);
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
    const left = found.skipped.length ? `; ${found.skipped.length} of the files could not be used` : "";
    say((found.rows ? `${found.rows} cells` : "no cells were found") + left, Boolean(left));
    list();
  } catch (error) {
    if (mine === turn) say(error.message, true);
  }
}

function list() {
  at("skipped").replaceChildren(...answer.skipped.map((one) => element("li", one.reason)));
  at("warnings").replaceChildren(...(answer.warnings || []).map((one) => {
    const paths = (one.paths || []).filter((path) => !one.message.includes(path));
    const where = paths.length ? ` (${paths.slice(0, 3).join(", ")}${paths.length > 3 ? ", …" : ""})` : "";
    return element("li", one.message + where);
  }));
  at("which").replaceChildren(
    ...answer.images.map((image, number) =>
      element("option", `${image.name} (${image.cells.length})`, { value: number })),
  );
  at("which-label").hidden = answer.images.length < 2;
  at("composition").classList.toggle("single", answer.images.length < 2);
  at("found").hidden = false;
  show();
}

const shown = () => answer.images[Number(at("which").value) || 0];
const cut = () => Number(at("cut").value);
const colourOf = (name) => about.colours[about.classes.indexOf(name)];

function show() {
  const image = shown();
  at("names").checked = image.cells.length <= field.FEW_CELLS;
  field.draw(image);
  const lost = Object.entries(image.dropped).map(([why, count]) => `${count} left out: ${why}`);
  at("caption").textContent = [`${image.name}: ${image.cells.length} cells`, ...lost].join("; ");
  at("cell").replaceChildren(element("p", HINT));
  apply();
}

function apply() {
  at("cut-value").textContent = cut().toFixed(2);
  field.mark();
  const kept = (cells) => cells.filter((cell) => cell.score >= cut());
  const every = answer.images.flatMap((one) => one.cells);
  const [here, all] = [kept(shown().cells), kept(every)];
  const share = (n, cells) => (cells.length ? `${((100 * n) / cells.length).toFixed(1)} %` : "-");
  const rows = about.classes.map((name) => {
    const [n, of] = [here, all].map((cells) => cells.filter((cell) => cell.class === name).length);
    const row = document.createElement("tr");
    const first = element("td", name);
    const dot = element("span", "", { class: "dot" });
    dot.style.background = colourOf(name);
    first.prepend(dot);
    row.append(
      first, element("td", n), element("td", share(n, here)),
      element("td", of, { class: "all" }), element("td", share(of, all), { class: "all" }),
    );
    return row;
  });
  at("composition").tBodies[0].replaceChildren(...rows);
  const below = every.length - all.length;
  at("below").textContent = below ? `${below} of ${every.length} cells are below the cut and not counted` : "";
}

async function explain(number) {
  const image = shown();
  const cell = image.cells[number];
  field.choose(number);
  const probabilities = element("table", "");
  about.classes.forEach((name, index) => {
    const row = document.createElement("tr");
    row.append(element("td", name), element("td", cell.probabilities[index].toFixed(3)));
    probabilities.append(row);
  });
  const notes = cell.notes ? [element("p", cell.notes)] : [];
  const status = element("p", about.explainable ? "asking what the model looks at …" : "This model is an ensemble and has no heat map.");
  at("cell").replaceChildren(element("p", `${cell.class}, score ${cell.score.toFixed(3)}`), ...notes, probabilities, status);
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

function download(blob, name) {
  const link = element("a", "", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function save() {
  const [head, ...lines] = answer.csv.replace(/^\ufeff/, "").trimEnd().split("\r\n");
  const cells = answer.images.flatMap((image) => image.cells);
  const kept = lines.filter((_, row) => cells[row].score >= cut());
  // The mark at the beginning tells Excel that this is UTF-8.
  download(new Blob(["\ufeff", [head, ...kept, ""].join("\r\n")], { type: "text/csv" }), "cells.csv");
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
at("which").addEventListener("change", show);
at("cut").addEventListener("input", apply);
at("names").addEventListener("change", () => field.mark());
at("save").addEventListener("click", save);
at("picture").addEventListener("click", () => field.save());
const field = makeField(at("drawing"), at("tip"), {
  colourOf, cut, names: () => at("names").checked, classes: () => about.classes, explain, download,
});
begin();
