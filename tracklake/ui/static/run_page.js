// One run: what it is, its summary with where each number comes from, config, metrics, curves, edits.

import { html, render } from "./vendor/lit-html.js";
import { ask, change, query } from "./api.js";
import { Chart } from "./chart.js";
import { defineMetric } from "./edit_dialog.js";
import { build, element } from "./element.js";
import { openForm } from "./keys.js";
import * as format from "./format.js";
import { Page } from "./page.js";
import { frame } from "./sheet.js";
import { address, runAddress, set, state } from "./state.js";

const CARDS = 12;
const SHOWN = 400;

export const open = (main, context) => new RunPage(main, context);

class RunPage extends Page {
	constructor(main, context) {
		super(main, context);
		const part = (className) => main.appendChild(element("div", className));
		this.cards = part("cards");
		this.foot = part("pad");
		this.charts = [];
	}

	close() {
		for (const chart of this.charts) chart.close();
	}

	get id() {
		return state.parts[1];
	}

	update() {
		const key = `${this.id}|${state.params.get("diff")}`;
		if (key === this.address && this.run) {
			for (const chart of this.charts) chart.rezoom();
			this.draw();
		} else this.load();
		this.address = key;
	}

	async load() {
		try {
			this.run = await ask("run", { id: this.id, diff: state.params.get("diff") });
			this.draw();
			this.drawCharts();
			this.quality = await ask("quality", { id: this.id });
			this.draw();
		} catch (error) {
			this.context.problem(error);
		}
	}

	async store(body) {
		await change("edit", { runs: [this.id], ...body });
		this.context.problem(null);
		await this.context.refresh();
	}

	edit(body) {
		this.store(body).catch((error) => this.context.problem(error));
	}

	draw() {
		const { facts, notes } = this.run;
		const editable = !this.context.readOnly;
		render(
			html`<h1><span class=${`dot state-${facts.state}`} title=${facts.state}></span> ${facts.name}
					${editable ? html`<button class="plain" title="rename" aria-label="Rename" @click=${() => this.editField("name", facts.name)}>✎</button>` : ""}</h1>
				<p class="quiet">${facts.name === this.run.id ? "" : html`${this.run.id} · `}${facts.state} · <a data-page href=${address("/runs", { project: facts.project, run: null })}>${facts.project}</a>
					· ${format.time(facts.created_at)} (${format.ago(facts.created_at)}) · ran ${format.duration(facts.runtime)}
					${facts.job_type ? html` · ${facts.job_type}` : ""}
					${this.run.parent ? html` · forked from <a data-page href=${runAddress(this.run.parent[0])}>${this.run.parent[0]}</a> at step ${this.run.parent[1]}` : ""}</p>
				<p>group: ${facts.group ?? html`<span class="quiet">none</span>`}
					${editable ? html`<button class="plain" title="set the group" aria-label="Set the group" @click=${() => this.editField("group", facts.group ?? "")}>✎</button>` : ""}
					&ensp;tags: ${(facts.tags ?? []).map((tag) => html`<span class="tag">${tag}${editable ? html` <button class="plain" aria-label=${`remove tag ${tag}`} @click=${() => this.edit({ remove_tags: [tag] })}>×</button>` : ""}</span>`)}
					${editable ? html`<input class="tag-input" aria-label="Add a tag" placeholder="add a tag" size="10" @change=${(e) => { if (e.target.value.trim()) this.edit({ add_tags: [e.target.value.trim()] }); e.target.value = ""; }} />` : ""}
					${editable ? (facts.tags ?? []).includes("archived") ? "" : html`<button title="tables leave an archived run out; nothing is deleted" @click=${() => this.edit({ add_tags: ["archived"] })}>Archive</button>` : ""}
					<a data-page class="button" href=${address("/charts", { run: [this.id], where: null, q: null })}>All charts</a>
					<button @click=${() => this.askDiff()}>Compare with…</button></p>
				<section aria-label="Notes">
					${notes.length ? html`<div class="notes">${build(notes)}</div>` : ""}
					${editable ? html`<button class="link" @click=${() => this.editField("notes", facts.notes ?? "", true)}>${notes.length ? "edit the notes" : "write notes (Markdown)"}</button>` : ""}
				</section>
				${this.run.diff ? this.diff() : ""}
				<div class="columns2">
					<div>${this.summary(editable)}</div>
					<div>${this.pairs("Config", this.run.config, "config.")}</div>
				</div>
				${this.media()}
				${this.metrics()}
				${this.run.n_metrics ? html`<h2>Curves</h2>` : ""}`,
			this.host,
		);
		render(
			html`<div class="columns2">
					<div>${this.pairs("Surroundings", this.run.metadata)}</div>
					<div>${this.files()}${this.edits()}</div>
				</div>`,
			this.foot,
		);
	}

