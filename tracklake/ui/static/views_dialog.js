// Named views: addresses kept beside the lake, for everybody who looks at it.

import { html } from "./vendor/lit-html.js";
import { ask, change } from "./api.js";
import { openDialog } from "./keys.js";
import { go } from "./state.js";

export async function showViews(context) {
	let views = [];
	let error = "";
	const read = async () => ({ views } = await ask("views"));
	await read().catch((caught) => (error = caught.message));
	openDialog("Views", (dialog) => {
		const store = async (body) => {
			try {
				await change("view", body);
				await read();
				error = "";
			} catch (caught) {
				error = caught.message;
			}
			dialog.redraw();
		};
		const name = () => dialog.querySelector("[name=view]").value.trim();
		return html`${error ? html`<p class="bad">${error}</p>` : ""}
			${views.length ? "" : html`<p class="quiet">None yet. A view is all that this address says: filter, order, columns, groups.</p>`}
			<ul class="plain">${views.map((view) => html`<li><button class="link" @click=${() => { dialog.close(); go(view.address); }}>${view.name}</button>
					<span class="quiet">${view.address.split("?")[0]}</span>
					${!context.keeps ? "" : html`<button class="plain" aria-label=${`delete ${view.name}`} @click=${() => store({ name: view.name, address: null })}>×</button>`}</li>`)}</ul>
			${!context.keeps ? "" : html`<p><label>name <input name="view" /></label> <button @click=${() => name() && store({ name: name(), address: location.pathname + location.search })}>Keep this view</button></p>`}`;
	});
}
