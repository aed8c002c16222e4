// Pages that draw all chosen runs on a canvas: brushes are the table's filter, in the address, shown as SQL.

import { html } from "./vendor/lit-html.js";
import { askBlocks } from "./api.js";
import { canvasOf, conditionOf, inkOf, rounded } from "./axes.js";
import * as format from "./format.js";
import { both, filterChip, Page, range, written } from "./page.js";
import { address, chosen, set, state } from "./state.js";

const PREFIX = "brush.";

export class DrawnPage extends Page {
	constructor(main, context) {
		super(main, context, { label: "What is drawn", about: "message", host: "fill canvas-host" });
		this.brushes = new Map(); // column -> [low, high], in its values
		this.resizing = new ResizeObserver(() => this.resize());
		this.resizing.observe(this.host);
	}

	resize() {
		const size = `${this.host.clientWidth}x${this.host.clientHeight}`;
		if (!this.found || this.drag || size === this.size) return;
		this.paint();
		this.select();
	}

	close() {
		this.resizing.disconnect();
		this.abort?.abort();
	}

	changed() {
		this.key = null;
		this.load();
	}

	// What the numbers depend on: everything in the address but the brushes.
	get params() {
		const params = chosen();
		for (const name of this.wanted) params.append("col", name);
		return params;
	}

	async load() {
		if (!this.context.schema) return;
		const key = JSON.stringify([this.params.toString(), ["logx", "logy", "color"].map((name) => state.params.get(name))]);
		this.readBrushes();
		if (key === this.key) return this.found && this.select();
		this.key = key;
		this.abort?.abort();
		const { signal } = (this.abort = new AbortController());
		try {
			const found = await askBlocks("values", this.params, { signal });
			const columns = new Map(found.header.columns.map((column, i) => [column.name, { ...column, title: format.label(column.name) + column.statistic, values: found.arrays[i] }]));
			const labels = await this.askLabels?.(columns, signal);
			Object.assign(this, { found, columns, labels, error: "" });
			this.loaded();
			this.paint();
			this.select();
		} catch (error) {
			if (error.name === "AbortError") return;
			this.error = error.message;
			this.found = this.key = null;
			this.host.replaceChildren();
		}
		this.draw();
	}

	readBrushes() {
		this.brushes.clear();
		for (const name of this.wanted) {
			const found = range(PREFIX + name);
			if (found) this.brushes.set(name, found);
		}
	}

	brush(name, low, high) {
		this.brushes.set(name, [low, high].sort((a, b) => a - b).map((value) => rounded(value, this.columns.get(name))));
	}

	keepBrushes() {
		const old = [...state.params.keys()].filter((name) => name.startsWith(PREFIX)).map((name) => [name, null]);
		const now = [...this.brushes].map(([name, ends]) => [PREFIX + name, written(ends)]);
		set(Object.fromEntries([...old, ...now]));
		this.resize();
	}

	// Which runs are inside of all brushes.
	mask() {
		const mask = new Uint8Array(this.found.header.run_ids.length).fill(1);
		this.inside = mask.length;
		for (const [name, [low, high]] of this.brushes) {
			const values = this.columns.get(name)?.values ?? [];
			for (let i = 0; i < mask.length; i++) {
				if (!mask[i] || (values[i] >= low && values[i] <= high)) continue;
				mask[i] = 0;
				this.inside -= 1;
			}
		}
		return mask;
	}

	// Two canvases: what is drawn, and over it what moves with the pointer.
	canvases(label, width, height) {
		this.size = `${this.host.clientWidth}x${this.host.clientHeight}`;
		this.ink = inkOf();
		this.host.replaceChildren();
		const base = canvasOf(this.host, width, height, { role: "img", "aria-label": label });
		this.over = canvasOf(this.host, width, height);
		this.over.canvas.classList.add("over");
		for (const act of ["down", "move", "up", "cancel"]) this.over.canvas.addEventListener(`pointer${act}`, (event) => this[act](event));
		return base;
	}

	// While something is dragged the line above does not grow: the canvas stays under the pointer.
	down(event) {
		this.drag = this.grip(event);
		if (!this.drag) return;
		this.info.style.height = `${this.info.offsetHeight}px`;
		this.over.canvas.setPointerCapture(event.pointerId);
	}

	up(event) {
		const { drag } = this;
		if (!drag) return;
		this.cancel();
		this.drop(drag, event);
	}

	cancel() {
		this.drag = null;
		this.info.style.height = "";
	}

	// While something is dragged only what is selected changes: offered names are many.
	draw() {
		if (!this.drag) this.drawBar();
		this.drawInfo();
	}

	get condition() {
		return [...this.brushes].filter(([name]) => this.columns.has(name)).map(([name, ends]) => conditionOf(this.columns.get(name), ends)).join(" AND ");
	}

	// What the line above says: what is selected, or what is there.
	about(what) {
		if (this.error) return html`<span class="bad">${this.error}</span>`;
		if (!this.found) return "";
		const n = this.found.header.run_ids.length;
		if (!this.brushes.size) return html`<span>${format.count(n, "run")}${what}</span> ${filterChip()}`;
		const all = both(this.condition);
		const gone = Object.fromEntries([...this.brushes.keys()].map((name) => [PREFIX + name, null]));
		return html`<span class="strong">${format.count(this.inside ?? 0, "run")} of ${n.toLocaleString("en")} selected:</span> <code class="mono">${this.condition}</code>
			<button @click=${() => set({ ...gone, where: all })}>Keep only these</button>
			<a class="button" data-page href=${address("/runs", { where: all })}>Show in the table</a>
			<button class="plain" @click=${() => set(gone)}>clear</button>`;
	}
}
