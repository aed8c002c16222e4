// Scatter: two columns of all chosen runs, coloured by a third; a brush is a filter, and is shown as SQL.

import { html, nothing, render } from "./vendor/lit-html.js";
import { ask, askBlocks } from "./api.js";
import { canvasOf, inkOf, ramp, rgb, Scale } from "./axes.js";
import * as format from "./format.js";
import { columnNames, nameField, usual } from "./sheet.js";
import { address, chosen, go, runAddress, set, state } from "./state.js";

const LEFT = 76;
const BOTTOM = 44;
const TOP = 12;
const RIGHT = 16;

export function open(main, context) {
  return new ScatterPage(main, context);
}

class ScatterPage {
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
    return { x: p.get("x") ?? start.x, y: p.get("y") ?? start.y, color: p.get("color") ?? "" };
  }

  async load() {
    const { x, y, color } = this.names;
    if (!this.context.schema) return;
    const columns = [x, y, ...(color ? [color] : [])];
    const params = chosen();
    for (const name of new Set(columns)) params.append("col", name);
    try {
      this.found = await askBlocks("values", params);
      const of = (name) => {
        const i = this.found.header.columns.findIndex((column) => column.name === name);
        return { values: this.found.arrays[i], ...this.found.header.columns[i] };
      };
      this.x = of(x);
      this.y = of(y);
      this.color = color ? of(color) : null;
      this.labels = this.color?.words ? (await ask("labels", { by: color })).labels : [];
      this.error = "";
      this.brush = null;
      this.paint();
    } catch (error) {
      this.error = error.message;
      this.found = null;
      this.host.replaceChildren();
    }
    this.draw();
  }

  colors() {
    if (!this.color) return () => rgb("#0072B2");
    const { values, words } = this.color;
    if (words) {
      const places = words.map((word) => rgb(format.color(Math.max(0, this.labels.indexOf(word)))));
      return (i) => places[values[i]] ?? [150, 150, 150];
    }
    const finite = values.filter(Number.isFinite);
    const [low, high] = [finite.reduce((a, b) => Math.min(a, b), Infinity), finite.reduce((a, b) => Math.max(a, b), -Infinity)];
    this.colorRange = [low, high];
    const table = Array.from({ length: 256 }, (_, k) => ramp(k / 255));
    return (i) => (Number.isFinite(values[i]) ? table[Math.round(((values[i] - low) / (high - low || 1)) * 255)] : [150, 150, 150]);
  }

  paint() {
    this.host.replaceChildren();
    const width = this.host.clientWidth;
    const height = Math.max(260, this.host.clientHeight);
    const p = state.params;
    const { canvas, context, ratio } = canvasOf(this.host, width, height);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${this.y.name} over ${this.x.name}`);
    this.scaleX = new Scale(this.x.values, { ...this.x, log: p.get("logx") === "1", from: LEFT, to: width - RIGHT });
    this.scaleY = new Scale(this.y.values, { ...this.y, log: p.get("logy") === "1", from: height - BOTTOM, to: TOP });
    this.axes(context, width, height);
    this.points(context, ratio);
    const over = canvasOf(this.host, width, height);
    over.canvas.classList.add("over");
    this.over = over;
    over.canvas.addEventListener("pointerdown", (event) => this.down(event));
    over.canvas.addEventListener("pointermove", (event) => this.move(event));
    over.canvas.addEventListener("pointerup", () => this.up());
    this.tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
    this.host.append(this.tip);
  }

  axes(context, width, height) {
    const ink = inkOf();
    context.strokeStyle = ink.line;
    context.fillStyle = ink.quiet;
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const [value, text] of this.scaleX.ticks(Math.floor(width / 110))) {
      const x = Math.round(this.scaleX.at(value)) + 0.5;
      if (x < LEFT - 1 || x > width) continue;
      line(context, x, TOP, x, height - BOTTOM);
      context.fillText(clip(text, 16), x, height - BOTTOM + 5);
    }
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const [value, text] of this.scaleY.ticks(Math.floor(height / 55))) {
      const y = Math.round(this.scaleY.at(value)) + 0.5;
      line(context, LEFT, y, width - RIGHT, y);
      context.fillText(clip(text, 11), LEFT - 6, y);
    }
    context.fillStyle = ink.front;
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    context.fillText(format.label(this.x.name) + (this.scaleX.log ? " (log)" : ""), (LEFT + width - RIGHT) / 2, height - 8);
    context.save();
    context.translate(13, (TOP + height - BOTTOM) / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(format.label(this.y.name) + (this.scaleY.log ? " (log)" : ""), 0, 0);
    context.restore();
  }

  // Pixels are written directly: a hundred thousand points take milliseconds.
  points(context, ratio) {
    const began = performance.now();
    const n = this.x.values.length;
    const colorOf = this.colors();
    const { width, height } = context.canvas;
    const image = context.getImageData(0, 0, width, height);
    const pixels = image.data;
    const unfinished = new Set(this.found.header.unfinished);
    const radius = Math.max(1, Math.round((n > 20000 ? 1 : n > 2000 ? 1.6 : 3.2) * ratio));
    const alpha = n > 20000 ? 0.35 : n > 2000 ? 0.5 : 0.75;
    this.px = new Float32Array(n);
    this.py = new Float32Array(n);
    this.missing = 0;
    const jitter = (i) => (((i * 2654435761) >>> 16) % 1000) / 1000 - 0.5;
    for (let i = 0; i < n; i++) {
      const x = this.scaleX.at(this.x.values[i] + (this.x.words ? 0.5 * jitter(i) : 0));
      const y = this.scaleY.at(this.y.values[i] + (this.y.words ? 0.5 * jitter(i + 7) : 0));
      this.px[i] = x;
      this.py[i] = y;
      if (!Number.isFinite(x) || !Number.isFinite(y)) {
        this.missing += 1;
        continue;
      }
      const [r, g, b] = colorOf(i);
      const [cx, cy] = [Math.round(x * ratio), Math.round(y * ratio)];
      const isCross = unfinished.has(i);
      const reach = isCross ? radius + Math.round(2 * ratio) : radius;
      for (let dy = -reach; dy <= reach; dy++) {
        for (let dx = -reach; dx <= reach; dx++) {
          if (isCross ? Math.abs(Math.abs(dx) - Math.abs(dy)) > ratio * 0.9 : dx * dx + dy * dy > radius * radius) continue;
          const at = ((cy + dy) * width + cx + dx) * 4;
          if (at < 0 || at >= pixels.length) continue;
          const under = pixels[at + 3] / 255;
          const sum = alpha + under * (1 - alpha);
          pixels[at] = (r * alpha + pixels[at] * under * (1 - alpha)) / sum;
          pixels[at + 1] = (g * alpha + pixels[at + 1] * under * (1 - alpha)) / sum;
          pixels[at + 2] = (b * alpha + pixels[at + 2] * under * (1 - alpha)) / sum;
          pixels[at + 3] = sum * 255;
        }
      }
    }
    context.putImageData(image, 0, 0);
    this.host.dataset.paint = (performance.now() - began).toFixed(1);
  }

  down(event) {
    this.brush = [event.offsetX, event.offsetY, event.offsetX, event.offsetY];
    this.isBrushing = true;
    this.over.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (this.isBrushing) {
      const began = performance.now();
      this.brush = [this.brush[0], this.brush[1], event.offsetX, event.offsetY];
      this.inside = this.count();
      this.drawBrush();
      this.draw();
      this.host.dataset.brush = (performance.now() - began).toFixed(1);
      return;
    }
    this.hovered = this.nearest(event.offsetX, event.offsetY);
    this.showTip(event);
  }

  up() {
    if (!this.isBrushing) return;
    this.isBrushing = false;
    const [x0, y0, x1, y1] = this.brush;
    if (Math.abs(x1 - x0) < 4 && Math.abs(y1 - y0) < 4) {
      this.brush = null;
      this.over.context.clearRect(0, 0, 1e5, 1e5);
      this.draw();
      const hit = this.nearest(x0, y0);
      if (hit >= 0) go(runAddress(this.found.header.run_ids[hit]));
      return;
    }
    this.draw();
  }

  drawBrush() {
    const { context } = this.over;
    const [x0, y0, x1, y1] = this.brush;
    const ink = inkOf();
    context.clearRect(0, 0, 1e5, 1e5);
    context.fillStyle = `${ink.accent}22`;
    context.strokeStyle = ink.accent;
    context.fillRect(x0, y0, x1 - x0, y1 - y0);
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }

  count() {
    const [xa, xb] = [this.brush[0], this.brush[2]].sort((a, b) => a - b);
    const [ya, yb] = [this.brush[1], this.brush[3]].sort((a, b) => a - b);
    let inside = 0;
    const { px, py } = this;
    for (let i = 0; i < px.length; i++) if (px[i] >= xa && px[i] <= xb && py[i] >= ya && py[i] <= yb) inside += 1;
    return inside;
  }

  nearest(x, y) {
    let best = -1;
    let least = 144;
    for (let i = 0; i < this.px.length; i++) {
      const d = (this.px[i] - x) ** 2 + (this.py[i] - y) ** 2;
      if (d < least) [least, best] = [d, i];
    }
    return best;
  }

  showTip(event) {
    const i = this.hovered;
    this.tip.hidden = i < 0;
    this.over.canvas.style.cursor = i < 0 ? "crosshair" : "pointer";
    if (i < 0) return;
    const { header } = this.found;
    const value = (column) => (column.words ? (column.words[column.values[i]] ?? "none") : column.type === "time" ? format.time(column.values[i] * 1000) : format.number(column.values[i]));
    const lines = [header.names?.[i] ?? header.run_ids[i], `${format.label(this.x.name)} = ${value(this.x)}`, `${format.label(this.y.name)} = ${value(this.y)}`];
    if (this.color) lines.push(`${format.label(this.color.name)} = ${value(this.color)}`);
    if (header.unfinished.includes(i)) lines.push("did not finish");
    this.tip.replaceChildren(...lines.map((text, k) => Object.assign(document.createElement("div"), { textContent: text, className: k ? "" : "strong" })));
    this.tip.style.left = `${Math.min(event.offsetX + 14, this.host.clientWidth - 260)}px`;
    this.tip.style.top = `${event.offsetY + 14}px`;
  }

  get condition() {
    if (!this.brush) return "";
    const [x0, y0, x1, y1] = this.brush;
    return `${this.scaleX.between(this.x.name, x0, x1)} AND ${this.scaleY.between(this.y.name, y0, y1)}`;
  }

  draw() {
    const { x, y, color } = this.names;
    const names = columnNames(this.context.schema);
    const p = state.params;
    render(
      html`${nameField("x", "names-x", x, names, (value) => set({ x: value }))} ${nameField("y", "names-y", y, names, (value) => set({ y: value }))}
        ${nameField("color", "names-color", color, names, (value) => set({ color: value }), "none")}
        <label><input type="checkbox" .checked=${p.has("logx")} @change=${() => set({ logx: !p.has("logx") })} />log x</label>
        <label><input type="checkbox" .checked=${p.has("logy")} @change=${() => set({ logy: !p.has("logy") })} />log y</label>
        <span class="quiet">drag to select, click a run to open it</span>`,
      this.bar,
    );
    const where = p.get("where");
    const keep = (condition) => (where ? `(${where}) AND ${condition}` : condition);
    const n = this.found?.header.run_ids.length ?? 0;
    const odd = this.found?.header.unfinished.length ?? 0;
    render(
      this.error
        ? html`<span class="bad">${this.error}</span>`
        : this.brush
          ? html`<span class="strong">${format.count(this.inside ?? 0, "run")} selected:</span> <code class="mono">${this.condition}</code>
              <button @click=${() => set({ where: keep(this.condition) })}>Keep only these</button>
              <a class="button" data-page href=${address("/runs", { where: keep(this.condition) })}>Show in the table</a>`
          : html`<span>${format.count(n, "run")}${this.missing ? `, ${this.missing.toLocaleString("en")} without a place here` : ""}${odd ? `, ${odd} that did not finish are crosses` : ""}</span>
              ${where ? html`<button class="chip" @click=${() => set({ where: null })}>${where} ×</button>` : nothing}
              ${this.legend()}`,
      this.info,
    );
  }

  legend() {
    if (!this.color) return nothing;
    if (this.color.words) return this.color.words.slice(0, 20).map((word) => html`<span class="item"><span class="swatch" .style=${`background:${format.color(Math.max(0, this.labels.indexOf(word)))}`}></span>${word}</span>`);
    const [low, high] = this.colorRange ?? [];
    return html`<span class="item">${format.number(low)} ${[0, 0.2, 0.4, 0.6, 0.8, 1].map((s) => html`<span class="swatch" .style=${`background:rgb(${ramp(s).join()})`}></span>`)} ${format.number(high)} (${format.label(this.color.name)})</span>`;
  }
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

const clip = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
