"use strict";

// Data and state. A place is a position along each axis; names and values may hold anything, so that text enters the
// page as text nodes and attributes only.

const sweep = JSON.parse(document.getElementById("data").textContent);
const axes = sweep.axes;
const cells = new Map(sweep.cells.map((cell) => [cell.index.join(), cell]));
const colours = { total: "--total", content: "--content", style: "--style", variation: "--variation" };
const dashes = { content: "9 4", style: "none", variation: "2 4" };
const state = {
  place: axes.map(() => 0),
  rows: axes.length > 1 ? axes.length - 2 : null, // which axes are the grid's rows and columns
  columns: axes.length > 0 ? axes.length - 1 : null,
  inLine: 1, // of a single axis: how many cells stand in a line
  flipped: false, // the content stands where the result stood
};

const byId = (id) => document.getElementById(id);
const chosen = () => cells.get(state.place.join());
const length = (axis) => (axis === null ? 1 : axes[axis].values.length);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const others = () => axes.map((_, axis) => axis).filter((axis) => axis !== state.rows && axis !== state.columns);
const tidy = (number) => (Number.isFinite(number) ? String(Number(number.toPrecision(4))) : "not finite");

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function draw(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function breakable(text) { // a line may end after the marks that file names hold
  return text.split(/(?<=[_\-./,])/).flatMap((part) => [part, make("wbr")]);
}

function describe(place) {
  return axes.map((axis, i) => `${axis.label} ${axis.values[place[i]]}`).join(", ") || "the result";
}

function duration(seconds) {
  if (seconds < 120) return `${Number(seconds.toPrecision(3))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function why(cell) {
  return cell === undefined ? "not done" : "no picture";
}

function failed(cell) {
  return cell !== undefined && Object.values(cell.final).some((value) => value === null);
}

// The address: each axis by its value, so that a link outlives a sweep that is made larger.

function token(axis, i) {
  const value = axis.values[i];
  return axis.values.indexOf(value) === i ? value : `${value}~${i + 1}`;
}

function writeHash() {
  const words = new URLSearchParams(axes.map((axis, i) => [axis.name, token(axis, state.place[i])]));
  try {
    history.replaceState(null, "", `#${words}`);
  } catch {
    // Some browsers limit how often; the next change writes it again.
  }
}

function readHash() {
  const words = new URLSearchParams(location.hash.slice(1));
  axes.forEach((axis, i) => {
    const found = axis.values.findIndex((_, k) => token(axis, k) === words.get(axis.name));
    if (found >= 0) state.place[i] = found;
  });
}

// The grid. A single axis fills as many lines as it needs.

function inLine() {
  const most = Math.max(3, Math.floor(byId("grid").clientWidth / 110));
  return Math.ceil(length(0) / Math.ceil(length(0) / most));
}

function gridSize() {
  if (axes.length === 1) return [Math.ceil(length(0) / state.inLine), state.inLine];
  return [length(state.rows), length(state.columns)];
}

function gridPosition() {
  if (axes.length === 1) return [Math.floor(state.place[0] / state.inLine), state.place[0] % state.inLine];
  return [state.rows === null ? 0 : state.place[state.rows], state.columns === null ? 0 : state.place[state.columns]];
}

function at(row, column) {
  if (axes.length === 1) return [Math.min(row * state.inLine + column, length(0) - 1)];
  const place = [...state.place];
  if (state.rows !== null) place[state.rows] = row;
  if (state.columns !== null) place[state.columns] = column;
  return place;
}

function cellButton(place) {
  const cell = cells.get(place.join());
  const name = describe(place) + (cell?.picture ? (failed(cell) ? " (diverged)" : "") : ` (${why(cell)})`);
  const button = make("button", { type: "button", tabindex: "-1", "aria-label": name, title: name, "data-place": place.join() });
  button.style.aspectRatio = shape;
  if (cell?.picture) button.append(make("img", { src: cell.picture, alt: "", decoding: "async" }));
  else {
    button.className = "empty";
    button.append(why(cell));
  }
  return button;
}

function gridHead() {
  const top = make("tr");
  if (state.rows !== null) top.append(make("th", { class: "axis corner", rowspan: 2 }, axes[state.rows].label));
  const name = make("span", { class: "stuck" }, axes[state.columns].label);
  top.append(make("th", { class: "axis", colspan: gridSize()[1], scope: "colgroup" }, name));
  const names = axes[state.columns].values.map((value) => make("th", { scope: "col" }, ...breakable(value)));
  return axes.length === 1 ? [top] : [top, make("tr", {}, ...names)];
}

