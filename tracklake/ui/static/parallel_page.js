// Parallel axes: an axis a column, a line a run (of many runs their density); brushes on axes are a filter, shown as SQL.

import { html, nothing, render } from "./vendor/lit-html.js";
import { askBlocks } from "./api.js";
import { canvasOf, inkOf, ramp, Scale } from "./axes.js";
import * as format from "./format.js";
import { columnNames, nameField, usual } from "./sheet.js";
import { address, chosen, set, state } from "./state.js";

const TOP = 46;
const BOTTOM = 26;
const SIDE = 70;
const LINES = 2000;
const BINS = 64;
const AXES = 12;

export function open(main, context) {
  return new ParallelPage(main, context);
}

class ParallelPage {
  constructor(main, context) {
    this.context = context;
    this.bar = Object.assign(document.createElement("section"), { className: "toolbar" });
    this.bar.setAttribute("aria-label", "What is drawn");
    this.info = Object.assign(document.createElement("div"), { className: "message" });
    this.info.setAttribute("role", "status");
    this.host = Object.assign(document.createElement("div"), { className: "fill canvas-host" });
    main.append(this.bar, this.info, this.host);
    this.resizing = new ResizeObserver(() => this.found && this.paint());
    this.resizing.observe(this.host);
    this.brushes = new Map();
  }

  close() {
    this.resizing.disconnect();
  }

  changed() {
    this.load();
  }

  update() {
    this.draw();
    this.load();
  }

  get names() {
    const start = usual(this.context.schema);
    const p = state.params;
    const axes = p.getAll("axis");
    return { axes: axes.length ? axes : start.config.slice(0, 6), metric: p.get("color") ?? start.y };
  }

  async load() {
    if (!this.context.schema) return;
    const { axes, metric } = this.names;
    const params = chosen();
    const columns = [...new Set([...axes, metric])].slice(0, AXES);
    for (const name of columns) params.append("col", name);
    try {
      this.found = await askBlocks("values", params);
      this.columns = this.found.header.columns.map((column, i) => ({ ...column, values: this.found.arrays[i] }));
      this.error = "";
      this.brushes.clear();
      this.paint();
    } catch (error) {
      this.error = error.message;
      this.found = null;
      this.host.replaceChildren();
    }
    this.draw();
  }

  // A log axis where values are positive and span a factor of ten.
  wantsLog({ values, words }) {
    if (words) return false;
    let [low, high] = [Infinity, -Infinity];
    for (const v of values) if (Number.isFinite(v)) [low, high] = [Math.min(low, v), Math.max(high, v)];
    return low > 0 && high / low >= 10;
  }

  paint() {
    this.host.replaceChildren();
    this.width = this.host.clientWidth;
    this.height = Math.max(280, this.host.clientHeight);
    const base = canvasOf(this.host, this.width, this.height);
    base.canvas.setAttribute("role", "img");
    base.canvas.setAttribute("aria-label", `Parallel axes: ${this.columns.map((c) => c.name).join(", ")}`);
    this.base = base;
    this.gap = (this.width - 2 * SIDE) / Math.max(1, this.columns.length - 1);
    this.scales = this.columns.map((column) => new Scale(column.values, { ...column, log: this.wantsLog(column), from: this.height - BOTTOM, to: TOP }));
    this.bins = this.columns.map((column, k) => this.binned(column, this.scales[k]));
    const over = canvasOf(this.host, this.width, this.height);
    over.canvas.classList.add("over");
    this.over = over;
    over.canvas.addEventListener("pointerdown", (event) => this.down(event));
    over.canvas.addEventListener("pointermove", (event) => this.move(event));
    over.canvas.addEventListener("pointerup", () => this.up());
    this.redraw();
    this.drawAxes();
  }