	editField(name, old, long = false) {
		const field = long ? html`<textarea name="value" rows="10" aria-label=${name} autofocus .value=${old}></textarea>` : html`<input name="value" aria-label=${name} autofocus .value=${old} />`;
		openForm(`${name} of ${this.run.facts.name}`, html`${field}<p><button>Save</button></p>`, ({ value }) => this.store({ fields: { [name]: value } }));
	}

	askDiff() {
		openForm("Compare with another run", html`<label>id of the other run <input name="other" autofocus /></label> <button>Compare</button>`, ({ other }) => set({ diff: other.trim() }));
	}

	summary(editable) {
		const setValue = (key, old) => {
			const content = html`${key ? "" : html`<p><label>key <input name="key" required autofocus /></label></p>`}
				<p><label>value <input name="value" .value=${old} /></label> <button>Save</button></p>
				<p class="quiet">A number, true, false, JSON, or text. It counts as set by hand now; the history stays as it is.</p>`;
			openForm(`Summary value ${key}`, content, (values) => this.store({ summary: { [key || values.key.trim()]: typed(values.value) } }));
		};
		const entries = this.run.summary.filter((entry) => !this.run.media.some((one) => one.key === entry.key)); // shown as media
		const more = entries.splice(SHOWN).length;
		return html`<h2>Summary ${editable ? html`<button class="link" @click=${() => setValue("", "")}>add a value</button>` : ""}</h2>
			${entries.length === 0 ? html`<p class="quiet">nothing yet</p>` : ""}
			<table class="sheet summary">${entries.map(
				(entry) => html`<tr>
					<td class="key" title=${entry.key}>${entry.key}</td>
					<td class=${typeof entry.value === "number" || /^(NaN|-?inf)$/.test(entry.value) ? "number strong" : "words strong"}>${this.value(entry.value, entry.key)}</td>
					<td class="quiet">${entry.origin}${entry.time ? html`, ${format.time(entry.time)}` : ""}</td>
					<td>${editable ? html`<button class="plain" aria-label=${`set ${entry.key} by hand`} title="set by hand" @click=${() => setValue(entry.key, typeof entry.value === "string" ? entry.value : JSON.stringify(entry.value))}>✎</button>` : ""}</td>
				</tr>`,
			)}</table>${this.more(more)}`;
	}

	more(n) {
		return n ? html`<p class="quiet">and ${n} more: tracklake show ${this.run.id} lists them</p>` : "";
	}

	value(value, key) {
		if (value && typeof value === "object" && value._type === "numpy.ndarray") {
			return html`<a href=${query("array", { id: this.id, key })}>array ${(value.shape ?? []).join("×")} (.npy)</a>`;
		}
		return format.value(value);
	}

	pairs(title, pairs, prefix = "") {
		return html`<h2>${title}</h2>
			${pairs.length ? "" : html`<p class="quiet">none</p>`}
			<table class="sheet">${pairs.slice(0, SHOWN).map(([key, value]) => html`<tr>
					<td class="key" title=${prefix + key}>${key.replace(/[^.]*$/, "")}<span class="leaf">${key.replace(/.*\./, "")}</span></td><td class="text">${format.value(value)}</td></tr>`)}</table>
			${this.more(pairs.slice(SHOWN).length)}`;
	}

