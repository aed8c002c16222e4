// Reports: Markdown beside the lake that quotes its runs; shown in a frame that can run nothing, edited with a preview.

import { html, render } from "./vendor/lit-html.js";
import { ask, change, query } from "./api.js";
import { openForm } from "./keys.js";
import { Page } from "./page.js";
import { set, state } from "./state.js";

const START = `---
title: What we found
filter: state = 'finished'
order: -created_at
---

Text in Markdown. The newest of these runs is \${run:name}.

\`\`\`sql
SELECT run_id, state, runtime FROM runs ORDER BY created_at DESC LIMIT 5
\`\`\`
`;

export const open = (main, context) => new ReportsPage(main, context, { label: "Reports", host: "fill" });

class ReportsPage extends Page {
	names = [];
	problems = [];

	close() {
		clearTimeout(this.timer);
	}

	changed() {
		if (!state.params.has("edit")) this.update();
	}

	async update() {
		try {
			const found = await ask("reports");
			this.names = found.reports;
			this.folder = found.folder;
			const name = state.params.get("name");
			const isEdited = state.params.has("edit");
			if (name && isEdited && this.loaded !== name) {
				this.text = this.names.includes(name) ? (await ask("report", { name })).text : START;
				this.loaded = name;
				this.saved = this.names.includes(name) ? this.text : null;
				this.preview();
			}
			if (!isEdited) this.loaded = null;
		} catch (error) {
			this.context.problem(error);
		}
		this.stamp = Date.now();
		this.draw();
	}

	edited(text) {
		this.text = text;
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.preview(), 500);
		this.draw();
	}

	async preview() {
		try {
			const found = await change("preview", { text: this.text });
			this.problems = found.problems;
			if (found.key) this.previewKey = found.key;
		} catch (error) {
			this.problems = [error.message];
		}
		this.draw();
	}

	async save() {
		try {
			await change("report", { name: state.params.get("name"), text: this.text });
			this.saved = this.text;
			this.context.problem(null);
			await this.update();
		} catch (error) {
			this.context.problem(error);
		}
	}

	askName() {
		const content = html`<label>name <input name="name" autofocus required pattern="[\\w][\\w .+\\-]*" /></label> <button>Write it</button>`;
		openForm("A new report", content, ({ name }) => set({ name: name.trim(), edit: true }));
	}

	draw() {
		const name = state.params.get("name");
		const isEdited = name && state.params.has("edit");
		render(
			html`${this.names.map((one) => html`<button aria-pressed=${one === name} @click=${() => set({ name: one, edit: null })}>${one}</button>`)}
				${!this.context.keeps ? "" : html`<button @click=${() => this.askName()}>New…</button>`}
				<span class="grow"></span>
				${name && this.names.includes(name) && !isEdited ? html`<a class="button" href=${query("report", { name, form: "html" })} download>Download HTML</a>` : ""}
				${name && !isEdited && this.context.keeps ? html`<button @click=${() => set({ edit: true })}>Edit</button>` : ""}
				${isEdited ? html`<button ?disabled=${this.saved === this.text} @click=${() => this.save()}>${this.saved === this.text ? "Saved" : "Save"}</button><button @click=${() => set({ edit: null })}>Done</button>` : ""}`,
			this.bar,
		);
		render(
			isEdited
				? html`<div class="problems">${this.problems.length ? html`<p class="bad">${this.problems.join("\n")}</p>` : html`<p class="quiet">everything is resolved</p>`}</div>
						<div class="split"><textarea spellcheck="false" aria-label="The report in Markdown" .value=${this.text ?? ""} @input=${(e) => this.edited(e.target.value)}></textarea>
							<iframe sandbox title="Preview" src=${this.previewKey ? query("preview_page", { key: this.previewKey }) : "about:blank"}></iframe></div>`
				: name && this.names.includes(name)
					? html`<div class="split one"><iframe sandbox="allow-popups" title=${name} src=${query("report", { name, form: "page", at: this.stamp })}></iframe></div>`
					: html`<div class="pad"><p>${name ? `There is no report ${name}.` : this.names.length ? "Choose a report." : "There is no report yet."}</p>
							<p class="quiet">Markdown files in ${this.folder ? html`<code class="mono">${this.folder}</code>` : "the folder reports of one lake on a disk"}; any editor will do. They quote
								<code class="mono">\${run:summary.val/acc.max|.3f}</code> of the run or filter in the front matter, <code class="mono">\${run:ID:config.lr}</code> of any run; blocks
								of <code class="mono">sql, query, plot, compare</code> ask the lake.
								<code class="mono">tracklake report FILE --out x.html --check</code> writes one file for others.</p></div>`,
			this.host,
		);
	}
}
