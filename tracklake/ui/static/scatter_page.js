// Scatter: two columns of all chosen runs, coloured by a third; a brush is a filter, and is shown as SQL.

import { html, render } from "./vendor/lit-html.js";
import { ask } from "./api.js";
import { ramp, Scale } from "./axes.js";
import { copyButton } from "./code_dialog.js";
import { DrawnPage } from "./drawn_page.js";
import { element } from "./element.js";
import * as format from "./format.js";
import { flag } from "./page.js";
import { columnNames, nameField, usual } from "./sheet.js";
import { go, runAddress, set, state } from "./state.js";

const LEFT = 76;
const BOTTOM = 44;
const TOP = 12;
const RIGHT = 16;
// The markers of lake.plot, in its order: circle, square, triangles, diamond, cross.
const SIGNS = ["●", "■", "▲", "◆", "✚", "▼"];
const SHAPES = [
	(x, y) => x * x + y * y <= 1.25,
	(x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.9,
	(x, y) => y <= 1 && y >= 2 * Math.abs(x) - 1.2,
	(x, y) => Math.abs(x) + Math.abs(y) <= 1.25,
	(x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.4,
	(x, y) => y >= -1 && y <= 1.2 - 2 * Math.abs(x),
];

export const open = (main, context) => new ScatterPage(main, context);

class ScatterPage extends DrawnPage {
	get names() {
		const start = usual(this.context.schema);
		const p = state.params;
		return { x: p.get("x") ?? start.x, y: p.get("y") ?? start.y, color: p.get("color") ?? "" };
	}

	get wanted() {
		const { x, y, color } = this.names;
		return [...new Set([x, y, ...(color ? [color] : [])])];
	}

	async askLabels(columns, signal) {
		const { color } = this.names;
		return columns.get(color)?.words ? ask("labels", { by: color }, { signal }) : { labels: [] };
	}

	loaded() {
		const { x, y, color } = this.names;
		[this.x, this.y, this.color] = [x, y, color].map((name) => this.columns.get(name) ?? null);
	}

	colors() {
		if (!this.color) return () => format.rgb(format.color(0));
		const { values, words } = this.color;
		if (words) {
			const colors = words.map((_, code) => format.rgb(this.wordColor(code)));
			return (i) => colors[values[i]] ?? [150, 150, 150];
		}
		const scale = new Scale(values, { log: this.color.log, from: 0, to: 1, room: 0 });
		this.colorRange = [scale.value(0), scale.value(1)];
		const table = Array.from({ length: 256 }, (_, k) => ramp(k / 255));
		const shade = (at) => (Number.isFinite(at) ? table[Math.round(at * 255)] : [150, 150, 150]);
		return (i) => shade(scale.at(values[i]));
	}

	// The place of a word among all of the lake, by which it has its colour and marker.
	place(code) {
		return Math.max(0, this.labels.labels.indexOf(this.color.words[code]));
	}

	wordColor(code) {
		return format.color(this.place(code), this.labels.colors);
	}

	// Which pixels around a run belong to its marker.
	markers() {
		if (!this.color?.words) return () => SHAPES[0];
		const shapes = this.color.words.map((_, code) => SHAPES[this.place(code) % SHAPES.length]);
		return (i) => shapes[this.color.values[i]] ?? SHAPES[0];
	}

	paint() {
		const width = this.host.clientWidth;
		const height = Math.max(260, this.host.clientHeight);
		const { context, ratio } = this.canvases(`${this.y.name} over ${this.x.name}`, width, height);
		this.scaleX = new Scale(this.x.values, { ...this.x, log: state.params.has("logx"), from: LEFT, to: width - RIGHT });
		this.scaleY = new Scale(this.y.values, { ...this.y, log: state.params.has("logy"), from: height - BOTTOM, to: TOP });
		if (this.x.values.length) this.axes(context, width, height);
		this.points(context, ratio);
		this.tip = this.host.appendChild(element("div", "tip", { hidden: "" }));
		this.drawBrush();
	}

	axes(context, width, height) {
		const { ink } = this;
		context.strokeStyle = ink.line;
		context.fillStyle = ink.quiet;
		context.textAlign = "center";
		context.textBaseline = "top";
		for (const [value, text] of this.scaleX.ticks(Math.floor(width / 110))) {
			const x = Math.round(this.scaleX.at(value)) + 0.5;
			if (x < LEFT - 1 || x > width) continue;
			line(context, x, TOP, x, height - BOTTOM);
			context.fillText(format.middle(text, 16), x, height - BOTTOM + 5);
		}
		context.textAlign = "right";
		context.textBaseline = "middle";
		for (const [value, text] of this.scaleY.ticks(Math.floor(height / 55))) {
			const y = Math.round(this.scaleY.at(value)) + 0.5;
			line(context, LEFT, y, width - RIGHT, y);
			context.fillText(format.middle(text, 11), LEFT - 6, y);
		}
		context.fillStyle = ink.front;
		context.textAlign = "center";
		context.textBaseline = "alphabetic";
		context.fillText(this.x.title + (this.scaleX.log ? " (log)" : ""), (LEFT + width - RIGHT) / 2, height - 8);
		context.save();
		context.translate(13, (TOP + height - BOTTOM) / 2);
		context.rotate(-Math.PI / 2);
		context.fillText(this.y.title + (this.scaleY.log ? " (log)" : ""), 0, 0);
		context.restore();
	}

	// Pixels are written directly: a hundred thousand points take milliseconds.
	points(context, ratio) {
		const n = this.x.values.length;
		const colorOf = this.colors();
		const markerOf = this.markers();
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
			const isInside = markerOf(i);
			const reach = isCross ? radius + Math.round(2 * ratio) : radius;
			for (let dy = -reach; dy <= reach; dy++) {
				for (let dx = -reach; dx <= reach; dx++) {
					if (isCross ? Math.abs(Math.abs(dx) - Math.abs(dy)) > ratio * 0.9 : !isInside(dx / radius, dy / radius)) continue;
					const at = ((cy + dy) * width + cx + dx) * 4;
					if (at < 0 || at >= pixels.length) continue;
					const under = (pixels[at + 3] / 255) * (1 - alpha);
					const sum = alpha + under;
					pixels[at] = (r * alpha + pixels[at] * under) / sum;
					pixels[at + 1] = (g * alpha + pixels[at + 1] * under) / sum;
					pixels[at + 2] = (b * alpha + pixels[at + 2] * under) / sum;
					pixels[at + 3] = sum * 255;
				}
			}
		}
		context.putImageData(image, 0, 0);
	}

	grip(event) {
		return [event.offsetX, event.offsetY];
	}

	move(event) {
		if (this.drag) {
			this.brushes.clear();
			this.brush(this.x.name, this.scaleX.value(this.drag[0]), this.scaleX.value(event.offsetX));
			this.brush(this.y.name, this.scaleY.value(this.drag[1]), this.scaleY.value(event.offsetY));
			return this.select();
		}
		this.hovered = this.nearest(event.offsetX, event.offsetY);
		this.showTip(event);
	}

	drop([x, y], event) {
		const isClick = Math.abs(event.offsetX - x) < 4 && Math.abs(event.offsetY - y) < 4;
		if (isClick) this.brushes.clear();
		const hit = isClick ? this.nearest(x, y) : -1;
		if (hit >= 0) return go(runAddress(this.found.header.run_ids[hit]));
		this.keepBrushes();
	}

	select() {
		this.mask();
		this.drawBrush();
		this.draw();
	}

	drawBrush() {
		const { context } = this.over;
		const { ink } = this;
		const ends = (column, scale, all) => this.brushes.get(column.name)?.map((value) => scale.at(value)).map((at, i) => (Number.isFinite(at) ? at : all[i])) ?? all;
		context.clearRect(0, 0, 1e5, 1e5);
		if (!this.brushes.has(this.x.name) && !this.brushes.has(this.y.name)) return;
		const [x0, x1] = ends(this.x, this.scaleX, [this.scaleX.from, this.scaleX.to]);
		const [y0, y1] = ends(this.y, this.scaleY, [this.scaleY.from, this.scaleY.to]);
		context.fillStyle = `${ink.accent}22`;
		context.strokeStyle = ink.accent;
		context.fillRect(x0, y0, x1 - x0, y1 - y0);
		context.strokeRect(x0, y0, x1 - x0, y1 - y0);
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
		const lines = [header.names?.[i] ?? header.run_ids[i], `${this.x.title} = ${value(this.x)}`, `${this.y.title} = ${value(this.y)}`];
		if (this.color) lines.push(`${this.color.title} = ${value(this.color)}`);
		if (header.unfinished.includes(i)) lines.push("did not finish");
		this.tip.replaceChildren(...lines.map((text, k) => element("div", k ? "" : "strong", {}, text)));
		this.tip.style.left = `${Math.min(event.offsetX + 14, this.host.clientWidth - 260)}px`;
		this.tip.style.top = `${event.offsetY + 14}px`;
	}

	drawBar() {
		const { x, y, color } = this.names;
		const names = columnNames(this.context.schema);
		render(
			html`${nameField("x", "names-x", x, names, (value) => set({ x: value }))} ${nameField("y", "names-y", y, names, (value) => set({ y: value }))}
				${nameField("color", "names-color", color, names, (value) => set({ color: value }), "none")}
				${flag("log x", "logx")} ${flag("log y", "logy")} ${copyButton(() => this.params, "runs")}
				<span class="quiet">drag to select, click a run to open it</span>`,
			this.bar,
		);
	}

	drawInfo() {
		const odd = this.found?.header.unfinished.length ?? 0;
		const what = `${this.missing ? `, ${this.missing.toLocaleString("en")} without a place here` : ""}${odd ? `, ${odd.toLocaleString("en")} that did not finish are crosses` : ""}`;
		render(html`${this.about(what)} ${this.found && !this.brushes.size ? this.legend() : ""}`, this.info);
	}

	legend() {
		if (!this.color) return "";
		if (this.color.words) return this.color.words.slice(0, 20).map((word, code) => html`<span class="item"><span .style=${`color:${this.wordColor(code)}`}>${SIGNS[this.place(code) % SIGNS.length]}</span>${word}</span>`);
		const [low, high] = this.colorRange ?? [];
		return html`<span class="item">${format.number(low)} ${[0, 0.2, 0.4, 0.6, 0.8, 1].map((s) => html`<span class="swatch" .style=${`background:rgb(${ramp(s).join()})`}></span>`)} ${format.number(high)} (${this.color.title})</span>`;
	}
}

function line(context, x0, y0, x1, y1) {
	context.beginPath();
	context.moveTo(x0, y0);
	context.lineTo(x1, y1);
	context.stroke();
}
