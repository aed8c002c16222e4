// A definition of a metric for the whole lake: which statistics summaries show, and which way is better.

import { html } from "./vendor/lit-html.js";
import { change } from "./api.js";
import { openDialog } from "./keys.js";

export function defineMetric(metric, context) {
	const { kinds } = context.schema;
	let error = "";
	openDialog(`Define ${metric}`, (dialog) => {
		const save = async (event) => {
			event.preventDefault();
			const summary = kinds.filter((kind) => dialog.querySelector(`[name=${kind}]`).checked);
			try {
				await change("define", { metric, summary, goal: dialog.querySelector("[name=goal]").value });
				dialog.close();
				await context.refresh();
			} catch (caught) {
				error = caught.message;
				dialog.redraw();
			}
		};
		return html`<form @submit=${save}>
			${error ? html`<p class="bad">${error}</p>` : ""}
			<p class="statistics">${kinds.map((kind) => html`<label><input type="checkbox" name=${kind} />${kind}</label>`)}</p>
			<p><label>better is <select name="goal"><option value="">not said</option><option value="min">lower</option><option value="max">higher</option></select></label> <button>Define</button></p>
			<p class="quiet">For all runs of the lake, past and future; it replaces what was defined before. The history stays as it is.</p>
		</form>`;
	});
}
