// "Copy this view": the code that gives the very same rows.

import { html } from "./vendor/lit-html.js";
import { ask } from "./api.js";
import { openDialog } from "./keys.js";

export const copyButton = (params, view, what = "rows") =>
	html`<button title=${`The same ${what} in Python, SQL and a shell`} @click=${() => showCode(params(), view)}>Copy view</button>`;

// view: runs, groups, curves, compare, sweep or ask.
async function showCode(params, view) {
	const all = new URLSearchParams(params);
	all.set("view", view);
	const code = await ask("code", all).catch((error) => ({ error: error.message }));
	let copied = "";
	openDialog("This view as code", (dialog) => {
		if (code.error) return html`<p class="bad">${code.error}</p>`;
		const copy = async (name) => {
			await navigator.clipboard.writeText(code[name]);
			copied = name;
			dialog.redraw();
		};
		return ["python", "sql", "shell"].map((name) => html`<section class="code">
				<h3>${{ python: "Python", sql: "SQL (lake.sql)", shell: "Shell" }[name]} <button @click=${() => copy(name)}>${copied === name ? "copied" : "copy"}</button></h3>
				<pre tabindex="0">${code[name]}</pre>
			</section>`);
	});
}