function gridLine(row) {
  const { rows, inLine } = state;
  const count = axes.length === 1 ? Math.min(inLine, length(0) - row * inLine) : gridSize()[1];
  const line = make("tr");
  if (rows !== null) line.append(make("th", { scope: "row" }, ...breakable(axes[rows].values[row])));
  for (let column = 0; column < count; column++) line.append(make("td", {}, cellButton(at(row, column))));
  if (axes.length !== 1) return [line];
  const names = axes[0].values.slice(row * inLine, row * inLine + count);
  return [make("tr", {}, ...names.map((value) => make("th", {}, ...breakable(value)))), line];
}

function drawGrid() {
  if (axes.length === 0) return;
  state.inLine = inLine();
  const [rows, columns] = gridSize();
  const longest = state.rows === null ? 0 : Math.max(6, ...axes[state.rows].values.map((value) => value.length));
  const table = byId("cells");
  const sizes = { rows, columns, shape, heads: longest === 0 ? "0px" : `min(${Math.min(longest, 16) * 0.52 + 0.7}rem, 27vw)` };
  for (const [name, value] of Object.entries(sizes)) table.style.setProperty(`--${name}`, value);
  const lines = Array.from({ length: rows }, (_, row) => gridLine(row));
  table.replaceChildren(make("thead", {}, ...gridHead()), make("tbody", {}, ...lines.flat()));
}

function markChosen() {
  if (axes.length === 0) return;
  const before = byId("cells").querySelector("[aria-selected=true]");
  before?.removeAttribute("aria-selected");
  before?.firstChild.setAttribute("tabindex", "-1");
  const button = chosenButton();
  button.parentNode.setAttribute("aria-selected", "true");
  button.setAttribute("tabindex", "0");
  const scroll = byId("cells").parentNode; // sideways only: the page itself stays where it is
  const heads = byId("cells").querySelector(".corner")?.offsetWidth ?? 0;
  const [left, right] = [button.parentNode.offsetLeft, button.parentNode.offsetLeft + button.offsetWidth];
  scroll.scrollLeft = clamp(scroll.scrollLeft, right + 8 - scroll.clientWidth, Math.max(0, left - heads - 8));
}

function chosenButton() {
  return byId("cells").querySelector(`[data-place="${state.place.join()}"]`);
}

function onGridKey(event) {
  let [row, column] = gridPosition();
  const [bottom, right] = gridSize().map((size) => size - 1);
  const moves = {
    ArrowLeft: () => column--,
    ArrowRight: () => column++,
    ArrowUp: () => row--,
    ArrowDown: () => row++,
    Home: () => ((column = 0), event.ctrlKey && (row = 0)),
    End: () => ((column = right), event.ctrlKey && (row = bottom)),
  };
  if (!Object.hasOwn(moves, event.key) || event.altKey || event.metaKey) return;
  event.preventDefault();
  moves[event.key]();
  choose(at(clamp(row, 0, bottom), clamp(column, 0, right)));
  chosenButton().focus();
}

function onGridClick(event) {
  const button = event.target.closest("[data-place]");
  if (!button) return;
  choose(button.dataset.place.split(",").map(Number));
  if (event.detail && matchMedia("(max-width: 860px)").matches) byId("view").scrollIntoView();
}

function setRole(role, axis) {
  const other = role === "rows" ? "columns" : "rows";
  if (state[other] === axis) state[other] = state[role];
  state[role] = axis;
  rebuild();
}

// Sliders, one for each of the given axes.

function drawSliders(holder, which) {
  holder.hidden = which.length === 0;
  holder.replaceChildren(...which.map((i) => {
    const id = `${holder.id}-${i}`;
    const input = make("input", { type: "range", id, min: 0, max: length(i) - 1, step: 1, "data-axis": i });
    input.disabled = length(i) < 2;
    input.addEventListener("input", () => choose(state.place.with(i, Number(input.value))));
    return make("div", { class: "slider" }, make("label", { for: id }, axes[i].label), make("output", { for: id }), input);
  }));
}

function updateSliders() {
  for (const input of document.querySelectorAll("input[data-axis]")) {
    const axis = Number(input.dataset.axis);
    const value = axes[axis].values[state.place[axis]];
    input.value = state.place[axis];
    input.setAttribute("aria-valuetext", value);
    input.parentNode.querySelector("output").textContent = value;
  }
}

// The chosen cell.

function showPicture(cell) {
  const content = sweep.contents[cell ? cell.content : 0];
  const flipped = state.flipped && content !== undefined;
  const source = flipped ? content.picture : cell?.picture;
  byId("large").hidden = source === undefined;
  if (source !== undefined) byId("large").src = source;
  byId("large").alt = flipped ? `content ${content.label}` : `result for ${describe(state.place)}`;
  byId("missing").hidden = source !== undefined;
  byId("missing").textContent = why(cell);
  byId("frame").style.setProperty("--shape", cell?.picture ? cell.width / cell.height : shape);
  byId("flip").hidden = content === undefined;
  byId("flip").setAttribute("aria-pressed", String(flipped));
}

