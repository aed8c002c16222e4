// Queries: the named ones with their parameters, and SQL; answers as tables and as files.

import { html, render } from "./vendor/lit-html.js";
import { ask, query } from "./api.js";
import { frame } from "./sheet.js";
import { copyButton } from "./code_dialog.js";
import * as format from "./format.js";
import { Page } from "./page.js";
import { go, inLake, runAddress, set, state } from "./state.js";

export const open = (main, context) => new QueriesPage(main, context);

class QueriesPage extends Page {
	queries = [];
	read = ask("queries").then((found) => (this.queries = found.queries)).catch((error) => this.context.problem(error));

	changed() {}

	async update() {
		await this.read;
		this.error = "";
		const p = state.params;
		const query_ = this.query;
		const isReady = p.get("sql") || (query_ && query_.parameters.every((q) => !q.needed || p.get(`p.${q.name}`)));
		if (!isReady) this.found = null;
		this.draw();
		if (!isReady) return;
		const mine = (this.asked = this.params.toString());
		this.waiting = true;
		this.draw();
		try {
			const found = await ask("ask", this.params);
			if (mine === this.asked) this.found = found;
		} catch (error) {
			if (mine !== this.asked) return;
			this.error = error.message;
			this.found = null;
		}
		this.waiting = false;
		this.draw();
	}

	get query() {
		return this.queries.find((one) => one.name === state.params.get("name"));
	}

	get params() {
		const params = new URLSearchParams();
		for (const [name, value] of state.params) if (name === "sql" || name === "name" || name === "lake" || name.startsWith("p.")) params.append(name, value);
		if (params.has("sql")) params.delete("name");
		return params;
	}

	draw() {
		const p = state.params;
		const chosen = this.query;
		render(
			html`<div class="side">
				<nav aria-label="Named queries"><h2>Questions</h2>
					<ul class="plain">${this.queries.map((one) => html`<li><a data-page href=${inLake("/queries", { name: one.name })} aria-current=${one === chosen} title=${one.answers}>${one.name}</a><div class="quiet">${one.answers}</div></li>`)}</ul>
				</nav>
				<div class="grow">
					<h2>SQL</h2>
					<form @submit=${(e) => { e.preventDefault(); const text = this.host.querySelector("textarea").value; go(inLake("/queries", { sql: text })); }}>
						<textarea data-search rows="7" spellcheck="false" aria-label="SQL" placeholder="SELECT run_id, &quot;summary.val/acc.max&quot; FROM runs ORDER BY 2 DESC LIMIT 10" .value=${p.get("sql") ?? ""}
							@keydown=${(e) => e.key === "Enter" && (e.ctrlKey || e.metaKey) && e.target.form.requestSubmit()}></textarea>
						<p><button>Ask</button> <span class="quiet">Ctrl+Enter. Views: runs, summaries, history, config, definitions, sessions, points; a text can only read.</span></p>
					</form>
					${chosen ? this.form(chosen) : ""}
					${this.error ? html`<pre class="bad">${this.error}</pre>` : ""}
					${this.found ? this.answer() : this.waiting ? html`<p class="quiet">asking…</p>` : ""}
				</div>
			</div>`,
			this.host,
		);
	}

	form(one) {
		const submit = (event) => {
			event.preventDefault();
			const changes = Object.fromEntries(one.parameters.map((q) => [`p.${q.name}`, this.host.querySelector(`[name="p.${q.name}"]`).value.trim()]));
			set({ ...changes, sql: null });
		};
		return html`<h2>${one.name}</h2><p>${one.answers}</p>${one.notes ? html`<p class="quiet">${one.notes}</p>` : ""}
			<form class="params" @submit=${submit}>
				${one.parameters.map((q) => html`<label title=${q.about}>${q.name}${q.needed ? " *" : ""}
					<input name=${`p.${q.name}`} list=${q.type === "METRIC" || q.type === "ENTRY" ? "query-metrics" : ""} .value=${state.params.get(`p.${q.name}`) ?? ""} placeholder=${q.default === null ? q.type.toLowerCase() : String(q.default)} /></label>`)}
				<button>Ask</button>
				<datalist id="query-metrics">${(this.context.schema?.metrics ?? []).slice(0, 2000).map((m) => html`<option value=${m}></option>`)}</datalist>
			</form>
			<details><summary>Its SQL</summary><pre class="block">${one.text}</pre></details>`;
	}

	answer() {
		const file = (form) => {
			const params = this.params;
			params.set("form", form);
			return query("ask", params);
		};
		return html`<p>${format.count(this.found.rows, "row")}${this.found.shown < this.found.rows ? `, the first ${this.found.shown.toLocaleString("en")} shown` : ""}
				· download <a href=${file("csv")} download>CSV</a> <a href=${file("json")} download>JSON</a> <a href=${file("parquet")} download>Parquet</a>
				${copyButton(() => this.params, "ask")}</p>
			${this.found.columns.length ? frame(this.found.columns, { link: runAddress }) : ""}`;
	}
}