	metrics() {
		const columns = Object.fromEntries(this.run.metrics.map((column) => [column.name, column.values]));
		const names = columns.metric ?? [];
		if (!names.length) return "";
		const flags = this.quality ?? { metrics: [], flags: [] };
		const at = (value, step) => (value === null || value === undefined ? "" : html`${format.number(value)} <span class="quiet">@ ${format.number(step)}</span>`);
		return html`<h2>Metrics <span class="quiet">${format.count(this.run.n_metrics, "metric")}</span></h2>
			<div class="scroll bare"><table class="sheet">
				<thead><tr><th>metric</th><th class="number">last</th><th class="number">min @ step</th><th class="number">max @ step</th><th class="number">mean</th><th class="number">points</th><th>quality</th><th></th></tr></thead>
				<tbody>${names.slice(0, 300).map((name, i) => html`<tr>
					<td class="key" title=${name}>${name}</td>
					<td class="number strong">${format.number(columns.last[i])}</td>
					<td class="number">${at(columns.min[i], columns.argmin[i])}</td>
					<td class="number">${at(columns.max[i], columns.argmax[i])}</td>
					<td class="number">${format.number(columns.mean[i])}</td>
					<td class="number">${format.number(columns.count[i])}</td>
					<td>${judged(flags, name, columns.n_nan[i], columns.n_inf[i])}</td>
					<td>${this.context.readOnly ? "" : html`<button class="plain" title="how summaries of all runs show this metric" aria-label=${`define ${name}`} @click=${() => defineMetric(name, this.context)}>✎</button>`}</td>
				</tr>`)}</tbody></table></div>`;
	}

	// Media: pictures, sound, films, tables and charts as they were logged last, or at the step of the address.
	media() {
		if (!this.run.media.length) return "";
		return html`<h2>Media</h2><div class="cards">${this.run.media.map((one) => html`<section class="card"><h3><span class="clip" title=${one.key}>${one.key}</span>${this.stepOf(one)}</h3>
			${Array.from({ length: Math.min(one.items, 16) }, (_, item) => this.medium(one, item))}
			<p class="note">${one.caption}${one.items > 16 ? ` the first 16 of ${one.items}` : ""} ${one.type === "histogram" ? "" : html`<a href=${this.mediumAddress(one, 0, "file")} download>file</a>`}</p></section>`)}</div>`;
	}

	stepOf({ key, steps }) {
		const name = `step.${key}`;
		if (steps.length < 2) return "";
		const at = Math.max(0, steps.indexOf(Number(state.params.get(name) ?? steps.at(-1))));
		return html`<label class="quiet">step ${steps[at]} <input type="range" aria-label=${`step of ${key}`} min="0" max=${steps.length - 1} .value=${String(at)}
			@change=${(e) => set({ [name]: Number(e.target.value) === steps.length - 1 ? null : steps[e.target.value] })} /></label>`;
	}

	mediumAddress({ key }, item, form) {
		return query("media", { id: this.id, key, item, form, step: state.params.get(`step.${key}`) });
	}

	medium(one, item) {
		const at = this.mediumAddress(one, item);
		if (one.type === "audio-file") return html`<audio controls preload="none" src=${at} aria-label=${one.key}></audio>`;
		if (one.type === "video-file") return html`<video controls preload="none" src=${at} aria-label=${one.key}></video>`;
		if (one.type === "html-file") return html`<iframe sandbox title=${one.key} src=${at} loading="lazy"></iframe>`;
		if (one.type === "table-file") return this.table(at);
		return /^(image|custom|histo)/.test(one.type) ? html`<img class=${one.type === "image-file" ? "picture" : "picture drawn"} loading="lazy" alt=${one.key} src=${at} @error=${(e) => e.target.replaceWith(`${one.type}: not drawn`)} />` : "";
	}

