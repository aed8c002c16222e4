// A definition of a metric for the whole lake: which statistics summaries show, and which way is better.

import { html } from "./vendor/lit-html.js";
import { change } from "./api.js";
import { openForm } from "./keys.js";

export function defineMetric(metric, context) {
	const { kinds } = context.schema;
	const content = html`<p class="statistics">${kinds.map((kind) => html`<label><input type="checkbox" name=${kind} />${kind}</label>`)}</p>
		<p><label>better is <select name="goal"><option value="">not said</option><option value="min">lower</option><option value="max">higher</option></select></label> <button>Define</button></p>
		<p class="quiet">For all runs of the lake, past and future; it replaces what was defined before. The history stays as it is.</p>`;
	openForm(`Define ${metric}`, content, async (values) => {
		await change("define", { metric, summary: kinds.filter((kind) => kind in values), goal: values.goal });
		await context.refresh();
	});
}
