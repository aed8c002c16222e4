// Tables of answers: from the sheets of results, and from frames. And a field that offers the columns there are.

import { html } from "./vendor/lit-html.js";
import * as format from "./format.js";

export function sheet(found) {
	const rows = found.columns[0]?.cells.length ?? 0;
	const bold = new Set(found.bold ?? []);
	return html`${found.title ? html`<p class="strong">${found.title}</p>` : ""}
		<div class="scroll bare"><table class="sheet">
			<thead><tr>${found.columns.map((c) => html`<th class=${c.right ? "number" : ""}>${c.name}</th>`)}</tr></thead>
			<tbody>${Array.from({ length: rows }, (_, i) => html`<tr class=${bold.has(i) ? "best" : ""}>${found.columns.map((c) => html`<td class=${c.right ? "number" : ""}>${c.cells[i]}</td>`)}</tr>`)}</tbody>
		</table></div>
		${found.notes?.length ? html`<ul class="quiet">${found.notes.map((note) => html`<li>${note}</li>`)}</ul>` : ""}`;
}

export function frame(columns, { link } = {}) {
	const rows = columns[0]?.values.length ?? 0;
	const kind = (c) => (c.type === "number" ? "number" : "");
	return html`<div class="scroll bare tall" tabindex="0"><table class="sheet frame">
		<thead><tr>${columns.map((c) => html`<th class=${kind(c)} title=${c.name}>${format.label(c.name)}</th>`)}</tr></thead>
		<tbody>${Array.from({ length: rows }, (_, i) => html`<tr>${columns.map((c) => html`<td class=${kind(c)} title=${format.exact(c.values[i], c.type)}>${link && c.name === "run_id" && c.values[i] !== null ? html`<a data-page href=${link(c.values[i])}>${c.values[i]}</a>` : format.value(c.values[i], c.type)}</td>`)}</tr>`)}</tbody>
	</table></div>`;
}

// A text field that offers names; what is typed need not be among them: any statistic of a metric is a column.
export function nameField(label, id, value, names, onChange, placeholder = "") {
	return html`<label>${label} <input list=${id} spellcheck="false" .value=${value ?? ""} placeholder=${placeholder} @change=${(e) => onChange(e.target.value.trim())} /></label>
		<datalist id=${id}>${names.slice(0, 3000).map((name) => html`<option value=${name}></option>`)}</datalist>`;
}

// The columns by which runs are grouped.
export const groupable = (schema) => schema.columns.filter((name) => !name.startsWith("summary.") && !["run_id", "name", "created_at", "runtime", "tags", "notes"].includes(name));

export function columnNames(schema, { fields = true } = {}) {
	if (!schema) return [];
	const statistics = ["min", "max", "mean", "last"];
	const summaries = schema.metrics.flatMap((metric) => [`summary.${metric}`, ...statistics.map((s) => `summary.${metric}.${s}`)]);
	const others = schema.columns.filter((name) => !name.startsWith("summary.") && !["run_id", "notes", "tags"].includes(name));
	return [...(fields ? others : others.filter((name) => name.startsWith("config."))), ...summaries];
}

// The columns to begin with: the first varying config, and the metric that has a goal.
export function usual(schema) {
	const metric = Object.keys(schema?.goals ?? {})[0] ?? schema?.curves.find((m) => /val|test|acc|loss/.test(m)) ?? schema?.curves[0];
	const goal = schema?.goals?.[metric];
	const config = (schema?.columns ?? []).filter((name) => name.startsWith("config.") && !/seed/.test(name));
	return { metric, goal, y: metric ? `summary.${metric}${goal ? `.${goal}` : ""}` : "runtime", x: config.find((name) => /lr|rate/.test(name)) ?? config[0] ?? "created_at", config };
}