  binned(column, scale) {
    const bins = new Int16Array(column.values.length);
    const size = (this.height - BOTTOM - TOP) / BINS;
    for (let i = 0; i < bins.length; i++) {
      const y = scale.at(column.values[i]);
      bins[i] = Number.isFinite(y) ? Math.max(0, Math.min(BINS - 1, Math.floor((y - TOP) / size))) : -1;
    }
    return bins;
  }

  mask() {
    const n = this.columns[0]?.values.length ?? 0;
    const mask = new Uint8Array(n).fill(1);
    for (const [k, [a, b]] of this.brushes) {
      const [low, high] = [a, b].sort((x, y) => x - y);
      const { values } = this.columns[k];
      const scale = this.scales[k];
      for (let i = 0; i < n; i++) {
        const y = scale.at(values[i]);
        if (!(y >= low && y <= high)) mask[i] = 0;
      }
    }
    return mask;
  }

  redraw() {
    const began = performance.now();
    const mask = this.mask();
    let inside = 0;
    for (const bit of mask) inside += bit;
    this.inside = inside;
    const { context } = this.base;
    context.clearRect(0, 0, this.width, this.height);
    if (mask.length > LINES) this.density(context, mask);
    else this.lines(context, mask);
    this.host.dataset.brush = (performance.now() - began).toFixed(1);
  }

  x(k) {
    return SIDE + k * this.gap;
  }

  shareOf() {
    const last = this.columns.length - 1;
    const scale = this.scales[last];
    return (i) => (this.height - BOTTOM - scale.at(this.columns[last].values[i])) / (this.height - BOTTOM - TOP);
  }

  lines(context, mask) {
    const share = this.shareOf();
    const n = mask.length;
    context.lineWidth = n > 300 ? 0.7 : 1.2;
    const missing = this.height - 8;
    for (const isInside of [0, 1]) {
      for (let i = 0; i < n; i++) {
        if (mask[i] !== isInside) continue;
        const s = share(i);
        context.strokeStyle = isInside ? (Number.isFinite(s) ? `rgba(${ramp(s).join()},0.75)` : "rgba(150,150,150,0.6)") : "rgba(150,150,150,0.12)";
        context.beginPath();
        this.columns.forEach((column, k) => {
          const y = this.scales[k].at(column.values[i]);
          context[k ? "lineTo" : "moveTo"](this.x(k), Number.isFinite(y) ? y : missing);
        });
        context.stroke();
      }
    }
  }

  // Many runs: how many go from each 64th of an axis to each 64th of the next; coloured by their mean on the last axis.
  density(context, mask) {
    const n = mask.length;
    const last = this.bins[this.columns.length - 1];
    const size = (this.height - BOTTOM - TOP) / BINS;
    for (let k = 0; k + 1 < this.columns.length; k++) {
      const [left, right] = [this.bins[k], this.bins[k + 1]];
      const counts = new Uint32Array(BINS * BINS);
      const sums = new Float32Array(BINS * BINS);
      let most = 1;
      for (let i = 0; i < n; i++) {
        if (!mask[i] || left[i] < 0 || right[i] < 0) continue;
        const cell = left[i] * BINS + right[i];
        counts[cell] += 1;
        sums[cell] += last[i];
        if (counts[cell] > most) most = counts[cell];
      }
      context.lineWidth = size;
      for (let cell = 0; cell < counts.length; cell++) {
        const count = counts[cell];
        if (!count) continue;
        const strength = Math.sqrt(count / most);
        if (strength < 0.08 && most > 40) continue;
        context.strokeStyle = `rgba(${ramp(1 - sums[cell] / count / BINS).join()},${(0.06 + 0.5 * strength).toFixed(3)})`;
        context.beginPath();
        context.moveTo(this.x(k), TOP + (Math.floor(cell / BINS) + 0.5) * size);
        context.lineTo(this.x(k + 1), TOP + ((cell % BINS) + 0.5) * size);
        context.stroke();
      }
    }
  }

