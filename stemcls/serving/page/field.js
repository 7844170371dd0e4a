// The picture of one image with its cells: drawn, named, zoomed, panned and saved.
"use strict";

function makeField(drawing, tip, page) {
  const SVG = "http://www.w3.org/2000/svg";
  const FEW_CELLS = 60;      // of more, names would hide the cells
  const LABEL_PX = 13;       // height of a name on the screen
  const LETTER = 0.62;       // usual width of a letter, in heights
  const MOST_ZOOM = 40;
  const MOVED_PX = 4;        // less is a click, not a drag
  let image = null;
  let view = { x: 0, y: 0, width: 1, height: 1 };
  const pointers = new Map();
  let dragged = false;

  function made(tag, attributes) {
    const one = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    return one;
  }

  const said = (cell) => `${cell.class} ${cell.score.toFixed(2)}`;

  function draw(next) {
    image = next;
    const parts = [made("image", { href: image.picture, width: image.width_px, height: image.height_px })];
    image.cells.forEach((cell, number) => {
      const ring = made("circle", {
        class: "cell", cx: cell.x_px, cy: cell.y_px, r: cell.radius_px, stroke: page.colourOf(cell.class),
        tabindex: 0, role: "button", "data-number": number,
        "aria-label": `${cell.class}, score ${cell.score.toFixed(2)}`,
      });
      parts.push(ring);
    });
    parts.push(made("g", { id: "labels" }));
    drawing.replaceChildren(...parts);
    tip.hidden = true;
    fit();
  }

  function fit() {
    look({ x: 0, y: 0, width: image.width_px, height: image.height_px });
  }

  function look(next) {
    view = next;
    drawing.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
    drawing.classList.toggle("near", view.width < image.width_px * 0.999);
    label();
  }

  // Image pixels per pixel of the screen.
  const scale = () => Math.max(view.width / (drawing.clientWidth || 1), view.height / (drawing.clientHeight || 1));

  // Names where they hide no other name; closer, there is room for more.
  function placed(perPixel, wanted) {
    const size = LABEL_PX * perPixel;
    const boxes = [];
    const found = [];
    for (const { cell, number } of wanted) {
      const text = said(cell);
      const wide = [...text].reduce((sum, one) => sum + (one.charCodeAt(0) > 0x2e80 ? 1.05 : LETTER), 0) * size;
      const box = { x: cell.x_px - wide / 2, y: cell.y_px - cell.radius_px - 1.3 * size, width: wide, height: 1.2 * size };
      const hit = boxes.some((other) => box.x < other.x + other.width && other.x < box.x + box.width &&
        box.y < other.y + other.height && other.y < box.y + box.height);
      if (hit) continue;
      boxes.push(box);
      found.push({ text, number, cell, x: cell.x_px, y: cell.y_px - cell.radius_px - 0.35 * size, size });
    }
    return found;
  }

  const kept = () => image.cells.map((cell, number) => ({ cell, number })).filter(({ cell }) => cell.score >= page.cut());

  function label() {
    const group = drawing.querySelector("#labels");
    if (!group) return;
    if (!page.names()) {
      group.replaceChildren();
      return;
    }
    const inside = kept().filter(({ cell }) => cell.x_px >= view.x && cell.x_px <= view.x + view.width &&
      cell.y_px >= view.y && cell.y_px <= view.y + view.height);
    group.replaceChildren(...placed(scale(), inside).map((one) => {
      const text = made("text", {
        x: one.x, y: one.y, fill: "#fff", "font-size": one.size, "text-anchor": "middle",
      });
      text.textContent = one.text;
      return text;
    }));
  }

  function mark() {
    if (!image) return;
    for (const ring of drawing.querySelectorAll(".cell"))
      ring.classList.toggle("low", image.cells[Number(ring.dataset.number)].score < page.cut());
    label();
  }

  function choose(number) {
    for (const ring of drawing.querySelectorAll(".cell"))
      ring.classList.toggle("chosen", Number(ring.dataset.number) === number);
  }

  // Where on the image a point of the screen is; the image is centred in the drawing.
  function spot(clientX, clientY) {
    const box = drawing.getBoundingClientRect();
    const per = scale();
    return {
      x: view.x + view.width / 2 + (clientX - box.x - box.width / 2) * per,
      y: view.y + view.height / 2 + (clientY - box.y - box.height / 2) * per,
    };
  }

  function zoom(factor, centre = { x: view.x + view.width / 2, y: view.y + view.height / 2 }) {
    const width = Math.min(image.width_px, Math.max(image.width_px / MOST_ZOOM, view.width / factor));
    const part = width / view.width;
    inside({
      x: centre.x - (centre.x - view.x) * part, y: centre.y - (centre.y - view.y) * part,
      width, height: view.height * part,
    });
  }

  function inside(next) {
    const within = (value, most) => Math.min(Math.max(0, value), Math.max(0, most));
    look({
      ...next, x: within(next.x, image.width_px - next.width), y: within(next.y, image.height_px - next.height),
    });
  }

  function point(event) {
    const number = event.target.dataset ? event.target.dataset.number : undefined;
    if (!number || pointers.size) {
      tip.hidden = true;
      return;
    }
    const cell = image.cells[Number(number)];
    tip.textContent = said(cell) + (cell.notes ? `\n${cell.notes}` : "");
    tip.hidden = false;
    const box = drawing.getBoundingClientRect();
    tip.style.left = `${Math.min(event.clientX - box.x + 14, box.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.max(0, event.clientY - box.y - tip.offsetHeight - 8)}px`;
  }

  drawing.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, began: [event.clientX, event.clientY] });
    dragged = false;
  });
  drawing.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) {
      point(event);
      return;
    }
    const now = { ...before, x: event.clientX, y: event.clientY };
    if (Math.hypot(now.x - before.began[0], now.y - before.began[1]) > MOVED_PX) dragged = true;
    if (!dragged) return;
    if (pointers.size === 2) {
      const other = [...pointers.entries()].find(([id]) => id !== event.pointerId)[1];
      const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
      zoom(apart(now) / apart(before), spot((now.x + other.x) / 2, (now.y + other.y) / 2));
    } else if (drawing.classList.contains("near")) {
      drawing.setPointerCapture(event.pointerId);
      const per = scale();
      inside({ ...view, x: view.x - (now.x - before.x) * per, y: view.y - (now.y - before.y) * per });
    }
    pointers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    drawing.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      if (name === "pointerleave") tip.hidden = true;
    });
  }
  drawing.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;  // the page scrolls
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), spot(event.clientX, event.clientY));
  }, { passive: false });
  drawing.addEventListener("dblclick", (event) => zoom(2, spot(event.clientX, event.clientY)));
  drawing.addEventListener("click", (event) => {
    if (!dragged && event.target.dataset.number) page.explain(Number(event.target.dataset.number));
  });
  drawing.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.dataset.number) page.explain(Number(event.target.dataset.number));
  });
  document.getElementById("closer").addEventListener("click", () => zoom(1.6));
  document.getElementById("farther").addEventListener("click", () => zoom(1 / 1.6));
  document.getElementById("whole").addEventListener("click", fit);
  window.addEventListener("resize", () => image && label());

  // The whole image with rings, names where they are shown, and a legend with counts below.
  async function save() {
    const source = new Image();
    source.src = image.picture;
    await source.decode();
    const per = image.width_px / source.naturalWidth;
    const unit = Math.max(12, Math.round(source.naturalWidth / 70));
    const cells = kept();
    const rows = page.classes().length + 1;
    const canvas = document.createElement("canvas");
    canvas.width = source.naturalWidth;
    canvas.height = source.naturalHeight + Math.ceil((rows + 1) * 1.5 * unit);
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(source, 0, 0);
    pen.lineWidth = Math.max(2, unit / 7);
    for (const { cell } of cells) {
      pen.strokeStyle = page.colourOf(cell.class);
      pen.beginPath();
      pen.arc(cell.x_px / per, cell.y_px / per, cell.radius_px / per, 0, 2 * Math.PI);
      pen.stroke();
    }
    pen.font = `${unit}px system-ui, sans-serif`;
    pen.textAlign = "center";
    for (const one of page.names() ? placed((unit / LABEL_PX) * per, cells) : []) {
      pen.lineWidth = unit / 5;
      pen.strokeStyle = "#000";
      pen.strokeText(one.text, one.x / per, one.y / per);
      pen.fillStyle = "#fff";
      pen.fillText(one.text, one.x / per, one.y / per);
    }
    pen.textAlign = "left";
    page.classes().forEach((name, row) => {
      const y = source.naturalHeight + (row + 1) * 1.5 * unit;
      const n = cells.filter(({ cell }) => cell.class === name).length;
      pen.fillStyle = page.colourOf(name);
      pen.fillRect(unit, y - 0.8 * unit, unit, unit);
      pen.fillStyle = "#000";
      const share = cells.length ? ` (${((100 * n) / cells.length).toFixed(1)} %)` : "";
      pen.fillText(`${name}: ${n}${share}`, 2.6 * unit, y);
    });
    pen.fillStyle = "#000";
    pen.fillText(
      `${image.name}: ${cells.length} cells with a score of ${page.cut().toFixed(2)} or more`,
      unit, source.naturalHeight + rows * 1.5 * unit,
    );
    const name = image.name.replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(-80);
    canvas.toBlob((blob) => page.download(blob, `${name}-cells.png`));
  }

  return { FEW_CELLS, draw, mark, choose, save };
}
