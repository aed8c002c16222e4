// Compare: which groups are better, and is it more than luck? The answer of lake.compare in words, table and picture.

import { html, render } from "./vendor/lit-html.js";
import { ask } from "./api.js";
import { copyButton } from "./code_dialog.js";
import { AnswerPage, choice, picture } from "./page.js";
import { columnNames, nameField, sheet, usual } from "./sheet.js";
import { chosen, set, SHARED } from "./state.js";

const CHOICES = { goal: ["", "min", "max"], center: ["mean", "median", "iqm"], test: ["auto", "t", "rank"], failed: ["exclude", "include"] };
const NAMES = ["metric", "by", "over", "task", "goal", "stat", "baseline", "center", "test", "failed", "unit"];

export const open = (main, context) => new ComparePage(main, context, { label: "What is compared" });

class ComparePage extends AnswerPage {
	get params() {
		const start = usual(this.context.schema);
		const params = chosen([...SHARED, ...NAMES]);
		if (!params.has("metric") && start.metric) params.set("metric", start.metric);
		if (!params.has("by") && start.config[0]) params.set("by", this.context.schema.columns.includes("config.model.name") ? "config.model.name" : start.x);
		return params;
	}

	answer(params) {
		return ask("compare", params);
	}

	draw() {
		const params = this.params;
		const schema = this.context.schema;
		const columns = columnNames(schema).filter((name) => !name.startsWith("summary."));
		render(
			html`${nameField("metric", "compare-metric", params.get("metric"), schema?.metrics ?? [], (v) => set({ metric: v }))}
				${nameField("by", "compare-by", params.getAll("by").join(", "), columns, (v) => set({ by: v.split(",").map((s) => s.trim()).filter(Boolean) }))}
				${nameField("over", "compare-over", params.get("over") ?? "", columns, (v) => set({ over: v }), "seed, if there is one")}
				${Object.entries(CHOICES).map(([name, options]) => choice(name, name, options, { words: { "": "as defined" } }))}
				${nameField("baseline", "compare-base", params.get("baseline") ?? "", [], (v) => set({ baseline: v }), "the best")}
				${copyButton(() => this.params, "compare")}`,
			this.bar,
		);
		render(
			this.error
				? html`<p class="bad">${this.error}</p>`
				: !this.found
					? html`<p class="quiet">comparing…</p>`
					: html`<div class=${this.waiting ? "waiting" : ""}>${sheet(this.found)}
							<p>${picture("Centers and intervals of the groups", params, { kind: "leaderboard", turn: this.turn })}</p>
							<details><summary>The table in Markdown and LaTeX</summary>
								<pre class="block">${this.found.markdown}</pre><pre class="block">${this.found.latex}</pre></details></div>`,
			this.host,
		);
	}
}
