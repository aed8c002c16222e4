// Edits of several runs at once: tags, group, archived, deleted; and definitions of metrics.

import { html } from "./vendor/lit-html.js";
import { change } from "./api.js";
import * as format from "./format.js";
import { openForm } from "./keys.js";

const CHANGES = {
	add: ({ tag, group }) => (tag ? { add_tags: [tag] } : group && CHANGES.group({ group })), // as Enter does in either field
	remove: ({ tag }) => tag && { remove_tags: [tag] },
	group: ({ group }) => ({ fields: { group } }),
	archive: () => ({ add_tags: ["archived"] }),
	unarchive: () => ({ remove_tags: ["archived"] }),
};

export function editSelected(ids, save, remove) {
	const runs = format.count(ids.length, "run");
	const content = html`<p><label>tag <input name="tag" /></label> <button value="add">Add</button> <button value="remove">Remove</button></p>
		<p><label>group <input name="group" /></label> <button value="group">Set</button></p>
		<p><button value="archive">Archive</button> <button value="unarchive">Take out of the archive</button></p>
		<p class="quiet">An archived run has the tag “archived”: tables leave it out, nothing is deleted.</p>
		<p><button class="danger" value="delete">Delete ${runs}</button>
			<span class="quiet">hidden everywhere at once; can be undone until the lake is vacuumed</span></p>`;
	openForm(`Edit ${runs}`, content, async (values, { value }) => {
		if (value === "delete") return remove();
		const changes = CHANGES[value]({ tag: values.tag.trim(), group: values.group.trim() });
		if (!changes) throw new Error("type a tag first");
		await save(changes);
	});
}

// Which statistics summaries of the whole lake show of a metric, and which way is better.
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
