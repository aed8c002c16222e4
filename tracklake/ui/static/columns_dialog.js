// Which columns a table has: any field, config value or statistic; and by what runs are grouped.

import { html } from "./vendor/lit-html.js";
import * as format from "./format.js";
import { openDialog } from "./keys.js";
import { groupable } from "./sheet.js";
import { set, state } from "./state.js";

const SHOWN = 300;

const search = (dialog, type) =>
	html`<input type="search" autofocus placeholder="find a column" aria-label="Find a column" @input=${(e) => { type(e.target.value); dialog.redraw(); }} />`;

export function chooseColumns(context, current) {
	if (!context.schema) return;
	const columns = new Set(state.params.getAll("col").length ? state.params.getAll("col") : current);
	let text = "";
	const apply = () => set({ col: [...columns] }, { replace: true });
	const toggle = (name, dialog) => {
		if (!columns.delete(name)) columns.add(name);
		apply();
		dialog.redraw();
	};
	openDialog("Columns", (dialog) => {
		const { columns: all, metrics, statistics } = context.schema;
		const fits = (name) => name.toLowerCase().includes(text.toLowerCase());
		const fields = all.filter((name) => !name.startsWith("summary.") && name !== "run_id" && name !== "name").filter(fits);
		const entries = all.filter((name) => name.startsWith("summary.") && !metrics.some((m) => name === `summary.${m}` || name.startsWith(`summary.${m}.`))).filter(fits);
		const shownMetrics = metrics.filter(fits);
		const box = (name, label = format.label(name)) =>
			html`<label title=${name}><input type="checkbox" .checked=${columns.has(name)} @change=${() => toggle(name, dialog)} />${label}</label>`;
		return html`${search(dialog, (typed) => (text = typed))}
			<div class="chips">
				${[...columns].map((name) => html`<button class="chip" title="leave out" @click=${() => toggle(name, dialog)}>${format.middle(format.label(name), 40)} ×</button>`)}
				<button class="link" @click=${() => { set({ col: null }, { replace: true }); dialog.close(); }}>the usual columns</button>
			</div>
			<div class="choices">
				<fieldset><legend>Fields and config</legend>${[...fields, ...entries].slice(0, SHOWN).map((name) => box(name))}</fieldset>
				<fieldset class="wide">
					<legend>Metrics: any statistic</legend>
					${shownMetrics.slice(0, SHOWN).map((metric) => html`<div class="metric">
							<span class="clip" title=${metric}>${metric}</span>
							<span class="statistics">${box(`summary.${metric}`, "value")}${statistics.map((stat) => box(`summary.${metric}.${stat}`, stat))}</span>
						</div>`)}
					${shownMetrics.length > SHOWN ? html`<p class="quiet">and ${shownMetrics.length - SHOWN} more: type a part of the name</p>` : ""}
				</fieldset>
			</div>`;
	});
}

export function chooseGroups(context) {
	if (!context.schema) return;
	const groups = new Set(state.params.getAll("group"));
	let text = "";
	const apply = () => set({ group: [...groups], top: null });
	openDialog("Group runs by", (dialog) => {
		const fits = groupable(context.schema).filter((name) => name.toLowerCase().includes(text.toLowerCase()));
		return html`${search(dialog, (typed) => (text = typed))}
			<div class="choices"><fieldset><legend>Columns</legend>
				${fits.slice(0, SHOWN).map((name) => html`<label title=${name}><input type="checkbox" .checked=${groups.has(name)}
						@change=${() => { if (!groups.delete(name)) groups.add(name); apply(); dialog.redraw(); }} />${format.label(name)}</label>`)}
			</fieldset></div>
			<button @click=${() => { groups.clear(); apply(); dialog.close(); }}>no groups</button>`;
	});
}
