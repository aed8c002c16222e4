// Edits of several runs at once: tags, group, notes, archived.

import { html } from "./vendor/lit-html.js";
import * as format from "./format.js";
import { openDialog } from "./keys.js";

export function editSelected(ids, save, remove) {
	let error = "";
	openDialog(`Edit ${format.count(ids.length, "run")}`, (dialog) => {
		const apply = async (changes) => {
			try {
				await save(changes);
				dialog.close();
			} catch (caught) {
				error = caught.message;
				dialog.redraw();
			}
		};
		const field = (name) => dialog.querySelector(`[name=${name}]`).value.trim();
		return html`${error ? html`<p class="bad">${error}</p>` : ""}
			<p><label>tag <input name="tag" /></label>
				<button @click=${() => field("tag") && apply({ add_tags: [field("tag")] })}>Add</button>
				<button @click=${() => field("tag") && apply({ remove_tags: [field("tag")] })}>Remove</button></p>
			<p><label>group <input name="group" /></label> <button @click=${() => apply({ fields: { group: field("group") } })}>Set</button></p>
			<p><button @click=${() => apply({ add_tags: ["archived"] })}>Archive</button>
				<button @click=${() => apply({ remove_tags: ["archived"] })}>Take out of the archive</button></p>
			<p class="quiet">An archived run has the tag “archived”: tables leave it out, nothing is deleted.</p>
			<p><button class="danger" @click=${() => remove().then(() => dialog.close(), (caught) => { error = caught.message; dialog.redraw(); })}>Delete ${format.count(ids.length, "run")}</button>
				<span class="quiet">hidden everywhere at once; can be undone until the lake is vacuumed</span></p>`;
	});
}
