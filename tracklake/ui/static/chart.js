// One chart: the curves of a metric, or bands of groups. It loads when seen, and asks for finer buckets when zoomed.

import { html, render } from "./vendor/lit-html.js";
import { ask, askBlocks } from "./api.js";
import { element } from "./element.js";
import * as format from "./format.js";
import { openDialog } from "./keys.js";
import { inkOf, logTicks, roundEnds } from "./axes.js";
import { range, written } from "./page.js";
import { set } from "./state.js";
import { uplot } from "./uplot.js";

const HEIGHT = 250;
const PLAIN = { spanGaps: true, points: { show: false } };
const FONT = "11px system-ui, sans-serif";

export class Chart {
	// settings: {metric, stream, x, zoomName (its parameter of the address), logX, logY, smooth, by, colorOf(runId, index), sync}
	constructor(host, settings) {
		this.settings = { zoomName: "zoom", x: "step", ...settings };
		this.card = element("section", "card", { "aria-label": `Chart of ${settings.metric}` });
		this.title = element("h3");
		this.place = element("div", "chart-place");
		this.note = element("p", "note");
		this.card.append(this.title, this.place, this.note);
		host.append(this.card);
		this.seen = new IntersectionObserver((entries) => this.sight(entries.at(-1).isIntersecting), { rootMargin: "200px" });
		this.seen.observe(this.card);
		this.resized = new ResizeObserver(() => this.plot?.setSize({ width: this.place.clientWidth, height: HEIGHT }));
		this.resized.observe(this.place);
		this.drawTitle();
	}

	close() {
		this.seen.disconnect();
		this.resized.disconnect();
		this.abort?.abort();
		this.plot?.destroy();
		this.plot = null;
		this.card.remove();
	}

	sight(isSeen) {
		this.isSeen = isSeen;
		if (isSeen && this.pending) this.fetch();
		if (!isSeen && this.plot) {
			this.place.style.height = `${this.place.clientHeight}px`;
			this.plot.destroy();
			this.plot = null;
			this.pending = true;
		}
	}

	load(params, settings) {
		this.params = new URLSearchParams(params);
		if (settings) Object.assign(this.settings, settings);
		this.pending = true;
		if (this.isSeen) this.fetch();
	}

	async fetch() {
		this.pending = false;
		this.shownZoom = String(this.zoom);
		this.abort?.abort();
		this.abort = new AbortController();
		const { metric, x, stream, by } = this.settings;
		const params = new URLSearchParams(this.params);
		params.set("metric", metric);
		params.set("x", x);
		if (stream) params.set("stream", stream);
		try {
			if (by?.length) {
				for (const column of by) params.append("by", column);
				this.bands = await ask("bands", params, { signal: this.abort.signal });
				this.found = null;
				await this.drawBands();
			} else {
				if (this.zoom) {
					params.set("low", this.zoom[0]);
					params.set("high", this.zoom[1]);
				}
				params.set("buckets", Math.max(100, Math.min(1000, Math.round(this.place.clientWidth))));
				this.found = await askBlocks("curves", params, { signal: this.abort.signal });
				this.bands = null;
				await this.drawLines();
			}
			this.error = "";
		} catch (error) {
			if (error.name === "AbortError") return;
			this.error = error.message;
			this.plot?.destroy();
			this.plot = null;
		}
		this.drawTitle();
		this.drawNote();
	}

	drawTitle() {
		render(
			html`<span class="clip" title=${this.settings.metric}>${this.settings.metric}</span>
				<span><button class="plain" title="The numbers of this chart" aria-label=${`table of ${this.settings.metric}`} @click=${() => this.table()}>▦</button>
				${this.zoom ? html`<button class="plain" title="Show all (double click)" @click=${() => this.zoomTo(null)}>⤢ all</button>` : ""}</span>`,
			this.title,
		);
	}

	drawNote() {
		if (this.error) return render(html`<span class="bad">${this.error}</span>`, this.note);
		const words = [];
		if (this.found) {
			const { header } = this.found;
			const [points, odd, infinite] = [header.points, header.n_nan, header.n_inf].map((counts) => counts.reduce((a, b) => a + b, 0));
			words.push(header.exact ? `every point (${points.toLocaleString("en")})` : `smallest and largest of ${header.buckets} buckets (${points.toLocaleString("en")} points); zoom in for more`);
			if (header.n_runs > header.n_read) words.push(`the first ${header.n_read} of ${header.n_runs.toLocaleString("en")} runs; group them to see all`);
			if (header.n_read > header.runs.length) words.push(`${header.n_read - header.runs.length} without this metric`);
			if (odd) words.push(`× ${odd} NaN`);
			if (infinite) words.push(`× ${infinite} infinite`);
			if (this.settings.smooth) words.push(`smoothed (${this.settings.smooth}) over the raw curve`);
		} else if (this.bands) words.push("line: median, band: middle half of the runs; hover for n");
		if (this.settings.logY) words.push("log y");
		if (this.settings.logX) words.push("log x");
		render(html`<span>${words.join(" · ")}</span><span class="hover"></span>`, this.note);
	}