  drawAxes() {
    const { context } = this.over;
    const ink = inkOf();
    context.clearRect(0, 0, this.width, this.height);
    context.textAlign = "center";
    this.columns.forEach((column, k) => {
      const x = this.x(k);
      const scale = this.scales[k];
      context.strokeStyle = ink.quiet;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x, TOP);
      context.lineTo(x, this.height - BOTTOM);
      context.stroke();
      context.font = "600 11px system-ui, sans-serif";
      this.text(format.label(column.name) + (scale.log ? " (log)" : ""), x, k % 2 ? 30 : 16, ink.front, Math.floor((this.gap * 1.9) / 7));
      context.font = "11px system-ui, sans-serif";
      for (const [value, text] of scale.ticks(8)) this.text(text, x, scale.at(value) + 4, ink.front, Math.max(6, Math.floor(this.gap / 8)));
      if (column.values.some((v) => !Number.isFinite(v))) this.text("none", x, this.height - 5, ink.quiet, 8);
      const brush = this.brushes.get(k);
      if (brush) {
        context.fillStyle = `${ink.accent}55`;
        context.fillRect(x - 8, Math.min(...brush), 16, Math.abs(brush[1] - brush[0]));
      }
    });
  }

  text(text, x, y, color, most) {
    const { context } = this.over;
    const ink = inkOf();
    const short = text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text;
    context.lineWidth = 3;
    context.strokeStyle = ink.back;
    context.strokeText(short, x, y);
    context.fillStyle = color;
    context.fillText(short, x, y);
  }

  down(event) {
    const k = Math.round((event.offsetX - SIDE) / this.gap);
    if (k < 0 || k >= this.columns.length || Math.abs(event.offsetX - this.x(k)) > 22) return;
    this.axis = k;
    this.brushes.set(k, [event.offsetY, event.offsetY]);
    this.over.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (this.axis === undefined) return;
    this.brushes.get(this.axis)[1] = event.offsetY;
    this.redraw();
    this.drawAxes();
    this.draw();
  }

  up() {
    if (this.axis === undefined) return;
    const [a, b] = this.brushes.get(this.axis);
    if (Math.abs(a - b) < 4) this.brushes.delete(this.axis);
    this.axis = undefined;
    this.redraw();
    this.drawAxes();
    this.draw();
  }

  get condition() {
    return [...this.brushes].map(([k, [a, b]]) => this.scales[k].between(this.columns[k].name, a, b)).join(" AND ");
  }

  draw() {
    const { axes, metric } = this.names;
    const names = columnNames(this.context.schema);
    const where = state.params.get("where");
    const condition = this.brushes.size ? this.condition : "";
    const keep = where ? `(${where}) AND ${condition}` : condition;
    render(
      html`${axes.map((name) => html`<button class="chip" title="leave this axis out" @click=${() => set({ axis: axes.filter((a) => a !== name) })}>${format.label(name)} ×</button>`)}
        ${nameField("add an axis", "names-axis", "", names, (value) => value && axes.length < AXES - 1 && set({ axis: [...axes, value] }))}
        ${nameField("color and last axis", "names-metric", metric, names, (value) => set({ color: value }))}
        <span class="quiet">drag along an axis to select</span>`,
      this.bar,
    );
    const n = this.found?.header.run_ids.length ?? 0;
    render(
      this.error
        ? html`<span class="bad">${this.error}</span>`
        : condition
          ? html`<span class="strong">${format.count(this.inside, "run")} of ${n.toLocaleString("en")}:</span> <code class="mono">${condition}</code>
              <button @click=${() => set({ where: keep })}>Keep only these</button>
              <a class="button" data-page href=${address("/runs", { where: keep })}>Show in the table</a>`
          : html`<span>${format.count(n, "run")}${n > LINES ? ": where most of them go is darkest; colour is the mean of the last axis" : ""}</span>
              ${where ? html`<button class="chip" @click=${() => set({ where: null })}>${where} ×</button>` : nothing}`,
      this.info,
    );
  }
}
