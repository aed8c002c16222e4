// Parallel axes: an axis a column, a line a run (of many runs their density); brushes on axes are a filter, shown as SQL.

import { html, render } from "./vendor/lit-html.js";
import { ramp, Scale } from "./axes.js";
import { copyButton } from "./code_dialog.js";
import { DrawnPage } from "./drawn_page.js";
import * as format from "./format.js";
import { columnNames, nameField, usual } from "./sheet.js";
import { set, state } from "./state.js";

const TOP = 46;
const BOTTOM = 26;
const SIDE = 70;
const LINES = 2000;
const BINS = 64;
const CELLS = BINS * BINS;
const AXES = 12;

export const open = (main, context) => new ParallelPage(main, context);

class ParallelPage extends DrawnPage {
	get names() {
		const start = usual(this.context.schema);
		const axes = state.params.getAll("axis");
		return { axes: axes.length ? axes : start.config.slice(0, 6), metric: state.params.get("color") ?? start.y };
	}

	get wanted() {
		const { axes, metric } = this.names;
		return [...new Set([...axes.filter((name) => name !== metric).slice(0, AXES - 1), metric])];
	}

	loaded() {
		this.axes = this.wanted.map((name) => this.columns.get(name));
	}

	paint() {
		this.width = this.host.clientWidth;
		this.height = Math.max(280, this.host.clientHeight);
		this.base = this.canvases(`Parallel axes: ${this.axes.map((c) => c.name).join(", ")}`, this.width, this.height);
		this.gap = (this.width - 2 * SIDE) / Math.max(1, this.axes.length - 1);
		this.scales = this.axes.map((column) => new Scale(column.values, { ...column, few: true, from: this.height - BOTTOM, to: TOP }));
		this.bins = this.axes.map((column, k) => this.binned(column, this.scales[k]));
		this.ways = this.bins.slice(1).map((bins, k) => waysOf(this.bins[k], bins));
		this.redraw();
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

	select() {
		this.redraw();
		this.draw();
	}

	redraw() {
		const mask = this.mask();
		const { context } = this.base;
		context.clearRect(0, 0, this.width, this.height);
		if (mask.length > LINES) this.density(context, mask);
		else this.lines(context, mask);
		this.drawAxes();
	}

	x(k) {
		return SIDE + k * this.gap;
	}

	shareOf() {
		const last = this.axes.length - 1;
		const scale = this.scales[last];
		return (i) => (this.height - BOTTOM - scale.at(this.axes[last].values[i])) / (this.height - BOTTOM - TOP);
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
				this.axes.forEach((column, k) => {
					const y = this.scales[k].at(column.values[i]);
					context[k ? "lineTo" : "moveTo"](this.x(k), Number.isFinite(y) ? y : missing);
				});
				context.stroke();
			}
		}
	}

	// Many runs: how many go from each 64th of an axis to each 64th of the next; coloured by their mean on the last axis.
	density(context, mask) {
		const size = (this.height - BOTTOM - TOP) / BINS;
		const shades = Array.from({ length: BINS + 1 }, (_, shade) => `rgb(${ramp(1 - shade / BINS)})`);
		for (let k = 0; k + 1 < this.axes.length; k++) {
			const counts = new Uint32Array(CELLS + 1);
			const sums = new Float32Array(CELLS + 1);
			sumUp(this.ways[k], this.bins.at(-1), mask, counts, sums);
			const most = counts.subarray(0, CELLS).reduce((a, b) => Math.max(a, b));
			context.lineWidth = size;
			for (let cell = 0; cell < CELLS; cell++) {
				const count = counts[cell];
				if (!count) continue;
				const strength = Math.sqrt(count / most);
				if (strength < 0.08 && most > 40) continue;
				context.strokeStyle = shades[Math.round(sums[cell] / count)] ?? "gray";
				context.globalAlpha = 0.06 + 0.5 * strength;
				context.beginPath();
				context.moveTo(this.x(k), TOP + (Math.floor(cell / BINS) + 0.5) * size);
				context.lineTo(this.x(k + 1), TOP + ((cell % BINS) + 0.5) * size);
				context.stroke();
			}
		}
		context.globalAlpha = 1;
	}

	drawAxes() {
		const { context } = this.over;
		const { ink } = this;
		context.clearRect(0, 0, this.width, this.height);
		context.textAlign = "center";
		this.axes.forEach((column, k) => {
			const x = this.x(k);
			const scale = this.scales[k];
			context.strokeStyle = ink.quiet;
			context.lineWidth = 1;
			context.beginPath();
			context.moveTo(x, TOP);
			context.lineTo(x, this.height - BOTTOM);
			context.stroke();
			context.font = "600 11px system-ui, sans-serif";
			this.text(column.title + (scale.log ? " (log)" : ""), x, k % 2 ? 30 : 16, ink.front, Math.floor((k % (this.axes.length - 1) ? 1.9 * this.gap : SIDE + this.gap) / 7));
			context.font = "11px system-ui, sans-serif";
			for (const [value, text] of scale.ticks(8)) this.text(text, x, scale.at(value) + 4, ink.front, Math.max(6, Math.floor(this.gap / 8)), this.axes[k + 1] ? 1 : -1);
			if (this.bins[k].includes(-1)) this.text("none", x, this.height - 5, ink.quiet, 8);
			const brush = this.brushes.get(column.name)?.map((value) => scale.at(value));
			if (brush) {
				context.fillStyle = `${ink.accent}55`;
				context.fillRect(x - 8, Math.min(...brush), 16, Math.abs(brush[1] - brush[0]));
			}
		});
	}

	text(text, x, y, color, most, beside = 0) {
		const { context } = this.over;
		const short = format.middle(text, most);
		const half = context.measureText(short).width / 2 + 2;
		x = Math.max(half, Math.min(this.width - half, x + beside * (half + 3))); // a line through a number hides its point
		context.lineWidth = 3;
		context.strokeStyle = this.ink.back;
		context.strokeText(short, x, y);
		context.fillStyle = color;
		context.fillText(short, x, y);
	}

	grip(event) {
		const k = Math.round((event.offsetX - SIDE) / this.gap);
		return this.axes[k] && Math.abs(event.offsetX - this.x(k)) < 23 ? { k, from: event.offsetY } : null;
	}

	move(event) {
		if (!this.drag) return;
		const { k, from } = this.drag;
		this.brush(this.axes[k].name, this.scales[k].value(from), this.scales[k].value(event.offsetY));
		this.select();
	}

	drop({ k, from }, event) {
		if (Math.abs(event.offsetY - from) < 4) this.brushes.delete(this.axes[k].name);
		this.keepBrushes();
	}

	drawBar() {
		const { axes, metric } = this.names;
		const names = columnNames(this.context.schema);
		render(
			html`${axes.map((name) => html`<button class="chip" title="leave this axis out" @click=${() => set({ axis: axes.filter((a) => a !== name) })}>${format.middle(format.label(name), 36)} ×</button>`)}
				${nameField("add an axis", "names-axis", "", names, (value) => value && axes.length < AXES - 1 && set({ axis: [...axes, value] }))}
				${nameField("color and last axis", "names-metric", metric, names, (value) => set({ color: value }))} ${copyButton(() => this.params, "runs")}
				<span class="quiet">drag along an axis to select</span>`,
			this.bar,
		);
	}

	drawInfo() {
		const isMany = (this.found?.header.run_ids.length ?? 0) > LINES;
		render(html`${this.about(isMany ? ": where most of them go is darkest; colour is the mean of the last axis" : "")}`, this.info);
	}
}

// The cell of each run between two axes; one more cell is for runs without a value.
function waysOf(left, right) {
	const ways = new Uint16Array(left.length);
	for (let i = 0; i < ways.length; i++) ways[i] = left[i] < 0 || right[i] < 0 ? CELLS : left[i] * BINS + right[i];
	return ways;
}

// A loop of its own: it runs at each move of a brush over every run and axis, and is compiled when the page is drawn.
function sumUp(ways, last, mask, counts, sums) {
	for (let i = 0; i < ways.length; i++) {
		if (!mask[i]) continue;
		counts[ways[i]] += 1;
		sums[ways[i]] += last[i];
	}
}