function showSources(cell) {
  const content = sweep.contents[cell ? cell.content : 0];
  const styles = cell ? cell.styles.map((i) => sweep.styles[i]) : sweep.styles;
  const figures = [["content", content], ...styles.map((style) => ["style", style])].filter(([, source]) => source);
  byId("sources").replaceChildren(...figures.map(([kind, source]) => make(
    "figure", {},
    make("img", { src: source.picture, alt: `${kind} ${source.label}`, width: source.width, height: source.height }),
    make("figcaption", {}, `${kind} `, make("b", {}, ...breakable(source.label))),
  )));
}

function showWords(cell) {
  byId("chosen").textContent = describe(state.place) + (failed(cell) ? " (diverged)" : "");
  byId("file").hidden = !cell?.picture;
  if (cell?.picture) byId("file").href = cell.href;
  byId("file").textContent = cell?.file ?? "";
  byId("command").hidden = byId("losses").hidden = cell === undefined;
  const words = (cell?.command ?? "").split(" ").map((word) => make("span", { class: "word" }, word));
  byId("line").replaceChildren(...words.flatMap((word, i) => (i === 0 ? [word] : [" ", word])));
  byId("copied").textContent = "";
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const settings = Object.entries({ ...cell?.settings, seconds: cell?.seconds });
  byId("settings").replaceChildren(...settings.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, text(value) ?? "")]));
}

async function copyCommand() {
  const line = byId("line").textContent;
  let done = true;
  try {
    await navigator.clipboard.writeText(line); // absent or refused where the page has no secure origin
  } catch {
    getSelection().selectAllChildren(byId("line"));
    done = document.execCommand("copy");
  }
  byId("copied").textContent = done ? "Copied." : "The command is selected; copy it with Ctrl+C.";
}

function flip(flipped) {
  state.flipped = flipped;
  showPicture(chosen());
}

function onPress(event) {
  if (event.pointerType !== "mouse" || event.button !== 0) return; // a finger may be about to scroll
  byId("large").setPointerCapture(event.pointerId);
  flip(true);
}

// The losses: a curve for each term, on one logarithmic scale for the whole sweep so that cells can be compared.

function decades(cell) {
  const done = sweep.cells.filter((other) => other === cell || !failed(other));
  let [low, high] = [Infinity, -Infinity];
  for (const values of done.flatMap((other) => Object.values(other.losses))) {
    for (const value of values) {
      if (value === null || value <= 0) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) return [-1, 0];
  const margin = 0.02 * Math.log10(high / low);
  return [Math.log10(low) - margin - 0.01, Math.log10(high) + margin + 0.01];
}

function lossTicks(low, high) {
  const every = Math.ceil((high - low) / 8);
  const within = high - low < 1.5 ? [1, 2, 5] : high - low < 3 ? [1, 3] : [1];
  const ticks = [];
  for (let power = Math.floor(low); power <= high; power++) {
    if (power % every === 0) ticks.push(...within.map((digit) => Number(`${digit}e${power}`)));
  }
  return ticks.filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high);
}

function stepTicks(last) {
  const rough = Math.max(1, last / 5);
  const power = 10 ** Math.floor(Math.log10(rough));
  const every = [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= rough);
  return Array.from({ length: Math.floor(last / every) }, (_, i) => (i + 1) * every);
}

function strokeOf(term) {
  const stroke = { "stroke-dasharray": dashes[term] ?? "none" };
  return { ...stroke, style: `stroke: var(${colours[term] ?? "--muted"}); stroke-width: ${term === "total" ? 3 : 2}px` };
}

function pathOf(steps, values, x, y) {
  let pen = "M";
  return values.map((value, i) => {
    if (value === null || value <= 0) {
      pen = "M"; // a gap, where the number is not finite or has no logarithm
      return "";
    }
    const point = `${pen}${x(steps[i]).toFixed(2)},${y(value).toFixed(2)}`;
    pen = "L";
    return point;
  }).join("");
}