	// The part of x that is shown lies in the address.
	get zoom() {
		return range(this.settings.zoomName);
	}

	zoomTo(ends) {
		this.plot?.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
		set({ [this.settings.zoomName]: ends && written(ends.map((value) => Number(value.toPrecision(8)))) });
	}

	// What is there is stretched at once; finer buckets follow.
	rezoom() {
		const all = this.found?.header.range;
		if (this.shownZoom === String(this.zoom)) return;
		const [min, max] = this.zoom ?? all ?? [];
		if (max > min) this.plot?.setScale("x", { min, max });
		this.drawTitle();
		this.pending = true;
		if (this.isSeen) this.fetch();
	}

	axisLabel() {
		return { relative: "seconds since the start", time: "time", step: "step" }[this.settings.x] ?? this.settings.x;
	}

	options(series, extra = {}) {
		const { logX, logY, x } = this.settings;
		const { line, quiet } = inkOf();
		const axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: FONT };
		const short = (_, values) => values.map(format.number);
		const ends = (u, _, low, high) => [...new Set([...logTicks(low, high, 7), ...(low === u.scales.x.min ? [low, high] : [])])].sort((a, b) => a - b);
		return {
			width: this.place.clientWidth || 400,
			height: HEIGHT,
			series,
			legend: { show: false },
			scales: {
				x: { time: x === "time", distr: logX ? 3 : 1, range: (_, low, high) => this.zoom ?? (logX && low > 0 ? [low, high] : low === null ? [0, 1] : low === high ? [low - 1, high + 1] : [low, high]) },
				y: { distr: logY ? 3 : 1, range: (_, low, high) => (logY ? (low > 0 ? roundEnds(low, high) : [0.1, 1]) : padded(low, high)) },
			},
			axes: [
				{ ...axis, ...(x === "time" ? {} : { values: short }), ...(logX ? { splits: ends } : {}), label: this.axisLabel(), labelSize: 16, labelFont: FONT, size: 34 },
				{ ...axis, values: short, size: 58, ...(logY ? { splits: ends } : {}) },
			],
			cursor: {
				points: { one: true, size: 6 },
				drag: { x: true, y: false, setScale: false },
				sync: this.settings.sync ? { key: this.settings.sync, setSeries: false } : undefined,
				focus: { prox: 24 },
			},
			focus: { alpha: 0.35 },
			hooks: {
				setSelect: [(u) => u.select.width > 4 && this.zoomTo([u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")])],
				setCursor: [(u) => this.hover(u)],
				setSeries: [(u, index) => this.hover(u, index)],
				draw: [(u) => this.marks(u)],
				ready: [(u) => u.over.addEventListener("dblclick", () => this.zoom && this.zoomTo(null))],
			},
			...extra,
		};
	}

	async drawLines() {
		const Plot = await uplot();
		const { header, arrays } = this.found;
		const [x, ...ys] = arrays;
		const { logX, logY, smooth, colorOf } = this.settings;
		const keep = (value, log) => (Number.isFinite(value) && (!log || value > 0) ? value : null);
		const data = [Array.from(x, (value) => keep(value, logX) ?? NaN)];
		const series = [{}];
		ys.forEach((y, i) => {
			const { color, dash: wanted } = colorOf?.(header.runs[i], i) ?? { color: format.color(i), dash: format.dash(i) };
			const dash = header.exact || ys.length <= 14 ? wanted : []; // dashes of dense curves cannot be read, and cost most of the time
			const width = ys.length > 20 ? 1 : 1.4;
			const raw = Array.from(y, (value) => keep(value, logY));
			const same = { ...PLAIN, label: header.names[i], run: header.runs[i], dash };
			const few = () => !smooth && ys.length <= 10 && this.found.header.exact && this.found.header.points[i] <= 60;
			data.push(raw);
			series.push({ ...same, stroke: smooth ? `${color}55` : color, width: smooth ? 1 : width, points: { show: few, size: 4, fill: color, width: 0 } });
			if (smooth) {
				data.push(smoothed(raw, smooth));
				series.push({ ...same, stroke: color, width: 1.8 });
			}
		});
		if (logX) {
			const from = data[0].findIndex((value) => !Number.isNaN(value));
			data.forEach((column, i) => (data[i] = from < 0 ? [] : column.slice(from)));
		}
		this.put(Plot, this.options(series), data);
	}

	async drawBands() {
		const Plot = await uplot();
		const { groups, labels } = this.bands;
		const xs = [...new Set(groups.flatMap((group) => group.x))].sort((a, b) => a - b);
		const at = new Map(xs.map((value, i) => [value, i]));
		const data = [xs];
		const series = [{}];
		const bands = [];
		const spread = (values, group) => {
			const filled = new Array(xs.length).fill(null);
			group.x.forEach((value, i) => (filled[at.get(value)] = values[i]));
			return filled;
		};
		groups.forEach((group, i) => {
			const { labels: all = [], colors } = this.settings.labels ?? {};
			const place = Math.max(0, all.indexOf(labels[i]));
			const color = format.color(place, colors);
			const first = data.length;
			data.push(spread(group.high, group), spread(group.low, group), spread(group.median, group));
			const edge = { ...PLAIN, stroke: `${color}66`, width: 0.7, group: i };
			series.push({ ...edge, label: `${labels[i]} high` }, { ...edge, label: `${labels[i]} low` });
			series.push({ ...PLAIN, label: labels[i], stroke: color, width: 2, dash: format.dash(place), group: i });
			bands.push({ series: [first, first + 1], fill: `${color}26` });
		});
		this.put(Plot, this.options(series, { bands }), data);
	}

	// The plot that is there takes new data, as long as its curves are the same.
	put(Plot, options, data) {
		const { logX, logY, x, smooth } = this.settings;
		const key = JSON.stringify([options.series.map((s) => [s.label, s.run, s.stroke]), logX, logY, x, smooth, options.width]);
		this.data = data;
		if (this.plot && key === this.key) return this.plot.setData(data);
		this.key = key;
		this.place.style.height = "";
		this.plot?.destroy();
		this.plot = new Plot(options, data, this.place);
	}

	// Values that are not finite have no height: a cross at the foot, in the colour of their curve.
	marks(u) {
		if (!this.found) return;
		const { header } = this.found;
		const size = 3.5 * devicePixelRatio;
		const foot = u.bbox.top + u.bbox.height - size - 2;
		u.ctx.save();
		u.ctx.lineWidth = 1.4 * devicePixelRatio;
		u.ctx.setLineDash([]);
		header.odd_at.forEach((places, i) => {
			u.ctx.strokeStyle = this.settings.colorOf?.(header.runs[i], i).color ?? format.color(i);
			u.ctx.beginPath();
			for (const x of places) {
				const at = u.valToPos(x, "x", true);
				if (!(at >= u.bbox.left && at <= u.bbox.left + u.bbox.width)) continue;
				u.ctx.moveTo(at - size, foot - size);
				u.ctx.lineTo(at + size, foot + size);
				u.ctx.moveTo(at - size, foot + size);
				u.ctx.lineTo(at + size, foot - size);
			}
			u.ctx.stroke();
		});
		u.ctx.restore();
	}

	hover(u, focused) {
		const out = this.note.querySelector(".hover");
		if (!out) return;
		if (focused !== undefined && focused !== null) this.focused = focused;
		const at = u.cursor.idx;
		if (at === null || at === undefined || u.cursor.left < 0) return (out.textContent = "");
		const index = this.focused ?? 1;
		const series = u.series[index];
		if (!series) return;
		const near = nearest(u.data[index], at);
		const x = this.settings.x === "time" ? format.time(u.data[0][near] * 1000) : format.number(u.data[0][near]);
		let words = ` · ${series.label}: ${format.number(u.data[index][near])} at ${x}`;
		if (series.group !== undefined) {
			const group = this.bands.groups[series.group];
			words += `, n = ${group.n[group.x.indexOf(u.data[0][near])] ?? "?"}`;
		}
		out.textContent = words;
	}

	table() {
		if (!this.data) return;
		const names = this.plot?.series.slice(1).map((s) => s.label) ?? [];
		const rows = this.data[0].slice(0, 1000);
		openDialog(`${this.settings.metric}: the numbers drawn`, () => html`<div class="scroll bare tall"><table class="sheet">
			<thead><tr><th>${this.axisLabel()}</th>${names.slice(0, 20).map((name) => html`<th class="number">${name}</th>`)}</tr></thead>
			<tbody>${rows.map((x, i) => html`<tr><td>${format.number(x)}</td>${names.slice(0, 20).map((_, k) => html`<td class="number">${format.number(this.data[k + 1][i])}</td>`)}</tr>`)}</tbody></table></div>
			${names.length > 20 || this.data[0].length > 1000 ? html`<p class="quiet">The first 1,000 rows and 20 curves; all of it: lake.history("${this.settings.metric}")</p>` : ""}`);
	}
}

function padded(low, high) {
	if (low === null || low === undefined) return [0, 1];
	const room = (high - low || Math.abs(high) || 1) * 0.05;
	const isShare = low >= 0 && high <= 1 && high > 0.5;
	return [low >= 0 && low - room < 0 ? 0 : low - room, isShare ? Math.min(1, high + room) : high + room];
}

function nearest(values, at) {
	for (let distance = 0; distance < 50; distance++) {
		if (values[at - distance] !== null && values[at - distance] !== undefined) return at - distance;
		if (values[at + distance] !== null && values[at + distance] !== undefined) return at + distance;
	}
	return at;
}

// Exponential moving average, debiased; what is missing stays missing.
function smoothed(values, weight) {
	let average = 0;
	let seen = 0;
	return values.map((value) => {
		if (value === null) return null;
		average = average * weight + (1 - weight) * value;
		seen += 1;
		return average / (1 - weight ** seen);
	});
}
