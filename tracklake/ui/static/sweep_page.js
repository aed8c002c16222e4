// Sweep: what the chosen runs say of their settings: importance, marginals, luck, stability, early stopping.

import { html, render } from "./vendor/lit-html.js";
import { ask } from "./api.js";
import { copyButton } from "./code_dialog.js";
import { AnswerPage, choice, picture } from "./page.js";
import { frame, nameField, sheet, usual } from "./sheet.js";
import { chosen, runAddress, set, SHARED } from "./state.js";

const PARTS = [
	["best", "The best runs", ""],
	["luck", "How much of the best is luck?", "The winner's curse: the best of many is best by skill and by luck; this is what new seeds should give."],
	["stability", "How sure is the ranking?", "Ranks of the settings with their intervals, over seeds drawn again."],
	["interactions", "Which settings depend on each other?", ""],
	["replay", "Would early stopping have kept the best?", "A rule, replayed over the curves that there are."],
];
const MARGINALS = 6;

export const open = (main, context) => new SweepPage(main, context, { label: "Which sweep" });

class SweepPage extends AnswerPage {
	parts = {};

	get params() {
		const start = usual(this.context.schema);
		const params = chosen([...SHARED, "metric", "goal", "failed", "rule"]);
		if (!params.has("metric") && start.metric) params.set("metric", start.metric);
		return params;
	}

	part(name, params) {
		const one = new URLSearchParams(params);
		one.set("part", name);
		return ask("sweep", one);
	}

	answer(params) {
		return this.part("overview", params);
	}

	async more(params, isOld) {
		for (const [name] of PARTS) {
			const found = await this.part(name, params).catch((error) => ({ error: error.message }));
			if (isOld()) return;
			this.parts[name] = found;
			this.draw();
		}
	}

	picture(kind, extra = {}) {
		return picture(`${kind} ${extra.parameter ?? ""}`, this.params, { kind, turn: this.turn, ...extra });
	}

	section([name, title, about]) {
		const found = this.parts[name];
		return html`<section><h2>${title}</h2>${about ? html`<p class="quiet">${about}</p>` : ""}
			${!found ? html`<p class="quiet">…</p>` : found.error ? html`<p class="quiet">${found.error}</p>` : found.text ? html`<p class="said">${found.text}</p>` : found.table ? frame(found.table, { link: runAddress }) : sheet(found)}</section>`;
	}

	draw() {
		const params = this.params;
		render(
			html`${nameField("metric", "sweep-metric", params.get("metric"), this.context.schema?.metrics ?? [], (v) => set({ metric: v }))}
				${choice("goal", "goal", ["", "min", "max"], { words: { "": "as defined" } })}
				${choice("early stopping", "rule", ["median", "asha", "hyperband"])}
				${copyButton(() => this.params, "sweep")}
				<span class="quiet">of the runs that are chosen by project and filter</span>`,
			this.bar,
		);
		render(
			this.error
				? html`<p class="bad">${this.error}</p>`
				: !this.found
					? html`<p class="quiet">reading the sweep…</p>`
					: html`${sheet(this.found)}
							${this.found.parameters.length ? html`<h2>Which settings mattered?</h2><p class="quiet">Not what causes what, where settings were not varied apart from each other.</p>
										${this.picture("importance")}
										<h2>How does each setting act?</h2>
										<div class="pictures">${this.found.parameters.slice(0, MARGINALS).map((parameter) => this.picture("marginal", { parameter }))}</div>` : ""}
							${PARTS.map((one) => this.section(one))}`,
			this.host,
		);
	}
}