function showLosses(cell) {
  if (cell === undefined) return;
  const width = Math.max(260, byId("chart").clientWidth);
  const height = Math.round(clamp(width * 0.55, 230, 340));
  const [left, right, top, bottom] = [64, width - 12, 10, height - 44];
  const [low, high] = decades(cell);
  const last = Math.max(2, ...cell.steps.slice(-1));
  const x = (step) => left + ((step - 1) / (last - 1)) * (right - left);
  const y = (loss) => bottom - ((Math.log10(loss) - low) / (high - low)) * (bottom - top);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Losses by step for ${describe(state.place)}; the last numbers are in the table` });
  for (const tick of lossTicks(low, high)) {
    svg.append(draw("line", { class: "rule", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
    svg.append(draw("text", { class: "loss-tick", x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, tick < 1e-3 || tick > 9999 ? tick.toExponential() : String(tick)));
  }
  for (const tick of stepTicks(last)) {
    svg.append(draw("line", { class: "rule", x1: x(tick), x2: x(tick), y1: bottom, y2: bottom + 5 }));
    svg.append(draw("text", { class: "step-tick", x: x(tick), y: bottom + 20, "text-anchor": x(tick) > right - 14 ? "end" : "middle" }, String(tick)));
  }
  svg.append(draw("line", { class: "rule", x1: left, x2: right, y1: bottom, y2: bottom }));
  svg.append(draw("text", { x: (left + right) / 2, y: height - 6, "text-anchor": "middle" }, "step"));
  svg.append(draw("text", { transform: `translate(14 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, "loss, log scale"));
  for (const [term, values] of Object.entries(cell.losses)) {
    svg.append(draw("path", { class: "curve", "data-term": term, d: pathOf(cell.steps, values, x, y), ...strokeOf(term) }));
  }
  byId("chart").replaceChildren(svg);
  showNumbers(cell);
}

function showNumbers(cell) {
  const lines = Object.entries(cell.final).map(([term, value]) => {
    const swatch = draw("svg", { viewBox: "0 0 30 10", "aria-hidden": "true" });
    if (term in cell.losses) swatch.append(draw("line", { x1: 0, x2: 30, y1: 5, y2: 5, ...strokeOf(term) }));
    return make("tr", {}, make("th", { scope: "row" }, swatch, term), make("td", {}, tidy(value)));
  });
  byId("numbers").replaceChildren(make("caption", {}, "At the last step"), make("tbody", {}, ...lines));
}

// All together.

function choose(place) {
  const sliced = others().some((axis) => place[axis] !== state.place[axis]);
  state.place = place;
  if (sliced) drawGrid();
  update();
  writeHash();
}

function update() {
  const cell = chosen();
  for (const show of [showPicture, showSources, showWords, showLosses]) show(cell);
  updateSliders();
  markChosen();
}

function rebuild() {
  const wide = length(state.columns) >= 2.5 * length(state.rows);
  byId("main").className = axes.length === 0 ? "single" : wide ? "wide" : "";
  byId("rows").value = state.rows;
  byId("columns").value = state.columns;
  drawSliders(byId("grid-sliders"), others());
  drawGrid();
  update();
}

function start() {
  const seconds = sweep.cells.reduce((sum, cell) => sum + cell.seconds, 0);
  const all = axes.reduce((product, axis) => product * axis.values.length, 1);
  const count = `${all} ${all === 1 ? "picture" : "pictures"}`;
  const done = sweep.cells.length < all ? `${sweep.cells.length} of ${count}` : count;
  document.title = byId("title").textContent = sweep.title;
  byId("summary").textContent = `${done} · ${duration(seconds)}`;
  byId("grid").hidden = axes.length === 0;
  byId("roles").hidden = axes.length < 3;
  for (const role of axes.length < 3 ? [] : ["rows", "columns"]) {
    byId(role).append(...axes.map((axis, i) => make("option", { value: i }, axis.label)));
    byId(role).addEventListener("change", () => setRole(role, Number(byId(role).value)));
  }
  state.place = sweep.cells.find((cell) => cell.picture)?.index ?? state.place;
  readHash();
  drawSliders(byId("view-sliders"), axes.map((_, axis) => axis));
  rebuild();
  byId("cells").addEventListener("keydown", onGridKey);
  byId("cells").addEventListener("click", onGridClick);
  byId("flip").addEventListener("click", () => flip(!state.flipped));
  byId("copy").addEventListener("click", copyCommand);
  byId("large").addEventListener("pointerdown", onPress);
  byId("large").addEventListener("lostpointercapture", () => flip(false));
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (entry.contentRect.width === width) return;
    width = entry.contentRect.width;
    showLosses(chosen());
    if (axes.length === 1 && inLine() !== state.inLine) {
      drawGrid();
      markChosen();
    }
  }).observe(byId("chart"));
  addEventListener("hashchange", () => {
    readHash();
    rebuild();
  });
}

const [widest] = [...sweep.cells, ...sweep.contents].filter((item) => item.picture);
const shape = widest ? widest.width / widest.height : 4 / 3;
start();
