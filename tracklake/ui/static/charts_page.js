// Charts: the curves of the chosen runs, a card a metric, in sections by the first part of the name.

import { html, render } from "./vendor/lit-html.js";
import { ask } from "./api.js";
import { Chart } from "./chart.js";
import { bothEnds, element } from "./element.js";
import * as format from "./format.js";
import { copyButton } from "./code_dialog.js";
import { choice, flag, Page } from "./page.js";
import { groupable } from "./sheet.js";
import { address, chosen, runAddress, set, SHARED, state } from "./state.js";

const CARDS = 200;
const LINES = 50;

export const open = (main, context) => new ChartsPage(main, context, { label: "What is drawn", about: "legend", host: "charts" });

class ChartsPage extends Page {
	charts = new Map();
	runs = { run_ids: [], names: [], total: 0 };

	close() {
		for (const chart of this.charts.values()) chart.close();
	}

	changed() {
		this.load(true);
	}

	// A zoom alone changes no curve: charts take it by themselves.
	update() {
		const all = new URLSearchParams(state.params);
		all.delete("zoom");
		const key = `${all}|${this.context.schema?.curves.length}`;
		if (key === this.address) for (const chart of this.charts.values()) chart.rezoom();
		else this.load(false);
		this.address = key;
	}

	async load(live) {
		const p = state.params;
		try {
			const params = chosen([...SHARED, "order"]);
			params.set("col", "name");
			params.set("limit", LINES);
			this.runs = await ask("runs", params);
			this.labels = p.getAll("by").length ? await ask("labels", { by: p.getAll("by") }) : null;
			this.error = "";
		} catch (error) {
			this.error = error.message;
			return this.draw();
		}
		this.draw();
		this.drawCharts(live);
	}

	get metrics() {
		const all = this.context.schema?.curves ?? [];
		const text = state.params.get("metric");
		if (!text) return all;
		try {
			const pattern = new RegExp(text, "i");
			this.patternError = "";
			return all.filter((name) => pattern.test(name));
		} catch (error) {
			this.patternError = error.message;
			return [];
		}
	}

	drawCharts(live) {
		const p = state.params;
		const metrics = this.metrics.slice(0, CARDS);
		const places = new Map(this.runs.run_ids.map((id, i) => [id, i]));
		const settings = {
			x: p.get("x") ?? "step",
			logX: p.has("logx"),
			logY: p.has("logy"),
			smooth: Number(p.get("smooth") ?? 0),
			by: p.getAll("by"),
			labels: this.labels,
			sync: "charts",
			colorOf: (id, i) => ({ color: format.color(places.get(id) ?? i), dash: format.dash(places.get(id) ?? i) }),
		};
		const params = chosen([...SHARED, "order"]);
		if (!settings.by.length && this.runs.total > LINES) for (const id of this.runs.run_ids) params.append("run", id);
		const key = JSON.stringify([metrics, settings, params.toString()]);
		if (key === this.chartKey && !live) return;
		this.chartKey = key;
		const first = (metric) => /^(.+?)[/.]/.exec(metric)?.[1] ?? "";
		const all = Map.groupBy(metrics, first);
		const sections = Map.groupBy(metrics, (metric) => (all.get(first(metric)).length > 1 ? first(metric) : "")); // one card alone is no section
		const layout = JSON.stringify([...sections]);
		if (layout !== this.layout) {
			this.layout = layout;
			this.close();
			this.charts.clear();
			this.host.replaceChildren();
			for (const [section, names] of [...sections].sort(([a], [b]) => (!a - !b || (a < b ? -1 : 1)))) {
				if (sections.size > 1) this.host.append(element("h2", "section-title", {}, section || "other"));
				const cards = element("div", "cards");
				this.host.append(cards);
				for (const metric of names) this.charts.set(metric, new Chart(cards, { metric, ...settings }));
			}
		}
		for (const chart of this.charts.values()) chart.load(params, settings);
	}

	draw() {
		const p = state.params;
		const schema = this.context.schema ?? { columns: [], metrics: [] };
		const columns = groupable(schema);
		const xs = ["step", "relative", "time", ...schema.metrics.slice(0, 500)];
		const by = p.getAll("by");
		render(
			html`<input data-search type="search" aria-label="Metrics" placeholder="metrics: a part or a regex  ( / )" .value=${p.get("metric") ?? ""} @change=${(e) => set({ metric: e.target.value })} />
				${choice("x", "x", xs, { words: { relative: "relative time", time: "wall time" } })}
				${choice("group by", "by", ["", ...columns], { words: { "": "nothing: a line a run", ...Object.fromEntries(columns.map((name) => [name, format.label(name)])) } })}
				${flag("log x", "logx")} ${flag("log y", "logy")}
				${by.length ? "" : choice("smooth", "smooth", ["", "0.5", "0.8", "0.9", "0.95", "0.99"], { words: { "": "no" } })}
				${copyButton(() => this.points, "curves", "points (of the first chart)")}
				<span class="quiet">drag to zoom, double click for all</span>`,
			this.bar,
		);
		const total = this.runs.total;
		render(
			this.error
				? html`<span class="bad">${this.error}</span>`
				: html`<span class="quiet">${format.count(total, "run")}${!by.length && total > LINES ? `, the first ${LINES} drawn` : ""}: <a data-page href=${address("/runs")}>choose runs</a>${this.patternError ? html` <span class="bad">${this.patternError}</span>` : ""}</span>
						${by.length ? this.labels?.labels.slice(0, 40).map((label, i) => html`<span class="item">${line(i, this.labels.colors)}${label}</span>`) : this.runs.run_ids.map((id, i) => html`<span class="item">${line(i)}<a data-page class="both-ends" title=${this.runs.names[i] ?? id} href=${runAddress(id)}>${ends(this.runs.names[i] ?? id)}</a></span>`)}`,
			this.info,
		);
	}

	get points() {
		const params = chosen([...SHARED, "order", "x", "by"]);
		params.set("metric", this.metrics[0] ?? "");
		return params;
	}
}

function ends(name) {
	const [start, end] = bothEnds(name);
	return html`<span class="clip">${start}</span>${end}`;
}

const line = (i, colors) => html`<svg viewBox="0 0 22 8" aria-hidden="true"><line x1="0" y1="4" x2="22" y2="4" stroke=${format.color(i, colors)} stroke-width="2.5" stroke-dasharray=${format.dash(i).join(" ")} /></svg>`;