	files() {
		if (!this.run.files.length) return "";
		const of = (name, form) => query("file", { id: this.id, name, form });
		const isPicture = (name) => /\.(png|jpe?g|gif|webp)$/i.test(name);
		return html`<h2>Files</h2><ul class="plain">${this.run.files.slice(0, 300).map((name) => html`<li><a href=${of(name)} download>${name}</a></li>`)}</ul>
			<div class="pictures">${this.run.files.filter(isPicture).slice(0, 12).map((name) => html`<img class="picture" loading="lazy" alt=${name} title=${name} src=${of(name, "image")} />`)}</div>`;
	}

	edits() {
		if (!this.run.edits.length) return "";
		return html`<h2>Edits by hand</h2><table class="sheet">${this.run.edits.slice(0, 50).map((edit) => html`<tr>
				<td class="quiet">${format.time(edit.time)}</td><td>${`host ${edit.host.slice(0, 8)}`}</td><td>${edit.op} ${edit.key}</td><td>${format.value(edit.value)}</td></tr>`)}</table>`;
	}

	diff() {
		const that = state.params.get("diff");
		return html`<h2>Compared with <a data-page href=${runAddress(that)}>${that}</a> <button class="link" @click=${() => set({ diff: null })}>close</button></h2>
			${this.run.diff.length ? "" : html`<p class="quiet">no value differs</p>`}
			<table class="sheet"><thead><tr><th></th><th>this run</th><th>${that}</th><th class="number">difference</th></tr></thead>
			<tbody>${this.run.diff.map((row) => html`<tr><td class="key">${row.kind}.${row.key}</td><td>${format.value(row.this)}</td><td>${format.value(row.that)}</td>
				<td class="number quiet">${typeof row.this === "number" && typeof row.that === "number" ? format.signed(row.this - row.that) : ""}</td></tr>`)}</tbody></table>`;
	}

	// Tables are read once an address.
	table(at) {
		this.tables ??= new Map();
		if (!this.tables.has(at)) {
			this.tables.set(at, null);
			const keep = (found) => (this.tables.set(at, found), this.draw());
			fetch(at).then((reply) => reply.json()).then(keep, (error) => this.context.problem(error));
		}
		const found = this.tables.get(at);
		return found?.columns ? html`${frame(found.columns)}<p class="quiet">${format.count(found.rows, "row")}</p>` : html`<p class="quiet">${found?.error ?? "…"}</p>`;
	}

	drawCharts() {
		const names = (this.run.metrics.find((column) => column.name === "metric")?.values ?? []).slice(0, CARDS);
		const wanted = [...names.map((metric) => ({ metric })), ...this.run.system.map((metric) => ({ metric, stream: "system", x: "relative", zoomName: "zoom.system" }))];
		const key = JSON.stringify(wanted);
		if (key !== this.chartKey) {
			this.chartKey = key;
			for (const chart of this.charts) chart.close();
			this.cards.replaceChildren();
			this.charts = wanted.map((one) => new Chart(this.cards, one));
		}
		const params = new URLSearchParams({ run: this.id, archived: "1" });
		for (const chart of this.charts) chart.load(params);
	}
}

function typed(given) {
	try {
		return JSON.parse(given);
	} catch {
		return given;
	}
}

function judged(found, name, nan, inf) {
	const flags = found.flags[found.metrics.indexOf(name)] ?? {};
	const words = [];
	if (flags.diverged_at !== null && flags.diverged_at !== undefined) words.push(html`<span class="bad">diverged at step ${flags.diverged_at}</span>`);
	if (nan) words.push(html`<span class="bad">${nan} NaN</span>`);
	if (inf) words.push(html`<span class="bad">${inf} infinite</span>`);
	if (flags.stalled) words.push(html`<span>stalled (plateau at step ${flags.plateau_at})</span>`);
	else if (flags.still_improving_at_end) words.push(html`<span class="good">still improving at the end</span>`);
	if (flags.gap_steps) words.push(html`<span class="quiet">${flags.gap_steps} steps missing</span>`);
	return words.map((word, i) => html`${i ? ", " : ""}${word}`);
}
